"""A key's money: from what its row there says, and what came here of it already, to the entries that are missing.

What must hold in the end is `accounts.services.ledger.audit`; what should is that the key has the total, the month's
fee and the balance here that it has there. The first run and every later one go the same way: entries are made for the
difference, so that a second run finds none. What the key itself did here in between stays beside it.

The choices, where BRConnector's own figures leave some:

- total_fee is the sum of all charges, unless its threads and its month come to more: those were paid for.
- month_fee belongs to the month of the key's last use (updated_at), and goes down only with the month.
- What that month's threads cost beyond month_fee was paid from the balance, as the quota pays first there, too.
- Money that was paid in and is no longer there has been spent, by calls before that month as far as there were any.
- What then still lies between payments and balance is one correcting payment: BRConnector rounds payments to cents,
  gives first balances without one, and for a time took nothing off a balance.
"""

from dataclasses import dataclass, replace
from datetime import date

from gateway.moving.carried import Rest


@dataclass(frozen=True, slots=True)
class Target:
    """What its row and its threads there say. `threads`: the cost of the month's, all of them. In 10^-10 USD."""

    total: int
    month_fee: int
    balance: int
    month: date
    threads: int


@dataclass(frozen=True, slots=True)
class Books:
    """What came from there already: fees, the target's month's parts of them, the balance's part, payments."""

    total: int = 0
    month_fee: int = 0
    month_balance_fee: int = 0
    balance_fee: int = 0
    payments: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """The key's own, as they stand here."""

    month: date
    month_fee: int = 0
    balance: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Entries:
    """What is to be written: the carried charges as they are to be then, a correcting payment, the counters.

    `debt`: by how much the balance there went down beyond what is left here.
    """

    month: Rest
    before: Rest
    correction: int
    counters: Counters
    debt: int


def entries(target: Target, books: Books, payments: int, rests: tuple[Rest, Rest], counters: Counters) -> Entries:
    """`payments`: the sum of those that come in this run. `rests`: the carried charges of the target's month, and of
    the time before, as they are."""
    month, before = replace(rests[0]), replace(rests[1])
    quota = max(target.month_fee - books.month_fee, 0)
    # A month_fee beyond the total is an odd figure of theirs, but the quota has gone.
    grown = max(target.total - books.total, quota - before.fee, 0)
    before.quota += grown
    before.take(quota)
    month.quota += quota
    balance = target.threads - books.month_fee - quota - books.month_balance_fee
    balance = min(max(balance, 0), before.fee)
    before.take(balance)
    month.balance += balance
    spent_of_balance = month.balance + before.balance - rests[0].balance - rests[1].balance
    there = books.payments + payments - books.balance_fee - spent_of_balance
    here = counters.balance + payments - spent_of_balance
    missing = max(target.balance - there, -here)
    gone = min(max(-missing, 0), before.quota)
    before.quota -= gone
    before.balance += gone
    return Entries(
        month=_marked(month, rests[0]),
        before=_marked(before, rests[1]),
        correction=missing + gone,
        counters=_moved_on(counters, target, books, quota, here + missing, grown),
        debt=max(there - target.balance - here, 0),
    )


def _marked(rest: Rest, before: Rest) -> Rest:
    return replace(rest, has_changed=(rest.quota, rest.balance) != (before.quota, before.balance))


def _moved_on(counters: Counters, target: Target, books: Books, quota: int, balance: int, grown: int) -> Counters:
    month, month_fee = counters.month, counters.month_fee
    if target.month == month:
        month_fee += quota
    elif target.month > month:  # nothing was charged in it here: that would have turned the month
        month, month_fee = target.month, books.month_fee + quota
    return Counters(month, month_fee, balance, counters.spent + grown)
