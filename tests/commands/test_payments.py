"""manage.py's commands that move money: codes, refunds, corrections."""

import csv
import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, Payment, RedemptionCode
from accounts.services import codes
from tests import factories
from tests.accounts import charged

pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_make_codes_prints_them_once_as_csv() -> None:
    printed = run("make_codes", "--amount", "5", "--count", "3", "--batch", "spring", "--expires", "30d")
    rows = list(csv.DictReader(StringIO(printed)))
    assert [(row["amount_usd"], row["batch"]) for row in rows] == [("5.00", "spring")] * 3
    made = RedemptionCode.objects.all()
    assert [code.expires_at and code.expires_at.isoformat() for code in made] == [row["expires_at"] for row in rows]
    assert codes.redeem(key=factories.key().key, text=rows[2]["code"]).amount == 5


def test_make_codes_as_json() -> None:
    told = json.loads(run("make_codes", "--amount", "2.5", "--batch", "b", "--json"))
    assert (told["amount"], told["expires_at"], len(told["codes"])) == ("2.50", None, 1)


def test_redeem_code_puts_its_money_on_a_key() -> None:
    factories.key(name="alice")
    (text,) = codes.make(amount=Decimal(5), count=1, batch="b")
    assert json.loads(run("redeem_code", "alice", text, "--json"))["balance"] == "5.00"
    with pytest.raises(CommandError, match="redeemed already"):
        run("redeem_code", "alice", text)
    assert Payment.objects.count() == 1


def test_refund_gives_back_what_the_balance_paid() -> None:
    charge = charged.split_over_quota_and_balance()
    run("refund", charge.request_id, "0.001", "--note", "was slow")
    told = json.loads(run("refund", charge.request_id, "--note", "the rest", "--json"))
    assert told["balance"] == "2.00"
    assert {(payment.kind, payment.who) for payment in Payment.objects.filter(charge=charge)} == {
        ("refund", "command line")
    }
    with pytest.raises(CommandError, match="not given back"):
        run("refund", charge.request_id, "--note", "again")


def test_correct_balance_goes_both_ways() -> None:
    factories.key(name="alice", balance=Decimal(10))
    wrong = Payment.objects.get()
    told = json.loads(
        run("correct_balance", "alice", "-4.5", "--note", "typed twice", "--payment", str(wrong.pk), "--json")
    )
    assert told["balance"] == "5.50"
    run("correct_balance", "alice", "1", "--note", "for the trouble")
    assert ApiKey.objects.get().balance == Decimal("6.5")
    assert Payment.objects.get(amount=Decimal("-4.5")).corrects == wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("make_codes", "--amount", "0", "--batch", "b"), "above zero"),
        (("make_codes", "--amount", "x", "--batch", "b"), "not an amount"),
        (("make_codes", "--amount", "5", "--batch", ""), "batch"),
        (("make_codes", "--amount", "5", "--batch", "b", "--count", "1001"), "from 1 to 1000"),
        (("make_codes", "--amount", "5", "--batch", "b", "--expires", "2020-01-01"), "over already"),
        (("redeem_code", "nobody", "ABCD"), "No key"),
        (("redeem_code", "alice", "ABCD"), "no such code"),
        (("refund", "req_none", "--note", "x"), "no charge"),
        (("correct_balance", "alice", "-1", "--note", "x"), "At most 0.00 USD"),
        (("correct_balance", "alice", "1", "--note", " "), "Say why"),
        (("correct_balance", "alice", "1", "--note", "x", "--payment", "7"), "no payment 7"),
        (("correct_balance", "alice", "1"), "--note"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_moves_nothing(arguments: tuple[str, ...], message: str) -> None:
    factories.key(name="alice")
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert message in str(refused.value)
    assert not Payment.objects.exists()
    assert not RedemptionCode.objects.exists()
