"""Money on keys' balances: put there, given back, put right. Each is a row that says who and why, and stays as it is.

All of it happens under the lock of the key's row, as the ledger's own writes do, so sums stay exact whatever races.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from accounts.models import ApiKey, Charge, Payment, PaymentKind, State, User
from accounts.services.ledger.decisions import this_month
from common.money import LIMIT_USD, show, to_units

NO_LIMIT = "This key has no limit, so a balance would never be used. Set its month quota first."
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes a payment: a person, a program with a key, or, with a name alone, something without a row here."""

    user: User | None = None
    key: ApiKey | None = None
    name: str = ""

    @property
    def who(self) -> str:
        """What they are called now; it outlasts their row."""
        if self.user is not None:
            return self.user.get_username()
        return self.name or (self.key.name if self.key else "")


NOBODY = Maker()


@transaction.atomic
def recharge(*, key: ApiKey, amount: Decimal, note: str = "", by: Maker = NOBODY) -> Payment:
    """Put money on a key's balance. Raises ValidationError unless the amount is above zero and the key has a limit."""
    if amount <= 0:
        raise ValidationError({"amount": "Give an amount above zero."})
    locked = lock(key.pk, by)
    if locked.month_quota is None:
        raise ValidationError({"amount": NO_LIMIT})
    if not locked.is_active:
        raise ValidationError({"amount": "This key has been revoked."})
    payment = book(locked, amount, by=by, note=note)
    key.refresh_from_db()
    return payment


@transaction.atomic
def refund(*, charge: Charge, amount: Decimal | None = None, note: str, by: Maker = NOBODY) -> Payment:
    """Give back what the balance paid for a call: this amount of it, or None for all that is left.

    Only the balance's part: what a month's quota paid was no money. Raises ValidationError.
    """
    _check_note(note)
    locked = lock(charge.key_id, by)
    left = refundable(charge)
    if not left:
        raise ValidationError({"amount": _why_nothing(charge)})
    wanted = left if amount is None else amount
    if not 0 < wanted <= left:
        raise ValidationError({"amount": f"Give an amount above zero and at most {_usd(left)}, which is left of it."})
    return book(locked, wanted, by=by, note=note, kind=PaymentKind.REFUND, charge=charge)


def refundable(charge: Charge) -> Decimal:
    """What the balance has paid for a call and was not given back: by its charge, by re-rating, by refunds."""
    rated = Charge.objects.filter(Q(pk=charge.pk) | Q(corrects=charge.pk), state=State.SETTLED)
    paid = rated.order_by().aggregate(total=Sum("balance_fee"))["total"] or NOTHING
    refunded = charge.refunds.order_by().aggregate(total=Sum("amount"))["total"] or NOTHING
    return max(paid - refunded, NOTHING) if charge.corrects_id is None else NOTHING


def _why_nothing(charge: Charge) -> str:
    state = Charge.objects.values_list("state", flat=True).get(pk=charge.pk)
    if state == State.HELD:
        return "This call is still running: it has no fee yet."
    return "The balance has paid nothing for this call that was not given back. What a quota paid was no money."


@transaction.atomic
def correct(*, key: ApiKey, amount: Decimal, note: str, corrects: Payment | None = None, by: Maker = NOBODY) -> Payment:
    """Put a balance right: more of it, or, below zero, less, but never less than 0 or than running calls hold of it.

    Always with a note of why. `corrects`: the payment that was wrong. Raises ValidationError.
    """
    _check_note(note)
    if not amount:
        raise ValidationError({"amount": "Give an amount other than zero."})
    if corrects is not None and corrects.key_id != key.pk:
        raise ValidationError({"corrects": "That payment is another key's."})
    locked = lock(key.pk, by)
    removable = max(locked.balance - _needed(locked), NOTHING)
    if amount < -removable:
        raise ValidationError(
            {
                "amount": f"At most {_usd(removable)} can be taken off: the balance is {_usd(locked.balance)}, and "
                f"calls that are running need {_usd(_needed(locked))} of it."
            }
        )
    payment = book(locked, amount, by=by, note=note, kind=PaymentKind.CORRECTION, corrects=corrects)
    key.refresh_from_db()
    return payment


def _needed(key: ApiKey) -> Decimal:
    """What the holds of running calls leave to be paid by the balance, should they all cost so much."""
    left = key.quota_left(this_month())
    return NOTHING if left is None else max(key.held - left, NOTHING)


def lock(key_id: int, by: Maker = NOBODY) -> ApiKey:
    """The key's row as it is now, until the transaction ends nobody else's to write.

    With the row of the key that pays, in the ledger's order: the payment's reference locks that one, too.
    """
    ids = {key_id, by.key.pk if by.key else key_id}
    locked = {key.pk: key for key in ApiKey.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
    return locked[key_id]


def book(locked: ApiKey, amount: Decimal, *, by: Maker, note: str = "", **columns: Any) -> Payment:
    """Write a payment and the balance that follows from it. The caller has the row's lock. Raises ValidationError."""
    if locked.balance + amount > LIMIT_USD:
        raise ValidationError({"amount": f"A balance is at most {LIMIT_USD} USD."})
    payment = Payment(key=locked, amount=amount, note=note, made_by=by.user, made_by_key=by.key, who=by.who, **columns)
    payment.full_clean()
    payment.save()
    ApiKey.objects.filter(pk=locked.pk).update(balance=locked.balance + amount, updated_at=timezone.now())
    return payment


def _check_note(note: str) -> None:
    if not note.strip():
        raise ValidationError({"note": "Say why."})


def _usd(amount: Decimal) -> str:
    return f"{show(to_units(amount))} USD"
