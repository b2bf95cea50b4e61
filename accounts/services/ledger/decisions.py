"""The rules of the ledger, on one key's row at a time. No database here: the batch brings the row and takes it back."""

from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from accounts.errors import InsufficientQuota, KeyExpired, KeyRevoked, Refused, StaleResolution
from accounts.models import Metric
from accounts.services.ledger.holds import covered_output, hold_for
from accounts.services.ledger.limiting import deciding, telling
from accounts.services.ledger.limiting.counters import Counters
from accounts.services.ledger.limiting.rules import each_once
from accounts.services.ledger.types import Account, Admission, Admitted, Option, Prices, Settlement
from common.money import show


@dataclass(frozen=True, slots=True)
class Split:
    """Who pays a fee, in units."""

    fee: int
    quota_fee: int
    balance_fee: int
    shortfall: int


def admit(admission: Admission, account: Account | None, counters: Counters, version: int) -> Admitted:
    """Take a hold on the key and on all limits that fit, or say why not (a `Refused`, or `StaleResolution`)."""
    account = _usable(account, counters.clock.now)
    rights = (admission.group_id, admission.all_models, admission.email, admission.config_version)
    if rights != (account.group_id, account.all_models, account.email, version):
        raise StaleResolution
    try:
        output = deciding.shorten(admission, admission.claims, counters, _affordable_output(admission, account))
        options, output = deciding.choose(admission, counters, output)
    except Refused as refusal:
        refusal.headers |= telling.headers(admission.claims, counters)
        raise
    hold = hold_for(admission, output)
    account.held += hold
    account.changed = True
    return _admitted(admission, account, counters, Terms(hold, output, options))


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a call is let in: units of money, answer tokens, and where it may go."""

    hold: int
    output: int
    options: tuple[Option, ...]


def _admitted(admission: Admission, account: Account, counters: Counters, terms: Terms) -> Admitted:
    # Several places may be of one provider or of one model.
    claims = each_once([*admission.claims, *(claim for option in terms.options for claim in option.claims)])
    blocking = {claim.rule.metric for claim in claims if claim.rule.is_blocking}
    entries = deciding.hold(admission, claims, counters, terms.output)
    return Admitted(
        admission.request_id,
        account.id,
        terms.hold,
        terms.output,
        is_limited=account.month_quota is not None or Metric.COST in blocking,
        caps_tokens=not blocking.isdisjoint(deciding.CAP_OUTPUT),
        entries=entries,
        options=terms.options,
        headers=telling.headers(claims, counters) if claims else {},
    )


def _usable(account: Account | None, now: datetime) -> Account:
    if account is None or not account.is_active:
        raise KeyRevoked("This API key has been revoked.")
    if account.expires_at is not None and account.expires_at <= now:
        raise KeyExpired("This API key has expired.")
    return account


def _affordable_output(admission: Admission, account: Account) -> int:
    """The most answer tokens that the key can pay; raises InsufficientQuota."""
    if account.month_quota is None:
        return admission.output_bound
    output = covered_output(admission, hold_for, account.free, admission.output_bound)
    if output is None:
        raise InsufficientQuota(
            f"This call may cost {show(hold_for(admission, admission.output_bound))} USD "
            f"and the key has {show(max(account.free, 0))} USD left. Recharge it or wait for the month to turn."
        )
    return output


def settle(settlement: Settlement, account: Account, hold: int, prices: Prices, most: int | None = None) -> Split:
    """Turn a hold into a fee: the month's quota pays first, then the balance, and never more than there is, nor more
    than `most`, which limits of cost allow.

    A cost beyond the hold (the upstream used more than it was told to) is paid from what is free; the rest is
    written down as the shortfall, so that the limit holds and the difference can be seen.
    """
    account.held -= hold
    return pay(account, settlement.tokens.cost(prices), most)


def pay(account: Account, cost: int, most: int | None = None) -> Split:
    """Take what a call costs, as far as there is money for it and `most` allows."""
    fee = cost if account.month_quota is None else min(cost, max(account.free, 0))
    fee = fee if most is None else min(fee, most)
    quota_fee = fee if account.month_quota is None else min(fee, account.quota_left)
    account.month_fee += quota_fee
    account.balance -= fee - quota_fee
    account.spent += fee
    account.changed = True
    return Split(fee, quota_fee, fee - quota_fee, cost - fee)


def take_back(account: Account, month: date, quota_fee: int, balance_fee: int) -> None:
    """Undo a fee that was a guess, before the call is settled by what is known."""
    if account.month == month:
        account.month_fee -= quota_fee
    account.balance += balance_fee
    account.spent -= quota_fee + balance_fee


def first_of_month(moment: date | datetime) -> date:
    """The day that names a calendar month; `moment` is local to the configured zone."""
    return date(moment.year, moment.month, 1)


def this_month() -> date:
    return first_of_month(timezone.localdate())
