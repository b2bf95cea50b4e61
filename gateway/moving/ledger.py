"""What a key's money is there, what came here of it, and writing the difference (`books` decides what that is)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Left

from accounts.models import ApiKey, Charge, Payment, PaymentKind
from accounts.services import rollups
from common.money import show, to_units, to_usd
from gateway.moving import carried
from gateway.moving.books import Books, Counters, Target, entries
from gateway.moving.carried import Rest, Rests
from gateway.moving.drafts import TABLE, Draft, amount
from gateway.moving.move import Move, create_with_times, whole_units
from gateway.moving.source import PaymentRow

PAYMENTS = "eiai_payment"
BOOKS = "books of keys"  # in the report
SUMS = """
    SELECT t.key_id, sum(t.fee), coalesce(sum(t.fee) FILTER (WHERE {same_month}), 0)
    FROM eiai_thread t JOIN eiai_key k ON k.id = t.key_id
    WHERE t.fee >= 0 AND t.fee <> 'NaN' GROUP BY t.key_id"""
# Times there have no zone; a month is one of ours.
MONTH = "date_trunc('month', {0} AT TIME ZONE %(theirs)s AT TIME ZONE %(ours)s)"


@dataclass(frozen=True, slots=True)
class Sums:
    """What a key's threads cost: all, and those of the month in which it was used last. In 10^-10 USD."""

    all: int = 0
    month: int = 0


def sums_of_threads(move: Move) -> dict[int, Sums]:
    source = move.source
    if not source.has("eiai_thread", "fee"):
        return {}
    has_times = source.has("eiai_thread", "created_at") and source.has(TABLE, "updated_at")
    same_month = f"{MONTH.format('t.created_at')} = {MONTH.format('k.updated_at')}" if has_times else "false"
    zones = {"theirs": move.zone.key, "ours": settings.TIME_ZONE}
    rows = source.run(SUMS.format(same_month=same_month), zones)
    return {key: Sums(whole_units(total) or 0, whole_units(month) or 0) for key, total, month in rows}


# What is to be


def fill(move: Move, found: Sequence[Draft], sums: dict[int, Sums]) -> None:
    """Each key's target, its payments that are not here, and its books."""
    for each in found:
        each.target = _target(move, each, sums.get(each.row.id, Sums()))
    known = [each for each in found if not each.is_new]
    _fill_books(move, known)
    _fill_payments(move, found)


def _target(move: Move, each: Draft, sums: Sums) -> Target:
    row = each.row
    total, month_fee, balance = map(amount, (row.total_fee, row.month_fee, row.balance))
    least = sums.all - sums.month + max(sums.month, month_fee)
    if least > total:
        reason = "its threads and its month_fee come to more than its total_fee, and count in full"
        move.report.odd(TABLE, row.id, reason, f"{show(least)} USD, not {show(total)}")
    used_at = min(move.moment(row.updated_at) or move.now, move.now)
    return Target(max(total, least), month_fee, balance, move.month(used_at), sums.month)


def _fill_books(move: Move, known: Sequence[Draft]) -> None:
    by_key = {each.key.pk: each for each in known}
    parts: dict[str, Any] = {f"sum_of_{name}": Sum(name) for name in ("fee", "quota_fee", "balance_fee")}
    charges = Charge.objects.order_by().filter(carried.of_source(move), key__in=by_key)
    for key_id, month, *sums in charges.values_list("key_id", "month").annotate(**parts):
        each = by_key[key_id]
        each.books = _with_charges(each.books, *map(to_units, sums), is_of_month=month == each.target.month)
    start = Left("note", len(_note(move)))  # SQLite's own `startswith` knows no capitals
    payments = Payment.objects.order_by().annotate(start=start).filter(key__in=by_key, start=_note(move))
    for key_id, paid in payments.values_list("key_id").annotate(Sum("amount")):
        by_key[key_id].books = replace(by_key[key_id].books, payments=to_units(paid))


def _with_charges(books: Books, fee: int, quota: int, balance: int, *, is_of_month: bool) -> Books:
    return replace(
        books,
        total=books.total + fee,
        balance_fee=books.balance_fee + balance,
        month_fee=books.month_fee + quota * is_of_month,
        month_balance_fee=books.month_balance_fee + balance * is_of_month,
    )


def _note(move: Move, text: str = "") -> str:
    """How the payments that came from there begin."""
    return f"Moved in from {move.source.name}: {text}"


def _fill_payments(move: Move, found: Sequence[Draft]) -> None:
    by_id = {each.row.id: each for each in found}
    rows = move.source.those(PAYMENTS, PaymentRow, "key_id", list(by_id))
    uuids = [move.identity(PAYMENTS, row.id) for row in rows]
    here = set(Payment.objects.order_by().filter(uuid__in=uuids).values_list("uuid", flat=True))
    for row, uuid in zip(rows, uuids, strict=True):
        units = whole_units(row.fee)
        if uuid in here:
            move.report.here(PAYMENTS)
        elif not units:
            move.report.left_out(PAYMENTS, row.id, "its amount is 0, or no number", str(row.fee))
        else:
            when = move.moment(row.created_at) or move.now
            note = _note(move, f"payment {row.id}")
            payment = Payment(uuid=uuid, amount=to_usd(units), note=note, created_at=when, updated_at=when)
            by_id[row.key_id].payments.append(payment)
            move.report.added(PAYMENTS)


def plan(move: Move, found: Sequence[Draft]) -> None:
    """What is to be written of each key's money, from its counters as they are now."""
    months = {(each.row.id, each.target.month) for each in found if not each.is_new}
    rests = Rests.of(move, {*months, *((key, None) for key, _ in months)})
    for each in found:
        places = (each.row.id, each.target.month), (each.row.id, None)
        each.rests = (rests.found.get(places[0], Rest()), rests.found.get(places[1], Rest()))
        paid = sum(to_units(payment.amount) for payment in each.payments)
        before = _counters(each)
        each.entries = entries(each.target, each.books, paid, each.rests, before)
        _tell(move, each, before)
        if each.is_new:
            for column, value in _columns(each.entries.counters).items():
                setattr(each.key, column, value)


def _counters(each: Draft) -> Counters:
    if each.is_new:
        return Counters(each.target.month)
    key = each.key
    return Counters(key.month, *(to_units(amount) for amount in (key.month_fee, key.balance, key.spent)))


def _columns(counters: Counters) -> dict[str, Any]:
    amounts = {name: to_usd(getattr(counters, name)) for name in ("month_fee", "balance", "spent")}
    return {"month": counters.month, **amounts}


def _tell(move: Move, each: Draft, before: Counters) -> None:
    made = each.entries
    is_same = made.counters == before and not (made.correction or made.month.has_changed or made.before.has_changed)
    (move.report.here if is_same else move.report.added)(BOOKS)
    if made.correction:
        reason = "its payments and calls don't come to its balance; a correcting payment makes up for it"
        move.report.odd(TABLE, each.row.id, reason, f"{show(made.correction)} USD")
    if made.debt:
        reason = "its balance there went down by more than it has left here; it is empty now"
        move.report.odd(TABLE, each.row.id, reason, f"by {show(made.debt)} USD")


# Writing it


def write(move: Move, found: Sequence[Draft]) -> None:
    """Payments, carried charges and counters, within the caller's transaction. New keys were stored with theirs."""
    create_with_times([payment for each in found for payment in _payments(move, each)])
    charges = [charge for each in found for charge in _new_charges(move, each)]
    create_with_times(charges)
    rollups.add_each(connection, [charge.pk for charge in charges])
    Rests({place: rest for each in found for place, rest in _rests(each)}).store(move.now)
    for each in found:
        if not each.is_new and each.entries.counters != _counters(each):
            ApiKey.objects.filter(pk=each.key.pk).update(**_columns(each.entries.counters))


def _payments(move: Move, each: Draft) -> list[Payment]:
    payments = list(each.payments)
    if correction := each.entries.correction:
        note = _note(move, "correction, as payments and calls don't come to the balance")
        times = {"created_at": move.now, "updated_at": move.now}
        payments.append(Payment(kind=PaymentKind.CORRECTION, amount=to_usd(correction), note=note, **times))
    for payment in payments:
        payment.key_id = each.key.pk
    return payments


def _rests(each: Draft) -> list[tuple[carried.Place, Rest]]:
    key, made = each.row.id, each.entries
    return [((key, each.target.month), made.month), ((key, None), made.before)]


def _new_charges(move: Move, each: Draft) -> list[Charge]:
    """Those of the month stand at the key's last use, those of the time before at its making."""
    times = (move.moment(each.row.updated_at), each.key.created_at)
    return [
        carried.charge_of(move, place, each.key.pk, rest, min(when or move.now, move.now))
        for (place, rest), when in zip(_rests(each), times, strict=True)
        if rest.fee and not rest.charge_id
    ]


def tell_orphans(move: Move) -> None:
    """Payments that are on no key here."""
    query = "SELECT id, key_id FROM eiai_payment WHERE key_id <> ALL(%(keys)s::int[]) ORDER BY id"
    for payment_id, key_id in move.source.run(query, {"keys": list(move.keys)}):
        move.report.left_out(PAYMENTS, payment_id, "its key was not brought over", f"key {key_id}")
