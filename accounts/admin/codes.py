"""Redemption codes: made in batches, shown once by the page after the form, made void while nobody has used them."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.admin import once
from accounts.models import CodeState, RedemptionCode, User
from accounts.models.codes import RedemptionCodeQuerySet
from accounts.services import codes
from common.console import ModelForm, display, moment, money, time_column

COLORS = {"Open": "success", "Redeemed": "info", "Void": "danger", "Expired": "warning"}


class BatchForm(ModelForm):
    """Codes of the same worth."""

    count = forms.IntegerField(
        label="How many",
        min_value=1,
        max_value=codes.MOST_AT_ONCE,
        initial=10,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    class Meta:
        model = RedemptionCode
        fields = ("batch", "amount", "expires_at")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.keys() >= {"amount", "count", "expires_at"}:
            codes.check(amount=cleaned["amount"], count=cleaned["count"], expires_at=cleaned["expires_at"])
        return cleaned


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(CodeState.choices)

    def queryset(self, request: HttpRequest, queryset: Any) -> RedemptionCodeQuerySet:
        found: RedemptionCodeQuerySet = queryset
        chosen = self.value()
        return found.in_state(CodeState(chosen)) if chosen in CodeState.values else found


@admin.register(RedemptionCode)
class RedemptionCodeAdmin(once.OnceAdmin):
    """What is left of a code once it was shown: its batch, its start, and what became of it."""

    form = BatchForm
    actions = ("void_selected",)
    list_display = (
        "batch",
        "start",
        "worth",
        "standing",
        time_column("expires_at", "expires"),
        "redeemed_by",
        time_column("redeemed_at", "redeemed"),
        "made_by",
    )
    list_filter = (StateFilter,)
    list_select_related = ("redeemed_by", "made_by")
    search_fields = ("batch", "prefix")
    search_help_text = "Batch or the start of the code"
    fields = ("batch", "start", "worth", "standing", "expires", "redeemed_by", "payment", "made_by")
    readonly_fields = fields
    add_fieldsets = ((None, {"fields": ("batch", "amount", "count", "expires_at")}),)

    @display(description="code")
    def start(self, code: RedemptionCode) -> str:
        return f"{code.prefix}-…"

    @display(description="worth", ordering="amount")
    def worth(self, code: RedemptionCode) -> str:
        return money(code.amount)

    @display(description="state", label=COLORS)
    def standing(self, code: RedemptionCode) -> str:
        return code.state.label

    @display(description="expires")
    def expires(self, code: RedemptionCode) -> str:
        return moment(code.expires_at, "never")

    # Rights: a code is never edited, and one that is not wanted any more is made void.

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_void_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_redemptioncode")

    @admin.action(description="Make selected codes void", permissions=["void"])
    def void_selected(self, request: HttpRequest, queryset: RedemptionCodeQuerySet) -> None:
        chosen = list(queryset.unused())
        count = codes.void(codes=RedemptionCode.objects.filter(pk__in=[code.pk for code in chosen]))
        for code in chosen:
            self.log_change(request, code, "Made void.")
        messages.success(request, f"{count} codes are void. What was redeemed before stays.")

    # Making

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.readonly_fields if obj else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, {"title": "Make redemption codes", **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: RedemptionCode, form: ModelForm, change: bool) -> None:
        values = form.cleaned_data
        made = codes.make(
            amount=values["amount"],
            count=values["count"],
            batch=values["batch"],
            expires_at=values["expires_at"],
            made_by=cast(User, request.user),
        )
        self.claim(request, {"batch": values["batch"], "secret": "\n".join(made)})
        obj.__dict__.update(RedemptionCode.objects.latest("pk").__dict__)

    def response_add(
        self, request: HttpRequest, obj: RedemptionCode, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.response_again(request)

    def response_again(self, request: HttpRequest) -> HttpResponse:
        """A second POST of the form leads to what its first one made."""
        return HttpResponseRedirect(reverse("admin:accounts_redemptioncode_made", args=[once.nonce_of(request)]))

    def get_urls(self) -> list[Any]:
        made = self.admin_site.admin_view(self.made)
        return [path("made/<str:nonce>/", made, name="accounts_redemptioncode_made"), *super().get_urls()]

    def made(self, request: HttpRequest, nonce: str) -> HttpResponse:
        """The codes, on the first visit only."""
        kept = once.take(request, nonce)
        if "secret" not in kept:
            messages.warning(request, "Codes are shown once, for a few minutes. Were they lost? Make them void.")
            return HttpResponseRedirect(reverse("admin:accounts_redemptioncode_changelist"))
        context = {
            "title": f"Codes of {kept['batch']}",
            "opts": self.opts,
            "codes": kept["secret"],
            "count": kept["secret"].count("\n") + 1,
        }
        response = TemplateResponse(
            request, "admin/console/codes_made.html", {**self.admin_site.each_context(request), **context}
        )
        response["Cache-Control"] = "no-store"
        return response
