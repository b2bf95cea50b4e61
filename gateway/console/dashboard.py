"""The console's first page: the last 30 days at a glance, from the days of spend."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import limit_tables
from accounts.admin.charges import OUTCOME_COLORS
from accounts.models import ApiKey, Charge, State
from accounts.services import reports
from accounts.services.reports import NOTHING, Bounds, Total
from accounts.services.rollups import start_of
from common.console import glance, moment, money, seconds
from gateway.console import start, unpriced

DAYS = 30
TOP = 5
LATEST = 10


@dataclass(slots=True)
class Traffic:
    """All that the cards and charts show."""

    days: list[tuple[date, Total]]
    last_day: Total
    month: Total
    open_holds: int
    held: Decimal


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's hook: what `templates/admin/index.html` shows."""
    if not request.user.has_perm("accounts.view_charge"):
        return context
    latest = list(Charge.objects.select_related("key")[:LATEST])
    if not latest:
        return {**context, "start": start.steps(request)}
    now = timezone.now()
    traffic = traffic_until(now)
    return {
        **context,
        "cards": cards(traffic),
        "charts": [chart(title, each, traffic) for title, each in CHARTS],
        "tops": tops(window(now)),
        "near": limit_tables.near(request),
        "unpriced": unpriced.since(_days(now)[0]) if request.user.has_perm("providers.view_aimodel") else None,
        "latest": [row(charge) for charge in latest],
        "open_holds": traffic.open_holds,
        "held": money(traffic.held),
        "zone": timezone.get_current_timezone_name(),
    }


def window(now: datetime) -> Bounds:
    """Today and the days before it, as those of the gateway's zone."""
    return Bounds(since=start_of(_days(now)[0]))


def _days(now: datetime) -> list[date]:
    today = timezone.localtime(now).date()
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def traffic_until(now: datetime) -> Traffic:
    found = {each.group: each for each in reports.totals(window(now), by="day")}
    held = Charge.objects.filter(state=State.HELD).aggregate(calls=Count("id"), hold=Sum("hold"))
    return Traffic(
        days=[(day, found.get(day, NOTHING)) for day in _days(now)],
        last_day=reports.total(Bounds(since=now - timedelta(days=1))),
        month=reports.added(found.values()),
        open_holds=held["calls"],
        held=held["hold"] or Decimal(0),
    )


# What is shown of it


def short(count: int) -> str:
    """1234567 as 1.23M."""
    for size, suffix in ((10**9, "B"), (10**6, "M"), (10**4, "k")):
        if count >= size:
            return f"{count / (size if suffix != 'k' else 1000):,.{1 if suffix == 'k' else 2}f}{suffix}"
    return f"{count:,}"


def _rate(total: Total) -> str:
    return f"{total.failed / total.calls:.1%} of calls" if total.calls else ""


def cards(traffic: Traffic) -> list[dict[str, str]]:
    day, month = traffic.last_day, traffic.month
    return [
        _card("Calls", "swap_vert", f"{day.calls:,}", f"{month.calls:,}"),
        _card("Tokens", "token", short(day.tokens), short(month.tokens)),
        _card("Spend", "payments", glance(day.fee), glance(month.fee)),
        _card("Errors", "error", f"{day.failed:,}", f"{month.failed:,}", _rate(month)),
    ]


def _card(title: str, icon: str, day: str, month: str, note: str = "") -> dict[str, str]:
    return {"title": title, "icon": icon, "day": day, "month": month, "note": note}


def drawn(fee: Decimal) -> float:
    """USD as charts have it."""
    return float(round(fee, 6))


Reading = Callable[[Total], float]
SPEND = "Spend, USD"
CHARTS: tuple[tuple[str, Reading], ...] = (
    ("Calls", lambda total: total.calls),
    ("Tokens", lambda total: total.tokens),
    (SPEND, lambda total: drawn(total.fee)),
    ("Errors", lambda total: total.failed),
)
PRIMARY, RED = "var(--color-primary-600)", "#dc2626"


def chart(title: str, reading: Reading, traffic: Traffic) -> dict[str, str]:
    """One of the page's charts."""
    values = {label_of(day): reading(total) for day, total in traffic.days}
    data = bars(title, values, color=RED if title == "Errors" else PRIMARY, is_count=title != SPEND)
    return {"title": title, "data": data}


def label_of(day: date) -> str:
    return f"{day:%b} {day.day}"


def bars(label: str, values: dict[str, float], *, color: str = PRIMARY, is_count: bool = False) -> str:
    """The data of a bar chart in Chart.js's form; `is_count`: console.js keeps its axis to whole numbers."""
    axes = {"isCount": is_count, "displayYAxis": True, "maxTicksXLimit": 8}
    dataset = {"label": label, "data": list(values.values()), "backgroundColor": color, **axes}
    return json.dumps({"labels": list(values), "datasets": [dataset]})


def tops(bounds: Bounds) -> list[dict[str, Any]]:
    """The dearest keys, models and providers, from one grouped read."""
    spent: dict[str, dict[Any, list[Total]]] = {kind: defaultdict(list) for kind in ("key", "model", "provider")}
    for key_id, model, provider, total in reports.totals_by_all(bounds):
        for kind, name in (("key", key_id), ("model", model), ("provider", provider)):
            spent[kind][name].append(total)
    ranked = {kind: _ranked(entries) for kind, entries in spent.items()}
    names = {key.pk: key.name for key in ApiKey.objects.filter(pk__in=[total.group for total in ranked["key"]])}
    return [_top("Keys", ranked["key"], names), _top("Models", ranked["model"]), _top("Providers", ranked["provider"])]


def _ranked(entries: dict[Any, list[Total]]) -> list[Total]:
    added = (reports.added(totals, group) for group, totals in entries.items())
    return sorted(added, key=lambda total: (-total.fee, -total.calls))[:TOP]


def _top(title: str, ranked: Sequence[Total], names: dict[int, str] | None = None) -> dict[str, Any]:
    most = max((total.fee for total in ranked), default=Decimal(0))
    return {
        "title": title,
        "rows": [
            {
                "name": names.get(total.group, "") if names is not None else total.group,
                "id": total.group if names is not None else None,
                "calls": f"{total.calls:,}",
                "spend": glance(total.fee),
                "percent": int(total.fee * 100 / most) if most > 0 else 0,
            }
            for total in ranked
        ],
    }


def row(charge: Charge) -> dict[str, Any]:
    """One line of the latest calls."""
    return {
        "charge": charge,
        "time": moment(charge.created_at),
        "tokens": f"{charge.prompt_tokens:,} / {charge.output_tokens:,}",
        "fee": money(charge.fee),
        "took": seconds(charge.total_ms),
        "color": OUTCOME_COLORS[charge.get_outcome_display()],
    }
