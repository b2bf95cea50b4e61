"""Payments: each says who and why, none is ever changed, and a balance is exactly what they come to."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.errors import InsufficientQuota
from accounts.models import ApiKey, Charge, Outcome, Payment, PaymentKind, UsageSource, User
from accounts.models.keys import NeverChanged
from accounts.services import keys, payments
from accounts.services.keys import IssuedKey
from accounts.services.ledger import corrections
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.audit import audit
from accounts.services.ledger.corrections import Rating
from accounts.services.ledger.types import Admission, Deployment, Prices, Settlement, Tokens
from accounts.services.payments import Maker
from common.models import ConfigVersion
from tests import factories
from tests.accounts.racing import at_once
from tests.accounts.test_writer import admission, deployment, done

USD = 10**10
__all__ = ["deployment"]  # a fixture


@pytest.fixture
def key(database: None) -> IssuedKey:
    """Prepaid: each answer token costs 0.001 USD, and it has 1 USD."""
    return factories.key(month_quota=Decimal(0), balance=Decimal(1))


@pytest.fixture
def boss(database: None) -> User:
    return User.objects.create_user("boss")


def balance_of(issued: IssuedKey) -> Decimal:
    return ApiKey.objects.get(pk=issued.key.pk).balance


def called(key: IssuedKey, deployment: Deployment, output: int = 300) -> Charge:
    """A call that has cost 0.001 USD for each answer token."""
    asked = admission(key, deployment, output_bound=output)
    ledger.writer().admit(asked)
    ledger.writer().settle(done(asked, output))
    return Charge.objects.get(request_id=asked.request_id)


def swept(key: IssuedKey, deployment: Deployment) -> Admission:
    """A call that a sweep took for dead and guessed to have come to 0.2 USD."""
    asked = admission(key, deployment, output_bound=300)
    ledger.writer().admit(asked)
    tokens, source = Tokens(output=200), UsageSource.ESTIMATED
    guess = Settlement(asked.request_id, asked.key_id, Outcome.SERVER_STOPPED, tokens=tokens, usage_source=source)
    ledger.writer().settle(guess)
    return asked


# Who and why


def test_a_payment_says_who_made_it_even_when_they_are_gone(key: IssuedKey, boss: User) -> None:
    payment = payments.recharge(key=key.key, amount=Decimal(5), note="invoice 7", by=Maker(boss))
    boss.delete()
    payment.refresh_from_db()
    assert (payment.kind, payment.note, payment.made_by, payment.who) == ("recharge", "invoice 7", None, "boss")
    assert balance_of(key) == 6


def test_a_program_s_payment_says_which_key_made_it(key: IssuedKey) -> None:
    robot = factories.key(name="robot").key
    payment = payments.recharge(key=key.key, amount=Decimal(5), by=Maker(key=robot))
    assert (payment.made_by_key, payment.who) == (robot, "robot")


@pytest.mark.parametrize("note", ["", "  "])
def test_a_correction_and_a_refund_have_to_say_why(key: IssuedKey, deployment: Deployment, note: str) -> None:
    charge = called(key, deployment)
    with pytest.raises(ValidationError, match="Say why"):
        payments.correct(key=key.key, amount=Decimal(1), note=note)
    with pytest.raises(ValidationError, match="Say why"):
        payments.refund(charge=charge, note=note)
    assert Payment.objects.count() == 1


# Append-only


def test_a_payment_is_never_edited_or_removed(key: IssuedKey) -> None:
    payment = Payment.objects.get()
    payment.amount = Decimal(100)
    for write in (
        payment.save,
        lambda: payment.save(update_fields=["note"]),
        payment.delete,
        lambda: Payment.objects.update(amount=100),
        lambda: Payment.objects.filter(pk=payment.pk).update(note="x"),
        lambda: Payment.objects.bulk_update([payment], ["amount"]),
        Payment.objects.all().delete,
        lambda: key.key.payments.all().delete(),
        lambda: key.key.payments.update(amount=7),
    ):
        with pytest.raises(NeverChanged):
            write()
    assert Payment.objects.get().amount == 1
    assert audit() == []


def test_a_key_with_payments_can_not_be_deleted(key: IssuedKey) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.key.pk)._raw_delete("default")
        connection.check_constraints()
    assert Payment.objects.count() == 1


# Corrections


def test_a_correction_goes_up_or_down_and_names_what_was_wrong(key: IssuedKey, boss: User) -> None:
    wrong = payments.recharge(key=key.key, amount=Decimal(50), note="typed too much")
    right = payments.correct(key=key.key, amount=Decimal(-45), note="it was 5", corrects=wrong, by=Maker(boss))
    assert (right.kind, right.corrects, right.who) == (PaymentKind.CORRECTION, wrong, "boss")
    assert balance_of(key) == key.key.balance == 6
    payments.correct(key=key.key, amount=Decimal("0.5"), note="for the trouble")
    assert balance_of(key) == Decimal("6.5")
    assert audit() == []


def test_a_correction_never_takes_more_than_there_is(key: IssuedKey) -> None:
    with pytest.raises(ValidationError, match=r"At most 1\.00 USD can be taken off"):
        payments.correct(key=key.key, amount=Decimal("-1.0000000001"), note="x")
    payments.correct(key=key.key, amount=Decimal(-1), note="all of it")
    assert balance_of(key) == 0


def test_a_correction_leaves_what_running_calls_hold(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment, output_bound=300)
    ledger.writer().admit(asked)
    with pytest.raises(ValidationError, match=r"At most 0.70 USD .* calls that are running need 0.30 USD"):
        payments.correct(key=key.key, amount=Decimal("-0.71"), note="x")
    payments.correct(key=key.key, amount=Decimal("-0.7"), note="x")
    ledger.writer().settle(done(asked, 300))
    assert (balance_of(key), Charge.objects.get().shortfall) == (0, 0)
    assert audit() == []


def test_what_the_quota_covers_of_the_holds_does_not_bind_the_balance(database: None, deployment: Deployment) -> None:
    key = factories.key(month_quota=Decimal("0.2"), balance=Decimal(1))
    ledger.writer().admit(admission(key, deployment, output_bound=300))
    payments.correct(key=key.key, amount=Decimal("-0.9"), note="x")
    assert balance_of(key) == Decimal("0.1")


@pytest.mark.parametrize("amount", ["0", "900000000"])
def test_a_correction_of_nothing_or_of_too_much_is_refused(key: IssuedKey, amount: str) -> None:
    with pytest.raises(ValidationError):
        payments.correct(key=key.key, amount=Decimal(amount), note="x")
    assert balance_of(key) == 1


def test_a_correction_of_another_key_s_payment_is_refused(key: IssuedKey) -> None:
    with pytest.raises(ValidationError, match="another key's"):
        payments.correct(key=factories.key().key, amount=Decimal(1), note="x", corrects=Payment.objects.get())


# Refunds


def test_a_refund_gives_back_what_the_balance_paid_at_most(key: IssuedKey, deployment: Deployment) -> None:
    charge = called(key, deployment)
    assert (charge.fee, balance_of(key)) == (Decimal("0.3"), Decimal("0.7"))
    first = payments.refund(charge=charge, amount=Decimal("0.1"), note="was slow")
    assert (first.kind, first.charge, first.key) == (PaymentKind.REFUND, charge, key.key)
    with pytest.raises(ValidationError, match=r"at most 0.20 USD"):
        payments.refund(charge=charge, amount=Decimal("0.2000000001"), note="more")
    assert payments.refund(charge=charge, note="the rest").amount == Decimal("0.2")
    with pytest.raises(ValidationError, match="not given back"):
        payments.refund(charge=charge, note="again")
    assert balance_of(key) == 1
    assert Charge.objects.get().fee == Decimal("0.3")  # what was charged stays what it was
    assert audit() == []


def test_what_a_quota_paid_is_no_money_to_give_back(database: None, deployment: Deployment) -> None:
    key = factories.key(month_quota=Decimal("0.1"), balance=Decimal(1))
    charge = called(key, deployment)
    assert (charge.quota_fee, charge.balance_fee) == (Decimal("0.1"), Decimal("0.2"))
    assert payments.refund(charge=charge, note="all").amount == Decimal("0.2")
    only_quota = called(factories.key(month_quota=Decimal(1)), deployment)
    with pytest.raises(ValidationError, match="quota"):
        payments.refund(charge=only_quota, note="all")


def test_a_running_call_has_nothing_to_give_back_yet(key: IssuedKey, deployment: Deployment) -> None:
    ledger.writer().admit(admission(key, deployment))
    with pytest.raises(ValidationError, match="still running"):
        payments.refund(charge=Charge.objects.get(), note="x")


def test_what_was_refunded_is_not_settled_anew(key: IssuedKey, deployment: Deployment) -> None:
    """A sweep's guess was paid back; the process that was taken for dead comes with what it knows."""
    asked = swept(key, deployment)
    payments.refund(charge=Charge.objects.get(), note="we stopped it")
    assert ledger.writer().settle(done(asked, 100)).charge_id == 0
    assert (Charge.objects.get().balance_fee, balance_of(key)) == (Decimal("0.2"), 1)
    assert audit() == []


def test_what_was_rated_anew_is_not_settled_anew(key: IssuedKey, deployment: Deployment) -> None:
    """A correction is the difference to a sweep's guess: another fee below it would be wrong by that much."""
    asked = swept(key, deployment)
    corrections.correct(key.key.pk, {Charge.objects.get().pk: Rating(Prices(0, 2000 * USD))})
    assert ledger.writer().settle(done(asked, 100)).charge_id == 0
    assert balance_of(key) == Decimal("0.6")
    assert audit() == []


def test_the_audit_finds_a_refund_beyond_what_was_paid(key: IssuedKey, deployment: Deployment) -> None:
    charge = called(key, deployment)
    Payment.objects.create(key=key.key, charge=charge, kind=PaymentKind.REFUND, amount=Decimal("0.4"))
    ApiKey.objects.filter(pk=key.key.pk).update(balance=Decimal("1.1"))
    assert [each.rule for each in audit()] == ["refunds of a call <= what the balance paid for it"]


# Races


def test_refunds_at_once_give_back_once(key: IssuedKey, deployment: Deployment) -> None:
    charge = called(key, deployment)
    results = at_once(lambda _: payments.refund(charge=charge, note="x"), 8, refused=ValidationError)
    assert sum(isinstance(each, Payment) for each in results) == 1
    assert balance_of(key) == 1
    assert audit() == []


def test_corrections_at_once_take_no_more_than_there_is(key: IssuedKey) -> None:
    results = at_once(
        lambda _: payments.correct(key=key.key, amount=Decimal("-0.3"), note="x"), 8, refused=ValidationError
    )
    assert sum(isinstance(each, Payment) for each in results) == 3
    assert balance_of(key) == Decimal("0.1")
    assert audit() == []


def test_money_that_moves_during_calls_is_exact(key: IssuedKey, deployment: Deployment) -> None:
    version = ConfigVersion.current()

    def work(number: int) -> Any:
        if number % 3 == 0:
            return payments.recharge(key=ApiKey.objects.get(pk=key.key.pk), amount=Decimal("0.01"))
        if number % 3 == 1:
            return payments.correct(key=ApiKey.objects.get(pk=key.key.pk), amount=Decimal("-0.002"), note="x")
        return _call(admission(key, deployment, config_version=version, output_bound=20))

    at_once(work, 30, refused=ValidationError)
    assert balance_of(key) == 1 + 10 * Decimal("0.01") - 10 * Decimal("0.002") - 10 * Decimal("0.02")
    assert audit() == []


def _call(asked: Admission) -> None:
    try:
        ledger.writer().admit(asked)
    except InsufficientQuota:
        pytest.fail("there is enough for all")
    ledger.writer().settle(done(asked, 20))


def test_keys_that_pay_for_each_other_never_wait_for_each_other(key: IssuedKey, deployment: Deployment) -> None:
    """The rows of both are locked in one order, as the ledger's batches lock them."""
    other = factories.key(month_quota=Decimal(0), balance=Decimal(1))
    version = ConfigVersion.current()
    sides = ((key, other), (other, key))

    def work(number: int) -> Any:
        paid, payer = sides[number % 2]
        if number % 4 < 2:
            fresh = ApiKey.objects.get(pk=paid.key.pk)
            return payments.recharge(key=fresh, amount=Decimal("0.01"), by=Maker(key=payer.key))
        return _call(admission(paid, deployment, config_version=version, output_bound=20))

    at_once(work, 40, refused=ValidationError)
    assert balance_of(key) == balance_of(other) == 1 + 10 * Decimal("0.01") - 10 * Decimal("0.02")
    assert audit() == []


def test_keys_recharge_is_the_same(key: IssuedKey) -> None:
    assert keys.recharge is payments.recharge
