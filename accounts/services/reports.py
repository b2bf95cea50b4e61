"""What calls came to: sums and lists, within bounds of time and of what was called.

Sums are those of calls that are over. They are read from the days of spend; only where a bound of time lies within a
day are that day's charges read, by the index of when they were over.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

from django.db.models import (
    Case,
    Count,
    DateField,
    Expression,
    F,
    IntegerField,
    Model,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts.models import ApiKey, Charge, DayOfSpend, User
from accounts.services.rollups import FAILED
from accounts.services.spans import spans
from common.money import DECIMALS, MoneyField

Rows = TypeVar("Rows", bound=Model)

INPUT = F("input_tokens") + F("cached_read_tokens") + F("cached_write_tokens")
# What sums can be grouped by, as columns of both tables; days are told apart in another way.
GROUPS: dict[str, Any] = {
    "day": F("day"),
    "key": F("key_id"),
    "group": F("group_id"),
    "provider": F("provider_name"),
    "model": F("model_name"),
    "tag": F("tags"),
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
    group: int | None = None
    provider: str = ""
    model: str = ""
    search: str = ""
    # The time that is meant: of the call, or with "settled_at" of its end, which is what sums go by.
    clock: str = "created_at"

    def apply(self) -> QuerySet[Charge]:
        found = self.narrow(Charge.objects.order_by(), **{self.clock: (self.since, self.until)})
        return found.filter(_anywhere(self.search)) if self.search else found

    def narrow(self, rows: QuerySet[Rows], **between: tuple[Any, Any]) -> QuerySet[Rows]:
        """Charges or days of spend, with bounds on a column of time; all bounds but the search."""
        bounds: dict[str, Any] = {
            "group_id": self.group,
            "provider_name": self.provider or None,
            "model_name": self.model or None,
        }
        for column, (since, until) in between.items():
            bounds |= {f"{column}__gte": since, f"{column}__lt": until}
        rows = rows.filter(**{name: value for name, value in bounds.items() if value is not None})
        return rows if self.keys is None else rows.filter(key__in=self.keys.order_by().values("id"))


@dataclass(frozen=True, slots=True)
class Total:
    """What some calls came to; money in USD. `group` is the day, key, group (ids), provider, model or tag that they
    share, if any."""

    calls: int
    input_tokens: int
    output_tokens: int
    fee: Decimal
    failed: int = 0
    group: Any = None

    @property
    def fee_per_call(self) -> Decimal:
        exact = self.fee / self.calls if self.calls else Decimal(0)
        return exact.quantize(Decimal(1).scaleb(-DECIMALS), ROUND_HALF_EVEN)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


NOTHING = Total(0, 0, 0, Decimal(0))


def total(bounds: Bounds) -> Total:
    return added(Total(**source.rows.aggregate(**source.sums)) for source in _sources(bounds))


def totals(bounds: Bounds, *, by: str) -> list[Total]:
    """One for each of `by` (a name of GROUPS), in its order. A call with several tags counts for each of them."""
    found: dict[Any, list[Total]] = defaultdict(list)
    for source in _sources(bounds):
        column = source.day if by == "day" else GROUPS[by]
        for row in source.rows.values(of=column).annotate(**source.sums).order_by():
            of = row.pop("of")
            for group in _tags(of) if by == "tag" else (of,):
                found[group].append(Total(**row))
    each = (added(found[group], group) for group in sorted(found))
    return [total for total in each if total.calls or total.fee]  # a part of a day in which nobody called is no group


def totals_by_model(bounds: Bounds) -> list[tuple[str, str, Total]]:
    """Provider, model and what they came to together."""
    return [(*names, each) for names, each in _together(bounds, ("provider_name", "model_name"))]


def totals_by_all(bounds: Bounds) -> list[tuple[int, str, str, Total]]:
    """Key, model, provider and what they came to together: who was dearest can be seen in it from each side."""
    return [(*names, each) for names, each in _together(bounds, ("key_id", "model_name", "provider_name"))]


def _together(bounds: Bounds, names: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Total]]:
    found: dict[tuple[Any, ...], list[Total]] = defaultdict(list)
    for source in _sources(bounds):
        for row in source.rows.values(*names).annotate(**source.sums).order_by():
            found[tuple(row.pop(name) for name in names)].append(Total(**row))
    for group in sorted(found):
        yield group, added(found[group])


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that sums are read from: days of spend, or charges of a part of a day."""

    rows: QuerySet[Any]
    sums: Mapping[str, Expression]
    day: Any


def _sources(bounds: Bounds) -> Iterator[Source]:
    if bounds.search:  # days don't hold what is looked for
        yield Source(bounds.apply().exclude(settled_at=None), CHARGE_SUMS, None)
        return
    found = spans(bounds.since, bounds.until)
    if found.has_days:
        yield Source(bounds.narrow(DayOfSpend.objects.order_by(), day=(found.first, found.end)), DAY_SUMS, F("day"))
    for part in found.parts:
        rows = bounds.narrow(Charge.objects.order_by(), settled_at=(part.since, part.until))
        yield Source(rows, CHARGE_SUMS, Value(part.day, output_field=DateField()))


def _tags(found: Any) -> Sequence[str]:
    """A day's tags are one text, a charge's a list."""
    tags = found.split(",") if isinstance(found, str) else sorted(found)
    return tags or [""]


def added(totals: Iterable[Total], group: Any = None) -> Total:
    """All of these together."""
    each = list(totals)
    counts = {name: sum(getattr(one, name) for one in each) for name in ("calls", "input_tokens", "output_tokens")}
    fee, failed = sum((one.fee for one in each), Decimal(0)), sum(one.failed for one in each)
    return Total(**counts, fee=fee, failed=failed, group=group)


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


def _anywhere(text: str) -> Q:
    names = ("request_id", "provider_name", "model_name", "upstream_name")
    condition = Q()
    for name in names:
        condition |= Q(**{f"{name}__icontains": text})
    return condition


def _sum(of: Any, output: "IntegerField[int, int] | MoneyField", condition: Q | None = None) -> Coalesce:
    found = Sum(of, output_field=output, filter=condition)
    return Coalesce(found, Value(0, output_field=output), output_field=output)


# A correction of a charge is no call, and moves nothing but money.
IS_CALL = Q(corrects=None)
CHARGE_SUMS: dict[str, Expression] = {
    "calls": Count("id", filter=IS_CALL),
    "failed": Count("id", filter=IS_CALL & Q(outcome__in=FAILED)),
    "input_tokens": _sum(INPUT, IntegerField(), IS_CALL),
    "output_tokens": _sum(F("output_tokens"), IntegerField(), IS_CALL),
    "fee": _sum(F("fee"), MoneyField()),
}
DAY_SUMS: dict[str, Expression] = {
    "calls": _sum(F("calls"), IntegerField()),
    "failed": _sum(F("failed"), IntegerField()),
    "input_tokens": _sum(INPUT, IntegerField()),
    "output_tokens": _sum(F("output_tokens"), IntegerField()),
    "fee": _sum(F("fee"), MoneyField()),
}
