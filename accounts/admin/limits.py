"""Limits and their notices in the console."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from accounts.admin import limit_tables
from accounts.admin.limit_form import LimitForm, subject_from
from accounts.models import Limit, LimitNotice, Metric
from accounts.services import limit_use
from common.console import BigTableAdmin, ConsoleAdmin, display, moment, time_column

TELLING = (
    "Who is told",
    {
        "fields": ("thresholds", "notify_url", "new_secret", "notify_email"),
        "description": "Nobody is told of a limit that only counts. Whoever may see limits sees these addresses.",
    },
)
COLORS = {"told": "success", "waiting": "info", "failing": "warning", "not told": "danger"}


class LimitAdmin(ConsoleAdmin):
    """Registered by `gateway.admin`, with what only the gateway can do: to tell somebody."""

    form = LimitForm
    autocomplete_fields = only_chosen = ("key", "group", "provider")
    change_form_outer_before_template = "admin/console/limit_panel.html"
    list_display = ("name", "about", "counts", "used", "resets", "does", "is_enabled")
    list_filter = (
        "is_enabled",
        ("subject", ChoicesDropdownFilter),
        ("metric", ChoicesDropdownFilter),
        ("window", ChoicesDropdownFilter),
        ("action", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    list_select_related = ("key", "group", "provider")
    search_fields = ("name", "value", "key__name", "group__name", "provider__name", "notify_email")
    search_help_text = "Name, or whom it is about"
    add_fieldsets = (
        (None, {"fields": ("name", "is_enabled")}),
        (
            "What it counts",
            {
                "fields": ("subject", "key", "group", "provider", "value", "metric", "window", "is_sliding"),
                "description": "This can't be changed later. With nobody chosen, each has a count of its own.",
            },
        ),
        ("How much", {"fields": ("most_cost", "most_count", "action")}),
        TELLING,
    )

    class Media:
        js = ("weighbridge/limit.js",)  # which inputs are shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[Limit]:
        limits: QuerySet[Limit] = super().get_queryset(request)
        return limits.defer("notify_secret")  # one that can't be decrypted must not take the page along

    # Lists

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """What is used is read for the whole page at once."""
        page = super().get_changelist_instance(request)
        page.result_list = list(page.result_list)
        used = limit_use.uses(page.result_list)
        for use in limit_use.named(use for each in used.values() for use in each):
            vars(use.limit)["use"] = use
        return page

    @display(description="whose", ordering="subject")
    def about(self, limit: Limit) -> str:
        return limit_use.subject_of(limit)

    @display(description="counts", ordering="metric")
    def counts(self, limit: Limit) -> str:
        return limit_use.counted_by(limit)

    @display(description="used now")
    def used(self, limit: Limit) -> str:
        return limit_tables.bar(getattr(limit, "use", None))

    @display(description="begins anew")
    def resets(self, limit: Limit) -> str:
        return limit_tables.resets(limit)

    @display(description="beyond it", ordering="action")
    def does(self, limit: Limit) -> str:
        return limit_tables.beyond(limit)

    # Forms

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a limit counts stands above its form; an amount is the one that its metric has."""
        if obj is None:
            return self.add_fieldsets
        most = "most_cost" if obj.metric == Metric.COST else "most_count"
        may_change = self.has_change_permission(request, obj)
        told = [name for name in TELLING[1]["fields"] if name != "new_secret" or may_change]
        amounts = (None, {"fields": ("name", most, "action", "is_enabled")})
        return (amounts, (TELLING[0], {**TELLING[1], "fields": told}))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"subject": subject_from(request.GET), **super().get_changeform_initial_data(request)}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        limit = self.get_object(request, object_id)
        panel = limit_tables.panel_of(limit) if limit else None
        return super().change_view(request, object_id, form_url, {"limit_panel": panel, **(extra_context or {})})


class ToldFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "told"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Told"), ("waiting", "Waiting or tried again"), ("no", "Not told")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LimitNotice]) -> QuerySet[LimitNotice]:
        chosen = {
            "yes": queryset.filter(told_at__isnull=False),
            "waiting": queryset.filter(due_at__isnull=False),
            "no": queryset.filter(told_at=None, due_at=None),
        }
        return chosen.get(self.value() or "", queryset)


@admin.register(LimitNotice)
class LimitNoticeAdmin(BigTableAdmin):
    """What was reached, who was told, or why not. Who may see limits sees these."""

    list_display = (
        time_column("created_at", "time"),
        "limit",
        "whose",
        "level",
        "used_then",
        "state",
        "outcome",
    )
    list_filter = (ToldFilter, ("limit", AutocompleteSelectFilter))
    list_filter_submit = True
    search_fields = ("limit__name", "member")
    search_help_text = "A limit's name, or whose use it was"
    show_facets = admin.ShowFacets.NEVER
    fields = ("limit", "whose", "level", "used_then", "window_start", "state", "attempts", "error")
    readonly_fields = ("whose", "level", "used_then", "window_start", "state")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return limit_tables.may_see(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return limit_tables.may_see(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """They go with their limit, never by themselves."""
        match = request.resolver_match
        is_own_page = match is None or (match.url_name or "").startswith("accounts_limitnotice_")
        return not is_own_page and request.user.has_perm("accounts.delete_limit")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LimitNotice]:
        notices: QuerySet[LimitNotice] = super().get_queryset(request)
        return notices.select_related("limit").defer("limit__notify_secret")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.result_list = list(page.result_list)
        names = limit_use.member_names([(notice.limit, notice.member) for notice in page.result_list])
        for notice, name in zip(page.result_list, names, strict=True):
            vars(notice)["name"] = name
        return page

    @display(description="whose")
    def whose(self, notice: LimitNotice) -> str:
        return getattr(notice, "name", notice.member) or "–"

    @display(description="reached")
    def level(self, notice: LimitNotice) -> str:
        return f"{notice.percent} %"

    @display(description="used then")
    def used_then(self, notice: LimitNotice) -> str:
        return (
            f"{limit_tables.shown(notice.limit, notice.used)} of {limit_tables.shown(notice.limit, notice.limit.most)}"
        )

    @display(description="window since")
    def window_start(self, notice: LimitNotice) -> str:
        return moment(notice.starts_at)

    @display(description="when, or why not")
    def outcome(self, notice: LimitNotice) -> str:
        return moment(notice.told_at, notice.error or "–")

    @display(description="state", label=COLORS)
    def state(self, notice: LimitNotice) -> str:
        return limit_tables.state_of(notice)
