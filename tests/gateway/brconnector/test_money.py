"""Money as documented: the month's quota pays first, then the balance, which goes down; then nothing."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey, Charge
from accounts.services.ledger.audit import audit
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.brconnector.api import Api, at_once

NEAR_ITS_END = datetime(2031, 5, 31, 16, tzinfo=UTC)  # in Tokyo it is June


@pytest.fixture
def group_id(api: Api, upstream: FakeOpenAI) -> int:
    """Of keys that may call a model at 0.01 USD a call of 10 tokens."""
    config = {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key, "model": "echo"}
    group = factories.group()
    body = {"name": "echo", "provider": "openai-compatible", "group_id": group.pk, "config": config}
    api.post("/admin/model/save", {**body, "price_in": 0, "price_out": 1000})
    return group.pk


def new_key(api: Api, **fields: Any) -> tuple[int, Api]:
    made = api.post("/admin/api-key/apply", {"name": "jack", **fields})
    return made["id"], Api(made["api_key"])


def purse(api: Api, id: int) -> list[str]:
    """What the quota has paid this month, what is left of the balance, and what all calls have cost."""
    shown = api.get(f"/admin/api-key/detail/{id}")
    return [shown[name].rstrip("0") for name in ("month_fee", "balance", "total_fee")]


def test_the_quota_pays_first_then_the_balance_then_nobody(api: Api, group_id: int, upstream: FakeOpenAI) -> None:
    id, user = new_key(api, group_id=group_id, month_quota=0.015, balance=0.01)
    after = [["0.01", "0.01", "0.01"], ["0.015", "0.005", "0.02"], ["0.015", "0.", "0.025"]]
    for expected in after:
        assert user.chat().status_code == 200
        assert purse(api, id) == expected
    asked = len(upstream.seen)
    refused = user.chat()
    assert refused.status_code in (400, 429)
    assert b"recharge" in refused.content.lower()
    assert len(upstream.seen) == asked
    assert purse(api, id) == after[-1]
    api.post("/admin/api-key/recharge", {"api_key": user.secret, "balance": 0.01})
    assert user.chat().status_code == 200
    assert purse(api, id) == ["0.015", "0.", "0.035"]
    assert audit() == []


def test_without_quota_and_balance_nothing_is_called(api: Api, group_id: int, upstream: FakeOpenAI) -> None:
    _, user = new_key(api, group_id=group_id)
    assert b"recharge" in user.chat().content.lower()
    assert not upstream.seen


def test_a_higher_quota_holds_for_the_next_call(api: Api, group_id: int) -> None:
    id, user = new_key(api, group_id=group_id, month_quota="0.01")
    assert [user.chat().status_code == 200 for _ in range(2)] == [True, False]
    api.post("/admin/api-key/update", {"id": id, "month_quota": "0.02"})
    assert [user.chat().status_code == 200 for _ in range(2)] == [True, False]
    api.post("/admin/api-key/update", {"id": id, "month_quota": 0})
    assert purse(api, id) == ["0.02", "0.", "0.02"]
    assert audit() == []


@pytest.mark.parametrize(("zone", "has_turned"), [("UTC", False), ("Asia/Tokyo", True)])
def test_the_month_turns_by_the_calendar_of_the_configured_zone(
    api: Api, group_id: int, settings: Any, monkeypatch: pytest.MonkeyPatch, zone: str, has_turned: bool
) -> None:
    settings.TIME_ZONE = zone
    monkeypatch.setattr(timezone, "now", lambda: NEAR_ITS_END.replace(day=12))
    id, user = new_key(api, group_id=group_id, month_quota="0.01", balance="0.01")
    assert user.chat().status_code == 200
    monkeypatch.setattr(timezone, "now", lambda: NEAR_ITS_END)
    assert purse(api, id) == ["0." if has_turned else "0.01", "0.01", "0.01"]  # no call has been made in it
    total = 0 if has_turned else 0.01
    assert api.get("/admin/statistics/total")["total_month_fee"] == total
    assert user.chat().status_code == 200
    assert purse(api, id) == ["0.01", "0.01" if has_turned else "0.", "0.02"]
    assert audit() == []


def test_prices_go_in_per_million_and_come_out_per_token(api: Api, upstream: FakeOpenAI) -> None:
    """And a fee can be computed again from what is shown."""
    config = {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key, "model": "echo"}
    group = factories.group()
    body = {"name": "exact", "provider": "openai-compatible", "config": config, "group_id": group.pk}
    api.post("/admin/model/save", {**body, "price_in": 0.035, "price_out": "0.14"})
    (row,) = api.get("/admin/model/list")["items"]
    assert (row["price_in"], row["price_out"]) == ("0.0000000350", "0.0000001400")
    id, user = new_key(api, group_id=group.pk, month_quota=1)
    assert user.chat("exact").status_code == 200
    charge = Charge.objects.get()
    cost = charge.input_tokens * Decimal(row["price_in"]) + charge.output_tokens * Decimal(row["price_out"])
    assert Decimal(api.get(f"/admin/api-key/detail/{id}")["total_fee"]) == cost == charge.fee > 0


def test_calls_at_once_spend_no_more_than_there_is(api: Api, group_id: int) -> None:
    id, user = new_key(api, group_id=group_id, month_quota="0.03", balance="0.02")
    answers = at_once(*[user.chat] * 8)
    assert [answer.status_code for answer in answers].count(200) == 5
    assert purse(api, id) == ["0.03", "0.", "0.05"]
    assert ApiKey.objects.get(pk=id).held == 0
    assert audit() == []
