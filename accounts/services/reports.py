"""What calls came to: sums and lists over the charges, within bounds of time and of what was called.

Every bound narrows by an indexed column where there is one (time, key, provider, model); sums are read in one query.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db.models import Case, Count, DateField, Expression, F, Func, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts.models import ApiKey, Charge, User
from common.money import DECIMALS, MoneyField

INPUT = F("input_tokens") + F("cached_read_tokens") + F("cached_write_tokens")
GROUPS: dict[str, Any] = {
    # The database's own function, on times that it has in UTC: Django's would call back into Python for each charge.
    "day": Func("created_at", function="DATE", output_field=DateField()),
    "provider": F("provider_name"),
    "model": F("model_name"),
}
# When somebody last did something with a key or to it.
KEY_MOVED = Greatest(F("updated_at"), Coalesce("last_used_at", "updated_at"))
# What a list of charges can be put in order by.
ORDERS = {
    "time": "id",
    "provider": "provider_name",
    "model": "model_name",
    "fee": "fee",
    "milliseconds": "total_ms",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which calls are meant; None and empty: all. `since` is included, `until` is not. Names are those at the time."""

    since: datetime | None = None
    until: datetime | None = None
    keys: QuerySet[ApiKey] | None = None
    provider: str = ""
    model: str = ""
    search: str = ""

    def apply(self) -> QuerySet[Charge]:
        found = Charge.objects.order_by()
        bounds: dict[str, Any] = {
            "created_at__gte": self.since,
            "created_at__lt": self.until,
            "provider_name": self.provider or None,
            "model_name": self.model or None,
        }
        found = found.filter(**{name: value for name, value in bounds.items() if value is not None})
        if self.keys is not None:
            found = found.filter(key__in=self.keys.order_by().values("id"))
        return found.filter(_anywhere(self.search)) if self.search else found


@dataclass(frozen=True, slots=True)
class Total:
    """What some calls came to; money in USD. `group` is the day, provider or model that they share, if any."""

    calls: int
    input_tokens: int
    output_tokens: int
    fee: Decimal
    group: Any = None

    @property
    def fee_per_call(self) -> Decimal:
        exact = self.fee / self.calls if self.calls else Decimal(0)
        return exact.quantize(Decimal(1).scaleb(-DECIMALS), ROUND_HALF_EVEN)


def total(bounds: Bounds) -> Total:
    return _total(bounds.apply().aggregate(**_sums()))


def totals(bounds: Bounds, *, by: str) -> list[Total]:
    """One for each of `by` (a name of GROUPS), in its order."""
    rows = bounds.apply().values(group=GROUPS[by]).annotate(**_sums()).order_by("group")
    return [_total(row) for row in rows]


def totals_by_model(bounds: Bounds) -> list[tuple[str, str, Total]]:
    """Provider, model and what they came to together."""
    names = ("provider_name", "model_name")
    rows: Iterable[dict[str, Any]] = bounds.apply().values(*names).annotate(**_sums()).order_by(*names)
    return [(row.pop("provider_name"), row.pop("model_name"), _total(row)) for row in rows]


def charges(bounds: Bounds, *, order: str, is_ascending: bool, offset: int, limit: int) -> tuple[Sequence[Charge], int]:
    """A page of the calls, and how many there are of them. `order` is a name of ORDERS."""
    found = bounds.apply()
    column = F(ORDERS[order])
    ordered = (column.asc(nulls_last=True), "id") if is_ascending else (column.desc(nulls_last=True), "-id")
    page = list(found.order_by(*ordered).values_list("id", flat=True)[offset : offset + limit])
    # Whole rows only of the page: sorting them all would take ten times as long.
    rows = Charge.objects.select_related("key__owner").in_bulk(page)
    return [rows[id] for id in page], found.count()


@dataclass(frozen=True, slots=True)
class Usage:
    """What somebody's calls came to, with whatever keys they made them. Days and months are those of the gateway."""

    today: Total
    month: Total
    ever: Total


def usage_of(user: User) -> Usage:
    keys = ApiKey.objects.filter(owner=user)
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Usage(
        today=total(Bounds(since=midnight, keys=keys)),
        month=total(Bounds(since=midnight.replace(day=1), keys=keys)),
        ever=total(Bounds(keys=keys)),
    )


@dataclass(frozen=True, slots=True)
class KeyTotals:
    """How many keys there are, how many of them have ever cost something, and what; money in USD."""

    count: int
    active: int
    active_this_month: int
    total_spent: Decimal
    total_month_fee: Decimal


def key_totals(keys: QuerySet[ApiKey]) -> KeyTotals:
    """`active_this_month`: those that have cost something, and were used or changed since the month began."""
    midnight = timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    has_cost = Q(spent__gt=0)
    rows = keys.order_by().annotate(moved=KEY_MOVED, fee_now=month_fee(midnight.date()))
    return KeyTotals(
        **rows.aggregate(
            count=Count("id"),
            active=Count("id", filter=has_cost),
            active_this_month=Count("id", filter=has_cost & Q(moved__gte=midnight)),
            total_spent=_sum(F("spent"), MoneyField()),
            total_month_fee=_sum(F("fee_now"), MoneyField()),
        )
    )


def month_fee(month: date) -> Case:
    """`ApiKey.fee_in` as a column."""
    return Case(When(month=month, then=F("month_fee")), default=Value(0), output_field=MoneyField())


def _total(row: Mapping[str, Any]) -> Total:
    return Total(**row)


def _anywhere(text: str) -> Q:
    names = ("request_id", "provider_name", "model_name", "upstream_name")
    condition = Q()
    for name in names:
        condition |= Q(**{f"{name}__icontains": text})
    return condition


def _sums() -> dict[str, Expression]:
    return {
        "calls": Count("id"),
        "input_tokens": _sum(INPUT, IntegerField()),
        "output_tokens": _sum(F("output_tokens"), IntegerField()),
        "fee": _sum(F("fee"), MoneyField()),
    }


def _sum(of: Any, output: "IntegerField[int, int] | MoneyField") -> Coalesce:
    return Coalesce(Sum(of, output_field=output), Value(0, output_field=output), output_field=output)
