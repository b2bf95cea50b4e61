"""The console's first page: the last 30 days at a glance, from two grouped reads of the charges' time index."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import ApiKey, Charge, Outcome, State
from common.console import glance, moment, money
from common.money import MoneyField
from gateway.console import start

DAYS = 30
TOP = 5
LATEST = 10
COLORS = {"ok": "success", "running": "info", "client_closed": "warning", "bad_request": "warning"}
# What a caller got wrong is nobody's failure here.
FAILED = Q(outcome__in=[Outcome.UPSTREAM_ERROR, Outcome.GATEWAY_ERROR, Outcome.SERVER_STOPPED])
TOKEN_FIELDS = ("input_tokens", "cached_read_tokens", "cached_write_tokens", "output_tokens")


@dataclass(slots=True)
class Totals:
    """What a stretch of time came to."""

    calls: int = 0
    tokens: int = 0
    spend: Decimal = Decimal(0)
    errors: int = 0

    def add(self, other: "Totals") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


@dataclass(slots=True)
class Traffic:
    """All that the cards and charts show."""

    days: list[tuple[date, Totals]]
    last_day: Totals
    month: Totals
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
        "tops": tops(_window(now)),
        "latest": [row(charge) for charge in latest],
        "open_holds": traffic.open_holds,
        "held": money(traffic.held),
        "zone": timezone.get_current_timezone_name(),
    }


def _starts(now: datetime) -> list[datetime]:
    """The midnights of the last days and the next one: a day may have 23 or 25 hours."""
    today = timezone.localtime(now).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -2, -1)]
    return [timezone.make_aware(datetime.combine(day, time())) for day in days]


def _window(now: datetime) -> QuerySet[Charge]:
    return Charge.objects.filter(created_at__gte=_starts(now)[0]).order_by()


def traffic_until(now: datetime) -> Traffic:
    """One query. Days are told apart by comparing, as a database can do it without calling out for time zones."""
    starts = _starts(now)
    recent = Q(created_at__gte=now - timedelta(days=1))
    day = Case(
        *(When(created_at__lt=until, then=Value(number)) for number, until in enumerate(starts[1:])),
        default=Value(DAYS - 1),
        output_field=IntegerField(),
    )
    held = Q(state=State.HELD)
    rows: Iterable[Any] = (
        _window(now)
        .annotate(day=day)
        .values("day")
        .annotate(
            **_sums("all"),
            **_sums("new", recent),
            open_holds=Count("id", filter=held),
            held_sum=_sum("hold", MoneyField(), held),
        )
    )
    return _traffic([timezone.localtime(each).date() for each in starts[:-1]], rows)


def _sums(prefix: str, condition: Q | None = None) -> dict[str, Any]:
    return {
        f"{prefix}_calls": Count("id", filter=condition),
        f"{prefix}_errors": Count("id", filter=FAILED & condition if condition else FAILED),
        f"{prefix}_spend": _sum("fee", MoneyField(), condition),
        **{f"{prefix}_{name}": _sum(name, IntegerField(), condition) for name in TOKEN_FIELDS},
    }


def _sum(name: str, output: "IntegerField[int, int] | MoneyField", condition: Q | None) -> Coalesce:
    return Coalesce(Sum(name, filter=condition), Value(0, output_field=output), output_field=output)


def _traffic(days: Sequence[date], rows: Iterable[dict[str, Any]]) -> Traffic:
    traffic = Traffic([(day, Totals()) for day in days], Totals(), Totals(), 0, Decimal(0))
    for row in rows:
        totals = _totals(row, "all")
        traffic.days[row["day"]][1].add(totals)
        traffic.month.add(totals)
        traffic.last_day.add(_totals(row, "new"))
        traffic.open_holds += row["open_holds"]
        traffic.held += row["held_sum"]
    return traffic


def _totals(row: dict[str, Any], prefix: str) -> Totals:
    tokens = sum(row[f"{prefix}_{name}"] for name in TOKEN_FIELDS)
    return Totals(row[f"{prefix}_calls"], tokens, row[f"{prefix}_spend"], row[f"{prefix}_errors"])


# What is shown of it


def short(count: int) -> str:
    """1234567 as 1.23M."""
    for size, suffix in ((10**9, "B"), (10**6, "M"), (10**4, "k")):
        if count >= size:
            return f"{count / (size if suffix != 'k' else 1000):,.{1 if suffix == 'k' else 2}f}{suffix}"
    return f"{count:,}"


def _rate(totals: Totals) -> str:
    return f"{totals.errors / totals.calls:.1%} of calls" if totals.calls else ""


def cards(traffic: Traffic) -> list[dict[str, str]]:
    day, month = traffic.last_day, traffic.month
    return [
        _card("Calls", "swap_vert", f"{day.calls:,}", f"{month.calls:,}"),
        _card("Tokens", "token", short(day.tokens), short(month.tokens)),
        _card("Spend", "payments", glance(day.spend), glance(month.spend)),
        _card("Errors", "error", f"{day.errors:,}", f"{month.errors:,}", _rate(month)),
    ]


def _card(title: str, icon: str, day: str, month: str, note: str = "") -> dict[str, str]:
    return {"title": title, "icon": icon, "day": day, "month": month, "note": note}


Reading = Callable[[Totals], float]
SPEND = "Spend, USD"
CHARTS: tuple[tuple[str, Reading], ...] = (
    ("Calls", lambda totals: totals.calls),
    ("Tokens", lambda totals: totals.tokens),
    (SPEND, lambda totals: float(round(totals.spend, 6))),
    ("Errors", lambda totals: totals.errors),
)
RED = "#dc2626"


def chart(title: str, reading: Reading, traffic: Traffic) -> dict[str, str]:
    """The data of one bar chart, in Chart.js's form, with unfold's colours."""
    color = RED if title == "Errors" else "var(--color-primary-600)"
    values = [reading(totals) for _, totals in traffic.days]
    labels = [f"{day:%b} {day.day}" for day, _ in traffic.days]
    dataset = {"label": title, "data": values, "backgroundColor": color, "displayYAxis": True, "maxTicksXLimit": 8}
    dataset["isCount"] = title != SPEND  # console.js then keeps its axis to whole numbers
    return {"title": title, "data": json.dumps({"labels": labels, "datasets": [dataset]})}


def tops(window: QuerySet[Charge]) -> list[dict[str, Any]]:
    """The dearest keys, models and providers, from one grouped read."""
    spent: dict[str, dict[Any, Totals]] = {kind: defaultdict(Totals) for kind in ("key", "model", "provider")}
    grouped = window.values_list("key_id", "model_name", "provider_name").annotate(Count("id"), Sum("fee"))
    for key_id, model, provider, calls, fee in grouped:
        for kind, name in (("key", key_id), ("model", model), ("provider", provider)):
            spent[kind][name].add(Totals(calls=calls, spend=fee))
    ranked = {kind: _ranked(entries) for kind, entries in spent.items()}
    names = {key.pk: key.name for key in ApiKey.objects.filter(pk__in=[name for name, _ in ranked["key"]])}
    return [_top("Keys", ranked["key"], names), _top("Models", ranked["model"]), _top("Providers", ranked["provider"])]


def _ranked(entries: dict[str, Totals]) -> list[tuple[Any, Totals]]:
    return sorted(entries.items(), key=lambda entry: (-entry[1].spend, -entry[1].calls))[:TOP]


def _top(title: str, ranked: list[tuple[Any, Totals]], names: dict[int, str] | None = None) -> dict[str, Any]:
    most = max((totals.spend for _, totals in ranked), default=Decimal(0))
    return {
        "title": title,
        "rows": [
            {
                "name": names.get(name, "") if names is not None else name,
                "id": name if names is not None else None,
                "calls": f"{totals.calls:,}",
                "spend": glance(totals.spend),
                "percent": int(totals.spend * 100 / most) if most else 0,
            }
            for name, totals in ranked
        ],
    }


def row(charge: Charge) -> dict[str, Any]:
    """One line of the latest calls."""
    prompt = charge.input_tokens + charge.cached_read_tokens + charge.cached_write_tokens
    return {
        "charge": charge,
        "time": moment(charge.created_at),
        "tokens": f"{prompt:,} / {charge.output_tokens:,}",
        "fee": money(charge.fee),
        "took": "–" if charge.total_ms is None else f"{charge.total_ms / 1000:.2f} s",
        "color": COLORS.get(charge.outcome, "danger"),
    }
