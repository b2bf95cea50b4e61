"""The rules of the ledger, on one key's row at a time. No database here: the batch brings the row and takes it back."""

from dataclasses import dataclass
from datetime import date, datetime

from accounts.errors import InsufficientQuota, KeyExpired, KeyRevoked, StaleResolution
from accounts.services.ledger.types import Account, Admission, Admitted, Prices, Settlement
from common.money import TOKENS_PER_PRICE, cost_units, show


@dataclass(frozen=True, slots=True)
class Split:
    """Who pays a fee, in units."""

    fee: int
    quota_fee: int
    balance_fee: int
    shortfall: int


def admit(admission: Admission, account: Account | None, version: int, now: datetime) -> Admitted:
    """Take a hold on the key, or say why not (a `Refused`, or `StaleResolution`)."""
    account = _usable(account, now)
    rights = (admission.group_id, admission.all_models, admission.config_version)
    if rights != (account.group_id, account.all_models, version):
        raise StaleResolution
    output = admission.output_bound
    hold = hold_for(admission, output)
    is_limited = account.month_quota is not None
    if is_limited and hold > account.free:
        output = _affordable_output(admission, account.free)
        hold = hold_for(admission, output)
    account.held += hold
    account.changed = True
    return Admitted(admission.request_id, account.id, hold, output, is_limited)


def _usable(account: Account | None, now: datetime) -> Account:
    if account is None or not account.is_active:
        raise KeyRevoked("This API key has been revoked.")
    if account.expires_at is not None and account.expires_at <= now:
        raise KeyExpired("This API key has expired.")
    return account


def hold_for(admission: Admission, output: int) -> int:
    """What a call with so many answer tokens may cost at most, in units."""
    prices = (admission.hold_price_in, admission.hold_price_out, admission.hold_price_request)
    return cost_units(tuple(zip((admission.prompt_bound, output, 1), prices, strict=True)))


def _affordable_output(admission: Admission, free: int) -> int:
    """The most answer tokens that `free` covers beside the prompt, a whole number for each choice."""
    prompt_cost = admission.prompt_bound * admission.hold_price_in + admission.hold_price_request
    # cost_units rounds half up, so this is the largest output whose rounded cost is still within `free`.
    rest = (free + 1) * TOKENS_PER_PRICE - 1 - TOKENS_PER_PRICE // 2 - prompt_cost
    each = rest // admission.hold_price_out // admission.choices if admission.hold_price_out else 0
    if rest < 0 or each < 1 or not admission.can_lower_output:
        raise InsufficientQuota(
            f"This call may cost {show(hold_for(admission, admission.output_bound))} USD "
            f"and the key has {show(max(free, 0))} USD left. Recharge it or wait for the month to turn."
        )
    return min(each * admission.choices, admission.output_bound)


def settle(settlement: Settlement, account: Account, hold: int, prices: Prices) -> Split:
    """Turn a hold into a fee: the month's quota pays first, then the balance, and never more than there is.

    A cost beyond the hold (the upstream used more than it was told to) is paid from what is free; the rest is
    written down as the shortfall, so that the limit holds and the difference can be seen.
    """
    cost = settlement.tokens.cost(prices)
    account.held -= hold
    fee = cost if account.month_quota is None else min(cost, max(account.free, 0))
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
