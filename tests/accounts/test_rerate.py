"""Rating anew: what another price makes of old calls becomes further rows, and every sum still holds."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Charge, DayOfSpend, State
from accounts.services import explanations, payments
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from providers.models import AIModel, ModelPrice
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.openai.conftest import Api

EVER = ("--from", "2020-01-01", "--to", "2100-01-01")
TEN_WORDS = [{"role": "user", "content": "one two three four five six seven eight nine ten"}]
CALL = Decimal("0.00003")  # 10 tokens in at 1 USD, 10 out at 2


@pytest.fixture
def api(database: None, client: Client, upstream: FakeOpenAI) -> Api:
    provider = factories.provider(upstream)
    for name in ("echo", "no-usage", "every-part"):
        factories.model(provider, name)
    return Api(client, factories.key(), upstream)


@pytest.fixture
def model(api: Api) -> Iterator[AIModel]:
    yield AIModel.objects.get(name="echo")
    assert audit() == []


def call(api: Api, key: IssuedKey | None = None, model: str = "echo") -> Charge:
    secret = key.secret if key else None
    assert api.chat(model, secret=secret, messages=TEN_WORDS).status_code == 200
    return Charge.objects.latest("id")


def reprice(model: AIModel, **prices: Any) -> None:
    """What should have been the price all along."""
    model.price_list.all().delete()
    ModelPrice.objects.create(model=model, valid_from=timezone.now() - timedelta(days=900), **prices)


def rerate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = 0
    capsys.readouterr()
    try:
        call_command("rerate", *EVER, "--json", *arguments)
    except SystemExit as end:
        code = int(str(end.code))
    return code, json.loads(capsys.readouterr().out)


def row(issued: IssuedKey) -> ApiKey:
    return ApiKey.objects.get(pk=issued.key.pk)


def test_a_dry_run_shows_each_keys_difference_and_writes_nothing(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(api)
    call(api)
    reprice(model, price_in=2, price_out=2)
    code, told = rerate(capsys, "--dry-run")
    assert code == 1
    assert told == {
        "applied": False,
        "keys": [
            {
                "id": api.alice.key.pk, "key": api.alice.key.name, "charges": 2, "changed": 2, "unknown": 0,
                "before": "0.00006", "after": "0.00008", "difference": "0.00002", "fee": "0.00",
            }
        ],
    }  # fmt: skip
    assert not Charge.objects.exclude(corrects=None).exists()


def test_what_is_owed_is_paid_like_any_fee_and_only_once(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    charge = call(api)
    reprice(model, price_in=2, price_out=2)
    assert rerate(capsys, "--yes")[0] == 0
    correction = Charge.objects.get(corrects=charge)
    assert (correction.endpoint, correction.state) == ("rerate", State.SETTLED)
    assert (correction.fee, correction.quota_fee, correction.price_in) == (Decimal("0.00001"), Decimal("0.00001"), 2)
    assert correction.input_tokens == 0
    assert row(api.alice).spent == row(api.alice).month_fee == Decimal("0.00004")
    assert rerate(capsys, "--yes") == (0, {"applied": False, "keys": [told_nothing_more(api)]})
    assert Charge.objects.count() == 2
    charge.refresh_from_db()
    assert charge.fee == CALL


def told_nothing_more(api: Api) -> dict[str, Any]:
    return {
        "id": api.alice.key.pk, "key": api.alice.key.name, "charges": 1, "changed": 0, "unknown": 0,
        "before": "0.00004", "after": "0.00004", "difference": "0.00", "fee": "0.00",
    }  # fmt: skip


def test_what_was_too_much_comes_back_to_the_balance_first_and_then_to_the_quota(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    issued = factories.key(month_quota=Decimal("0.00001"))
    payments.recharge(key=issued.key, amount=Decimal(1))
    charge = call(api, issued)
    assert (charge.quota_fee, charge.balance_fee) == (Decimal("0.00001"), Decimal("0.00002"))
    reprice(model, price_in="0.2", price_out="0.3")
    rerate(capsys, "--yes")
    correction = Charge.objects.get(corrects=charge)
    assert (correction.quota_fee, correction.balance_fee) == (Decimal("-0.000005"), Decimal("-0.00002"))
    assert (row(issued).balance, row(issued).month_fee, row(issued).spent) == (
        1,
        Decimal("0.000005"),
        Decimal("0.000005"),
    )
    day = DayOfSpend.objects.get(key=issued.key)
    assert (day.fee, day.calls, day.input_tokens) == (Decimal("0.000005"), 1, 10)


def test_the_quota_of_a_month_that_is_over_does_not_come_back(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    charge = call(api)
    long_ago = (charge.month or timezone.now().date()).replace(year=2025)
    Charge.objects.update(month=long_ago)
    ApiKey.objects.update(month_fee=0)
    reprice(model, price_in=1, price_out=1)
    rerate(capsys, "--yes")
    correction = Charge.objects.get(corrects=charge)
    assert (correction.month, correction.quota_fee) == (long_ago, Decimal("-0.00001"))
    assert (row(api.alice).month_fee, row(api.alice).balance, row(api.alice).spent) == (0, 0, Decimal("0.00002"))


def test_what_nobody_can_pay_is_a_shortfall_and_is_forgiven_first(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    charge = call(api)
    ApiKey.objects.update(month_quota=CALL)
    reprice(model, price_in=5, price_out=2)
    rerate(capsys, "--yes")
    owed = Charge.objects.get(corrects=charge)
    assert (owed.fee, owed.shortfall) == (0, Decimal("0.00004"))
    reprice(model, price_in=2, price_out=2)
    rerate(capsys, "--yes")
    forgiven = Charge.objects.filter(corrects=charge).latest("id")
    assert (forgiven.fee, forgiven.shortfall) == (0, Decimal("-0.00003"))
    reprice(model, price_in=0, price_out=0)
    rerate(capsys, "--yes")
    assert (row(api.alice).spent, row(api.alice).month_fee) == (0, 0)


def test_what_was_refunded_comes_back_only_once(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    issued = factories.key(month_quota=Decimal(0))
    payments.recharge(key=issued.key, amount=Decimal(1))
    charge = call(api, issued)
    payments.refund(charge=charge, note="sorry")
    assert row(issued).balance == 1
    reprice(model, price_in=0, price_out=0)
    rerate(capsys, "--yes")
    assert row(issued).balance == 1


def test_parts_and_a_groups_ratio_are_rated_too(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = AIModel.objects.get(name="every-part")
    api.alice.key.group = factories.group(parts, price_ratio=Decimal(2))
    api.alice.key.save()
    charge = call(api, model="every-part")
    reprice(parts, price_in=1, price_out=2, price_audio_in=40, price_reasoning=10, price_request="0.01")
    rerate(capsys, "--yes")
    correction = Charge.objects.get(corrects=charge)
    parts_cost = (7 * 2 + 3 * 80 + 6 * 4 + 4 * 20) * Decimal("0.000001") + Decimal("0.02")
    assert charge.fee + correction.fee == parts_cost
    told = explanations.explain(
        explanations.find(key=factories.key(role="admin").key, request_id=correction.request_id)
    )
    assert told.adds_up
    assert told.cost == parts_cost


def test_a_tier_is_found_by_the_real_prompt(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(api)
    reprice(model, price_in=1, price_out=2)
    ModelPrice.objects.create(model=model, valid_from=timezone.now() - timedelta(days=900), above_tokens=9, price_in=3)
    assert rerate(capsys, "--dry-run")[1]["keys"][0]["after"] == "0.00005"


def test_a_model_that_has_gone_or_had_no_price_is_left_alone(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(api)
    call(api, model="no-usage")
    AIModel.objects.filter(name="no-usage").delete()
    reprice(model)
    code, told = rerate(capsys, "--yes")
    assert (code, told["keys"][0]["unknown"], told["keys"][0]["changed"]) == (0, 2, 0)


def test_only_the_period_and_the_model_that_are_named(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = call(api)
    Charge.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=40))
    call(api)
    call(api, model="no-usage")
    reprice(model, price_in=2, price_out=2)
    since = (timezone.now() - timedelta(days=2)).date().isoformat()
    call_command("rerate", "--from", since, "--to", "2100-01-01", "--model", "echo", "--yes")
    out = capsys.readouterr().out
    assert "Written: 0.00001 USD in all." in out
    assert Charge.objects.exclude(corrects=None).count() == 1


def test_a_guess_that_may_still_be_put_right_is_left_alone(
    api: Api, model: AIModel, capsys: pytest.CaptureFixture[str]
) -> None:
    call(api)
    Charge.objects.update(outcome="server_stopped")
    with pytest.raises(CommandError, match="No settled call"):
        rerate(capsys)
    Charge.objects.update(outcome="ok")


def test_an_edit_of_a_price_changes_nothing_of_what_was_charged_before(
    api: Api,
    model: AIModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(api)
    model.price_in = Decimal(7)
    model.save()
    call(api)
    assert rerate(capsys)[1]["keys"][0]["changed"] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--from", "2026-02-01", "--to", "2026-01-01"), "--from must be before --to"),
        (("--from", "2020-01-01", "--to", "2020-02-01"), "No settled call began"),
    ],
)
def test_a_period_that_makes_no_sense_is_told(database: None, arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("rerate", *arguments)


def test_the_audit_finds_a_token_in_two_buckets_and_a_correction_that_is_off(
    api: Api, model: AIModel, capsys: pytest.CaptureFixture[str]
) -> None:
    charge = call(api)
    Charge.objects.update(buckets=[["audio_in", 7, 10**10], ["image_in", 7, 10**10]])
    assert [each.rule for each in audit()] == ["no token is in two buckets"]
    Charge.objects.update(buckets=[])
    reprice(model, price_in=2, price_out=2)
    rerate(capsys, "--yes")
    Charge.objects.filter(corrects=charge).update(price_in=3)
    assert [each.rule for each in audit()] == ["fee + shortfall, corrections included = tokens x the last prices"]
    Charge.objects.filter(corrects=charge).update(price_in=2)
