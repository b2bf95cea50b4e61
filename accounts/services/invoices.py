"""What a key had, was paid, spent and has left in a month, exact to the unit and equal to the ledger.

All of it follows from payments and days of spend, read at one moment. A month is one of the gateway's zone, and a call
belongs to the month in which it was over.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from accounts.models import ApiKey, DayOfSpend, Payment, PaymentKind
from accounts.services.charge_export import table
from accounts.services.reports import INPUT
from accounts.services.rollups import start_of
from common.database import one_moment
from common.months import next_month

NOTHING = Decimal(0)
SUMS = {
    "calls": Sum("calls"),
    "input_tokens": Sum(INPUT),
    "output_tokens": Sum("output_tokens"),
    "quota_part": Sum("quota_fee"),
    "balance_part": Sum("balance_fee"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """What some calls of the month came to; who paid for them."""

    calls: int
    input_tokens: int
    output_tokens: int
    quota_part: Decimal
    balance_part: Decimal
    day: date | None = None
    model: str = ""
    provider: str = ""

    @property
    def fee(self) -> Decimal:
        return self.quota_part + self.balance_part


@dataclass(frozen=True, slots=True)
class Invoice:
    """A key's month. `opening` + `paid` - `balance_part` = `closing`, and `fee` = `quota_part` + `balance_part`."""

    key: ApiKey
    month: date
    opening: Decimal
    payments: list[Payment]
    lines: list[Line]

    @property
    def paid(self) -> Decimal:
        """Recharges, codes, refunds and corrections together."""
        return sum((payment.amount for payment in self.payments), NOTHING)

    @property
    def closing(self) -> Decimal:
        return self.opening + self.paid - self.total.balance_part

    @property
    def total(self) -> Line:
        return added(self.lines)

    @property
    def by_model(self) -> list[Line]:
        return [added(some, model=model, provider=provider) for (model, provider), some in _by(self.lines, _served_by)]

    @property
    def by_day(self) -> list[Line]:
        return [added(some, day=day) for (day,), some in _by(self.lines, lambda line: (line.day,))]

    def paid_as(self, kind: PaymentKind) -> Decimal:
        return sum((payment.amount for payment in self.payments if payment.kind == kind), NOTHING)


def _served_by(line: Line) -> tuple[str, str]:
    return line.model, line.provider


def _by(lines: Iterable[Line], group: Any) -> list[tuple[Any, list[Line]]]:
    found: dict[Any, list[Line]] = {}
    for line in lines:
        found.setdefault(group(line), []).append(line)
    return sorted(found.items())


def added(lines: Iterable[Line], **group: Any) -> Line:
    """All of these together."""
    each = list(lines)
    return Line(
        calls=sum(line.calls for line in each),
        input_tokens=sum(line.input_tokens for line in each),
        output_tokens=sum(line.output_tokens for line in each),
        quota_part=sum((line.quota_part for line in each), NOTHING),
        balance_part=sum((line.balance_part for line in each), NOTHING),
        **group,
    )


def invoice(*, key: ApiKey, month: date) -> Invoice:
    """The month that begins with that day. One that is not over yet is told as far as it is."""
    with one_moment():
        return Invoice(key, month, _balance_at(key, month), list(_payments(key, month)), list(_lines(key, month)))


def _balance_at(key: ApiKey, month: date) -> Decimal:
    """Before the month began."""
    paid = Payment.objects.filter(key=key, created_at__lt=start_of(month)).order_by()
    spent = DayOfSpend.objects.filter(key=key, day__lt=month).order_by()
    sums = (paid.aggregate(total=Sum("amount"))["total"], spent.aggregate(total=Sum("balance_fee"))["total"])
    return (sums[0] or NOTHING) - (sums[1] or NOTHING)


def _payments(key: ApiKey, month: date) -> QuerySet[Payment]:
    return _paid_in(month).filter(key=key).order_by("created_at", "id")


def _paid_in(month: date) -> QuerySet[Payment]:
    return Payment.objects.filter(created_at__gte=start_of(month), created_at__lt=start_of(next_month(month)))


def _lines(key: ApiKey, month: date) -> Iterator[Line]:
    rows = DayOfSpend.objects.filter(key=key, **_days_of(month))
    named = rows.values("day", model=F("model_name"), provider=F("provider_name"))
    found: Iterable[Any] = named.annotate(**SUMS).order_by("day", "model", "provider")
    for row in found:
        yield Line(**row)


def _days_of(month: date) -> dict[str, date]:
    return {"day__gte": month, "day__lt": next_month(month)}


@dataclass(frozen=True, slots=True)
class Summary:
    """A key's month in one row."""

    key: ApiKey
    calls: int
    quota_part: Decimal
    balance_part: Decimal
    paid: Decimal

    @property
    def fee(self) -> Decimal:
        return self.quota_part + self.balance_part


def summaries(*, month: date, search: str = "") -> list[Summary]:
    """Each key that spent or was paid something in the month, the dearest first. `search`: a part of its name."""
    spent: Iterable[Any] = DayOfSpend.objects.filter(**_days_of(month)).order_by().values("key_id").annotate(**SUMS)
    paid = _paid_in(month).order_by().values_list("key_id").annotate(total=Sum("amount"))
    payments = dict(paid)
    calls = {row.pop("key_id"): row for row in spent}
    keys = ApiKey.objects.filter(pk__in=calls.keys() | payments.keys(), name__icontains=search).select_related("group")
    found = [_summary(key, calls.get(key.pk, {}), payments.get(key.pk, NOTHING)) for key in keys]
    return sorted(found, key=lambda each: (-each.fee, -each.paid, each.key.pk))


def _summary(key: ApiKey, row: dict[str, Any], paid: Decimal) -> Summary:
    parts = (row.get("quota_part", NOTHING), row.get("balance_part", NOTHING))
    return Summary(key, row.get("calls", 0), *parts, paid)


# As CSV: a line for each step from the opening balance to the closing one.

COLUMNS = (
    "kind", "date", "text", "model", "provider", "calls", "input_tokens", "output_tokens", "fee", "quota_part",
    "balance_part", "payment", "balance",
)  # fmt: skip


def csv_lines(*, key: ApiKey, month: date) -> Iterator[str]:
    """A month as CSV, line by line: the balance after each day's calls to a model and each payment."""
    found = invoice(key=key, month=month)
    yield _line(COLUMNS)
    yield _line(("opening", month, f"{key.name} ({key.prefix}…)", *[""] * 9, found.opening))
    balance = found.opening
    for day, step in sorted(_steps(found), key=lambda each: each[0]):
        balance += step.amount if isinstance(step, Payment) else -step.balance_part
        yield _line(_payment(day, step, balance) if isinstance(step, Payment) else _spend(step, balance))
    total = found.total
    sums = (total.calls, total.input_tokens, total.output_tokens, total.fee, total.quota_part, total.balance_part)
    yield _line(("closing", next_month(month) - timedelta(days=1), "", "", "", *sums, found.paid, found.closing))


def _steps(found: Invoice) -> Iterator[tuple[date, Payment | Line]]:
    """Of one day payments come first, so that no balance in between is below zero."""
    for payment in found.payments:
        yield local_day(payment), payment
    for line in found.lines:
        yield line.day or found.month, line


def local_day(payment: Payment) -> date:
    """In the gateway's zone."""
    return timezone.localtime(payment.created_at).date()


def _payment(day: date, payment: Payment, balance: Decimal) -> tuple[Any, ...]:
    return (payment.kind, day, payment.note, *[""] * 8, payment.amount, balance)


def _spend(line: Line, balance: Decimal) -> tuple[Any, ...]:
    counts = (line.calls, line.input_tokens, line.output_tokens)
    parts = (line.fee, line.quota_part, line.balance_part)
    return ("calls", line.day, "", line.model, line.provider, *counts, *parts, "", balance)


def _line(cells: Sequence[Any]) -> str:
    return table([cells])
