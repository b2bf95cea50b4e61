"""Charges rated anew: what another price makes of them is written as further rows, never over them.

A correction is a Charge that points at the one it corrects. It has no tokens; its fee and shortfall are the difference,
below zero where the call was too dear. All sums over charges (spent, the month's quota, balances, days of spend) then
come out right by themselves. What is owed is paid as any fee: by this month's quota, then by the balance. What was too
much comes back the other way round: first what nobody had paid, then the balance, then the quota. What the quota of a
month that is over had paid only lowers what was spent: that quota is gone, and no money moves.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from uuid import uuid4

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import ApiKey, Charge, Outcome, Payment, State
from accounts.services import rollups
from accounts.services.ledger import sql
from accounts.services.ledger.decisions import Split, first_of_month, pay
from accounts.services.ledger.types import Account, Bucket, Prices, Row, Tokens
from common.money import to_units, to_usd

ENDPOINT = "rerate"
COPIED = (
    *("key_id", "group_id", "model_id", "provider_id", "model_name", "provider_name", "upstream_name", "is_stream"),
    *("usage_source", "tags", "price_ratio"),
)


@dataclass(frozen=True, slots=True)
class Rating:
    """The prices that a charge should have had, its group's ratio included."""

    prices: Prices
    apart: tuple[Bucket, ...] = ()


@dataclass(slots=True)
class Standing:
    """What a charge and its corrections come to, in units."""

    charge: Charge
    quota_fee: int = 0
    balance_fee: int = 0
    refunded: int = 0
    shortfall: int = 0
    this_month: int = 0  # of the quota's part, what counts for the month that runs

    @property
    def cost(self) -> int:
        return self.quota_fee + self.balance_fee + self.shortfall


def tokens_of(charge: Charge) -> Tokens:
    """What was used, without prices of parts."""
    counts = (charge.input_tokens, charge.cached_read_tokens, charge.cached_write_tokens)
    return Tokens(*counts, charge.output_tokens, charge.reasoning_tokens)


def cost_of(charge: Charge, rating: Rating) -> int:
    """In units."""
    return replace(tokens_of(charge), apart=rating.apart).cost(rating.prices)


def standings(charges: Sequence[Charge], month: date | None = None) -> dict[int, Standing]:
    """By the charge's id. `month`: the one that runs for the key."""
    found = {charge.pk: Standing(charge) for charge in charges}
    for row in (*charges, *Charge.objects.filter(corrects__in=found).order_by("pk")):
        standing = found[row.corrects_id or row.pk]
        standing.quota_fee += to_units(row.quota_fee)
        standing.balance_fee += to_units(row.balance_fee)
        standing.shortfall += to_units(row.shortfall)
        standing.this_month += to_units(row.quota_fee) if row.month == month else 0
    for charge_id, amount in Payment.objects.filter(charge__in=found).values_list("charge_id", "amount"):
        found[charge_id].refunded += to_units(amount)
    return found


@transaction.atomic
def correct(key_id: int, ratings: dict[int, Rating]) -> list[Charge]:
    """Write what these ratings (by the charge's id, all of one key) change, and return the new rows. Doing so again
    changes nothing, as the difference is to all that was written before."""
    account = sql.lock_accounts(connection, {key_id})[0][key_id]
    now = timezone.now()  # one moment for the rows and for the day that counts them
    account.turn_month(first_of_month(timezone.localtime(now)))
    charges = list(Charge.objects.filter(pk__in=ratings, key=key_id, state=State.SETTLED).order_by("pk"))
    rows = []
    for standing in standings(charges, account.month).values():
        rating = ratings[standing.charge.pk]
        difference = cost_of(standing.charge, rating) - standing.cost
        if difference:
            rows.append(_correction(standing, rating, difference, account, now))
    written = Charge.objects.bulk_create(rows)
    sql.run_many(connection, sql.UPDATE_ACCOUNT, [_account_row(account)] if rows else [])
    rollups.add(connection, [row.pk for row in written], now)
    return written


def _correction(standing: Standing, rating: Rating, difference: int, account: Account, now: datetime) -> Charge:
    charge, month = standing.charge, account.month
    is_owed = difference > 0
    split = pay(account, difference) if is_owed else _give_back(standing, account, -difference)
    if split.quota_fee < 0 and -split.quota_fee > standing.this_month:
        month = charge.month or month
    row = Charge(
        request_id=f"{ENDPOINT}-{uuid4().hex}",
        endpoint=ENDPOINT,
        corrects=charge,
        state=State.SETTLED,
        outcome=Outcome.OK,
        attempts=0,
        buckets=list(rating.apart),
        prompt_bound=0,
        output_bound=0,
        hold=0,
        month=month,
        month_quota=None if account.month_quota is None or not is_owed else to_usd(account.month_quota),
        month_fee_after=to_usd(account.month_fee),
        balance_after=to_usd(account.balance),
        settled_at=now,
        **{name: getattr(charge, name) for name in COPIED},
    )
    amounts = zip(("fee", "quota_fee", "balance_fee", "shortfall"), astuple(split), strict=True)
    names = ("price_in", "price_out", "price_cached_read", "price_cached_write")
    for name, units in (*amounts, *zip(names, astuple(rating.prices), strict=True)):
        setattr(row, name, None if units is None else to_usd(units))
    return row


def _give_back(standing: Standing, account: Account, amount: int) -> Split:
    """Who gets it, as amounts below zero."""
    unpaid = min(amount, max(standing.shortfall, 0))
    balance = min(amount - unpaid, max(standing.balance_fee - standing.refunded, 0))
    quota = min(amount - unpaid - balance, max(standing.quota_fee, 0))
    unpaid = amount - balance - quota  # what a refund had given back already is no money of this call's any more
    if quota <= standing.this_month:
        account.month_fee -= quota
    account.balance += balance
    account.spent -= balance + quota
    return Split(-balance - quota, -quota, -balance, -unpaid)


def _account_row(account: Account) -> Row:
    """As the ledger's own writes have it; being rated anew is no use of a key."""
    used_at = ApiKey.objects.values_list("last_used_at", flat=True).get(pk=account.id)
    stamp = None if used_at is None else connection.ops.adapt_datetimefield_value(used_at)
    return (account.month, account.month_fee, account.balance, account.held, account.spent, stamp, account.id)
