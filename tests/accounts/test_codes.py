"""Redemption codes: single use whatever races, kept as digests, and not to be guessed."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.errors import (
    CodeExpired,
    CodeRefused,
    CodeUnknown,
    CodeUsed,
    CodeVoid,
    KeyRevoked,
    KeyWithoutLimit,
    TooManyTries,
)
from accounts.models import ApiKey, CodeState, Payment, PaymentKind, RedemptionCode, User, WrongCode
from accounts.services import codes
from accounts.services.ledger.audit import audit
from common.money import LIMIT_USD
from tests import factories
from tests.accounts.racing import at_once

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def key(database: None) -> ApiKey:
    return factories.key(month_quota=Decimal(0), name="alice").key


def make(count: int = 1, **fields: Any) -> list[str]:
    return codes.make(**{"amount": Decimal(5), "count": count, "batch": "spring", **fields})


def test_a_code_is_money_once(key: ApiKey) -> None:
    (text,) = make()
    payment = codes.redeem(key=key, text=text)
    assert (payment.kind, payment.amount, payment.made_by_key, payment.who) == ("redemption", 5, key, "alice")
    assert payment.note == f"Code {text[:4]}… of spring"
    code = RedemptionCode.objects.get()
    assert (code.state, code.redeemed_by, code.payment) == (CodeState.USED, key, payment)
    assert key.balance == ApiKey.objects.get().balance == 5
    with pytest.raises(CodeUsed):
        codes.redeem(key=key, text=text)
    assert Payment.objects.count() == 1
    assert audit() == []


def test_codes_are_readable_and_long_enough(key: ApiKey) -> None:
    texts = make(200)
    assert len(set(texts)) == 200
    letters = re.escape(codes.ALPHABET)
    assert all(re.fullmatch(rf"([{letters}]{{4}}-){{4}}[{letters}]{{4}}", text) for text in texts)
    assert not set("ILO01") & set(codes.ALPHABET)
    assert len(codes.ALPHABET) ** (codes.GROUPS * codes.GROUP_LENGTH) > 2**90
    # What the row shows of a code leaves more than anybody can try.
    assert len(codes.ALPHABET) ** ((codes.GROUPS - 1) * codes.GROUP_LENGTH) > 2**79


def test_only_a_digest_is_kept(key: ApiKey) -> None:
    (text,) = make()
    kept = serializers.serialize("json", RedemptionCode.objects.all())
    assert text not in kept and text.replace("-", "") not in kept and text[5:9] not in kept
    assert RedemptionCode.objects.get().prefix == text[:4]


@pytest.mark.parametrize("typed", [str.lower, lambda text: text.replace("-", " "), lambda text: f" {text}\n"])
def test_a_code_may_be_typed_as_people_do(key: ApiKey, typed: Any) -> None:
    (text,) = make()
    assert codes.redeem(key=key, text=typed(text)).amount == 5


def test_a_batch_says_what_it_is_called_and_who_made_it(key: ApiKey) -> None:
    boss = User.objects.create_user("boss")
    until = timezone.now() + timedelta(days=30)
    make(3, made_by=boss, expires_at=until, amount=Decimal("2.5"))
    found = RedemptionCode.objects.filter(batch="spring", made_by=boss, expires_at=until, amount=Decimal("2.5"))
    assert found.count() == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 0}, "from 1 to 1000"),
        ({"count": 1001}, "from 1 to 1000"),
        ({"amount": Decimal(0)}, "above zero"),
        ({"amount": Decimal(-1)}, "above zero"),
        ({"amount": LIMIT_USD + 1}, "at most"),
        ({"batch": " "}, "blank"),
        ({"batch": "x" * 65}, "64"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "over already"),
    ],
)
def test_a_wrong_batch_is_not_made(key: ApiKey, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**fields)
    assert not RedemptionCode.objects.exists()


def test_each_refusal_has_its_own_text_and_pays_nothing(key: ApiKey) -> None:
    expired, void = make(2)
    RedemptionCode.objects.filter(prefix=expired[:4]).update(expires_at=timezone.now())
    assert codes.void(codes=RedemptionCode.objects.filter(prefix=void[:4])) == 1
    for text, refusal in ((expired, CodeExpired), (void, CodeVoid), ("ABCD-EFGH", CodeUnknown), ("", CodeUnknown)):
        with pytest.raises(refusal):
            codes.redeem(key=key, text=text)
    assert not Payment.objects.exists()
    assert len({str(each()) for each in (CodeUnknown, CodeUsed, CodeVoid, CodeExpired)}) == 4


def test_what_has_been_redeemed_is_not_made_void(key: ApiKey) -> None:
    text, _ = make(2)
    codes.redeem(key=key, text=text)
    assert codes.void(codes=RedemptionCode.objects.all()) == 1
    assert sorted(code.state for code in RedemptionCode.objects.all()) == ["used", "void"]


def test_only_keys_that_can_use_a_balance_take_codes(key: ApiKey) -> None:
    (text,) = make()
    with pytest.raises(KeyWithoutLimit, match="never be used"):
        codes.redeem(key=factories.key(month_quota=None).key, text=text)
    revoked = factories.key().key
    ApiKey.objects.filter(pk=revoked.pk).update(is_active=False)
    with pytest.raises(KeyRevoked):
        codes.redeem(key=revoked, text=text)
    assert not WrongCode.objects.exists()
    assert codes.redeem(key=key, text=text).amount == 5


def test_a_balance_that_would_grow_too_large_takes_no_code(key: ApiKey) -> None:
    first, second = make(2, amount=LIMIT_USD)
    codes.redeem(key=key, text=first)
    with pytest.raises(CodeRefused, match="at most"):
        codes.redeem(key=key, text=second)
    assert RedemptionCode.objects.filter(redeemed_at=None).count() == 1


def test_whoever_guesses_has_to_wait(key: ApiKey) -> None:
    (text,) = make()
    for _ in range(codes.TRIES):
        with pytest.raises(CodeUnknown):
            codes.redeem(key=key, text="ABCD-EFGH-JKMN-PQRS-TUVW")
    with pytest.raises(TooManyTries) as refused:
        codes.redeem(key=key, text=text)  # a right one now tells no more than a wrong one
    assert 3500 < refused.value.retry_after <= 3600
    assert WrongCode.objects.count() == codes.TRIES
    assert codes.redeem(key=factories.key().key, text=make()[0]).amount == 5  # others go on
    WrongCode.objects.update(created_at=timezone.now() - codes.TRIES_WITHIN)
    assert codes.redeem(key=key, text=text).amount == 5
    assert not WrongCode.objects.exists()  # nor are they kept


# Races


def test_fifty_keys_at_once_redeem_a_code_once(key: ApiKey) -> None:
    (text,) = make()
    racers = [factories.key().key for _ in range(50)]
    results = at_once(lambda number: codes.redeem(key=racers[number], text=text), 50, refused=CodeRefused)
    assert sum(isinstance(each, Payment) for each in results) == 1
    assert sum(isinstance(each, CodeUsed) for each in results) == 49
    assert Payment.objects.filter(kind=PaymentKind.REDEMPTION).count() == 1
    assert audit() == []


def test_one_key_at_once_redeems_a_code_once(key: ApiKey) -> None:
    (text,) = make()
    results = at_once(lambda _: codes.redeem(key=ApiKey.objects.get(pk=key.pk), text=text), 50, refused=CodeRefused)
    assert sum(isinstance(each, Payment) for each in results) == 1
    assert sum(isinstance(each, TooManyTries) for each in results) == 49 - codes.TRIES
    assert ApiKey.objects.get(pk=key.pk).balance == 5
    assert audit() == []


def test_a_code_is_void_or_redeemed_but_not_both(key: ApiKey) -> None:
    texts = make(20)

    def work(number: int) -> Any:
        if number % 2:
            return codes.void(codes=RedemptionCode.objects.all())
        return codes.redeem(key=racers[number], text=texts[number])

    racers = [factories.key().key for _ in range(20)]
    at_once(work, 20, refused=CodeRefused)
    paid = Payment.objects.count()
    assert RedemptionCode.objects.filter(is_void=True, payment=None).count() == 20 - paid
    assert RedemptionCode.objects.filter(is_void=False, payment__isnull=False).count() == paid
    assert audit() == []


def test_the_audit_finds_a_code_that_paid_something_else(key: ApiKey) -> None:
    (text,) = make()
    codes.redeem(key=key, text=text)
    RedemptionCode.objects.update(amount=Decimal(6))
    assert [each.rule for each in audit()] == ["a redeemed code paid its amount to its key"]
