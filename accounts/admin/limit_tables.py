"""How much of limits is used, as tables: on their own pages, on those of keys and groups, and on the dashboard."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Limit, LimitCounter, LimitNotice, Metric
from accounts.services import limit_use
from accounts.services.ledger.limiting import telling
from accounts.services.limit_use import Use
from common.console import ConsoleAdmin, moment, money
from common.money import to_usd

MEMBERS = 10
WINDOWS = 50
NOTICES = 10
NEAR = 10
ALL_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One bar."""

    limit: Limit
    name: str
    counted: str
    text: str
    percent: int
    is_near: bool
    resets: str
    beyond: str

    @property
    def width(self) -> int:
        return min(self.percent, ALL_PERCENT)

    @property
    def is_full(self) -> bool:
        return self.percent >= ALL_PERCENT


def lines(uses: Iterable[Use]) -> list[Line]:
    return [_line(use) for use in limit_use.named(uses)]


def _line(use: Use) -> Line:
    limit = use.limit
    held = f", {shown(limit, use.held)} held" if use.held and limit.metric != Metric.PARALLEL else ""
    return Line(
        limit=limit,
        name=use.name,
        counted=limit_use.counted_by(limit),
        text=f"{shown(limit, use.level)} of {shown(limit, limit.most)}{held}",
        percent=use.percent,
        is_near=use.is_past_threshold,
        resets=resets(limit),
        beyond=beyond(limit),
    )


def shown(limit: Limit, number: int) -> str:
    return money(to_usd(number)) if limit.metric == Metric.COST else f"{number:,}"


def resets(limit: Limit) -> str:
    """When its window begins anew."""
    if limit.metric == Metric.PARALLEL:
        return "when calls end"
    if limit.is_sliding:
        return "bit by bit"
    return moment(limit_use.resets_at(limit, timezone.now()), "never")


def beyond(limit: Limit) -> str:
    """What becomes of calls beyond it."""
    text, color = BEYOND[limit.action]
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": color})


BEYOND = {"block": ("refused", "danger"), "warn": ("warned", "warning"), "observe": ("counted", "info")}


def bar(use: Use | None) -> str:
    """For a list's cell."""
    line = _line(use) if use else None
    return render_to_string("admin/console/limit_bar.html", {"line": line})


# A limit's own page


def panel_of(limit: Limit) -> dict[str, Any]:
    now_used = limit_use.uses([limit], most_each=MEMBERS).get(limit.pk, [])
    rows = list(limit.notices.order_by("-id")[:NOTICES])
    return {
        "limit": limit,
        "about": limit_use.subject_of(limit),
        "counted": limit_use.counted_by(limit),
        "lines": lines(now_used),
        "most_lines": MEMBERS,
        "windows": _windows(limit),
        "notices": [(notice, name, state_of(notice)) for notice, name in _with_names(limit, rows)],
        "resets": resets(limit),
    }


def _windows(limit: Limit) -> list[dict[str, str]]:
    """Those that are over, of which the counters are still there. What slides has slots, which say little."""
    if limit.is_sliding or limit_use.resets_at(limit, timezone.now()) is None:
        return []
    start = limit_use.started_at(limit, timezone.now())
    rows = list(limit.counters.filter(starts_at__lt=start).order_by("-starts_at", "-used")[:WINDOWS])
    return [_window(limit, row, name) for row, name in _with_names(limit, rows)]


def _window(limit: Limit, row: LimitCounter, name: str) -> dict[str, str]:
    return {
        "start": moment(row.starts_at),
        "name": name,
        "used": shown(limit, row.used),
        "percent": f"{telling.percent_of(limit.most, row.used)} %",
    }


def _with_names(limit: Limit, rows: list[Any]) -> list[tuple[Any, str]]:
    return list(zip(rows, limit_use.member_names([(limit, row.member) for row in rows]), strict=True))


def state_of(notice: LimitNotice) -> str:
    if notice.told_at:
        return "told"
    if notice.due_at is None:
        return "not told"
    return "failing" if notice.error else "waiting"


# Other pages


class LimitsShown(ConsoleAdmin):
    """A page that ends with the limits that its row's calls count against."""

    change_form_outer_after_template = "admin/console/limits_of.html"

    def uses_of(self, row: Any) -> list[Use]:
        raise NotImplementedError

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id) if may_see(request) else None
        context = {"limits_of": {"row": row, "lines": lines(self.uses_of(row))} if row else None}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perm("accounts.view_limit")


def near(request: HttpRequest) -> list[Line]:
    """For the dashboard: those past their first threshold."""
    return lines(limit_use.near(most=NEAR)) if may_see(request) else []
