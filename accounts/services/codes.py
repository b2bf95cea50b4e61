"""Redemption codes: made in batches, shown once, kept as digests, and money for the first who enters one."""

import math
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.errors import CodeExpired, CodeRefused, CodeUnknown, CodeUsed, CodeVoid, KeyWithoutLimit, TooManyTries
from accounts.models import ApiKey, CodeState, Payment, PaymentKind, RedemptionCode, User, WrongCode
from accounts.models.codes import RedemptionCodeQuerySet
from accounts.services import payments
from accounts.services.keys import check_usable, digest
from accounts.services.payments import Maker

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # without what is read as something else: I and 1, L, O and 0
GROUPS, GROUP_LENGTH = 5, 4  # 99 bits
MOST_AT_ONCE = 1000
TRIES, TRIES_WITHIN = 10, timedelta(hours=1)

REFUSALS: dict[CodeState, type[CodeRefused]] = {
    CodeState.USED: CodeUsed,
    CodeState.VOID: CodeVoid,
    CodeState.EXPIRED: CodeExpired,
}


def make(
    *, amount: Decimal, count: int, batch: str, expires_at: datetime | None = None, made_by: User | None = None
) -> list[str]:
    """Codes worth so much each. They exist only in what is returned: the database keeps digests.

    Raises ValidationError.
    """
    check(amount=amount, count=count, expires_at=expires_at)
    texts = [_new_text() for _ in range(count)]
    kept = {"batch": batch.strip(), "amount": amount, "expires_at": expires_at, "made_by": made_by}
    made = [RedemptionCode(digest=_digest(text), prefix=text[:GROUP_LENGTH], **kept) for text in texts]
    made[0].clean_fields(exclude=["made_by"])
    RedemptionCode.objects.bulk_create(made)
    return texts


def check(*, amount: Decimal, count: int, expires_at: datetime | None) -> None:
    """Raises ValidationError for a batch that can't be."""
    if not 1 <= count <= MOST_AT_ONCE:
        raise ValidationError({"count": f"Make from 1 to {MOST_AT_ONCE} codes at once."})
    if amount <= 0:
        raise ValidationError({"amount": "Give an amount above zero."})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is over already."})


def void(*, codes: RedemptionCodeQuerySet) -> int:
    """Let nobody redeem these any more, and say how many that stopped; what has been redeemed stays."""
    return codes.unused().order_by().update(is_void=True, updated_at=timezone.now())


def redeem(*, key: ApiKey, text: str) -> Payment:
    """Put a code's money on the balance of who enters it, once. Raises an InvalidKey, or a CodeRefused."""
    with transaction.atomic():
        locked = payments.lock(key.pk)
        check_usable(locked)
        if locked.month_quota is None:
            raise KeyWithoutLimit(payments.NO_LIMIT)
        _check_tries(locked)
        found = _redeem(locked, text)
        if isinstance(found, CodeRefused):
            WrongCode.objects.create(key=locked, created_at=timezone.now())
    if isinstance(found, CodeRefused):
        raise found  # outside of the transaction, which keeps the try
    key.refresh_from_db()
    return found


def _redeem(locked: ApiKey, text: str) -> Payment | CodeRefused:
    """Keys are locked before codes, so no two wait for each other; of many with the same code one comes first."""
    code = RedemptionCode.objects.select_for_update().filter(digest=_digest(text)).first()
    if code is None:
        return CodeUnknown()
    if code.state in REFUSALS:
        return REFUSALS[code.state]()
    note = f"Code {code.prefix}… of {code.batch}"
    try:
        payment = payments.book(locked, code.amount, by=Maker(key=locked), note=note, kind=PaymentKind.REDEMPTION)
    except ValidationError as error:  # the balance would be too large
        return CodeRefused(" ".join(error.messages))
    code.redeemed_by, code.redeemed_at, code.payment = locked, payment.created_at, payment
    code.save(update_fields=["redeemed_by", "redeemed_at", "payment", "updated_at"])
    return payment


def _check_tries(locked: ApiKey) -> None:
    """Under the key's lock, so that tries at the same moment are counted like others."""
    horizon = timezone.now() - TRIES_WITHIN
    WrongCode.objects.filter(key=locked, created_at__lte=horizon).delete()
    moments = list(WrongCode.objects.filter(key=locked).order_by("-created_at").values_list("created_at", flat=True))
    if len(moments) >= TRIES:
        raise TooManyTries(math.ceil((moments[TRIES - 1] - horizon).total_seconds()))


def _new_text() -> str:
    groups: Iterable[str] = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def _digest(text: str) -> str:
    """Of what people type: small letters, spaces and missing dashes make no difference."""
    return digest("".join(letter for letter in text.upper() if letter in ALPHABET))
