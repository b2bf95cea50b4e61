"""What rests after a failure: who, why, for how long. Removing a row ends the rest at once."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone

from common.console import ReadOnlyAdmin, display, moment, time_column
from providers.models import Rest


def told(rest: Rest) -> str:
    """A rest in one line."""
    what = f"with {rest.model.name} " if rest.model else ""
    state = "set aside until" if _is_on(rest) else "due for a trial since"
    return f"{what}{state} {moment(rest.until)}: {rest.reason}"


def _is_on(rest: Rest) -> bool:
    """Or else the next call tries it, and only its success removes the row."""
    return rest.until > timezone.now()


class RestAdmin(ReadOnlyAdmin):
    list_display = (
        *("who", "state", "reason", "code", "failures"),
        *(time_column("until", "until"), time_column("since", "since")),
    )
    list_select_related = ("model__provider", "key__provider")
    search_fields = ("model__name", "key__name", "reason")
    list_display_links = None
    actions = ("end",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rest]:
        return Rest.objects.of_what_stands().defer("key__secret")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whoever may change a provider may have it tried again."""
        return request.user.has_perm("providers.change_provider")

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # the same, in words that say nothing here
        return actions

    @admin.action(description="End the rest: call it again", permissions=["delete"])
    def end(self, request: HttpRequest, queryset: QuerySet[Rest]) -> None:
        ended = queryset.count()
        queryset.delete()
        self.message_user(request, f"{ended} ended. Every process calls again within a second.", messages.SUCCESS)

    @display(description="who")
    def who(self, rest: Rest) -> str:
        key = f"{rest.key.provider.name} ({rest.key.name})" if rest.key else ""
        if rest.model is None:
            return key
        return f"{rest.model.name} on {key}" if key else f"{rest.model.name} on {rest.model.provider.name}"

    @display(description="state")
    def state(self, rest: Rest) -> str:
        label = {"text": "rests", "type": "danger"} if _is_on(rest) else {"text": "due for a trial", "type": "info"}
        return render_to_string("unfold/helpers/label.html", label)
