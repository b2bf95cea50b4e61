"""Bodies and upstreams that mean no good: a plain refusal, an exact bill, and nothing left behind."""

import json
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import RequestFactory

from accounts.models import ApiKey, Charge
from accounts.services import keys
from accounts.services.ledger.audit import audit
from accounts.services.ledger.worker import InFlightPage
from chat.models import Thread
from chat.services import bounds
from gateway.dialects.openai import views
from tests import factories
from tests.fakes.anthropic import FakeAnthropic
from tests.gateway.openai.conftest import Api, last_charge

HI = [{"role": "user", "content": "hi"}]


def parts(*content: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": "user", "content": list(content)}], "max_tokens": 5}


def answer_with(api: Api, message: dict[str, Any], usage: dict[str, Any], finish: str = "stop") -> None:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    api.upstream.reply_json("echo", {"choices": [choice], "usage": usage})


@pytest.mark.parametrize("depth", [101, 300, 1000])
def test_a_deep_body_is_refused_and_takes_no_hold(api: Api, depth: int) -> None:
    deep = '{"model":"echo","messages":[{"role":"user","content":"x"}],"a":' + "[" * depth + "]" * depth + "}"
    answer = api.post("chat/completions", deep.encode())
    assert answer.status_code == 400
    assert Charge.objects.count() == 0


def test_a_wide_body_is_fine(api: Api) -> None:
    assert api.chat(wide=[[index] for index in range(5000)]).status_code == 200


@pytest.mark.parametrize("role", [["user"], {}, 5, None])
def test_a_role_of_another_kind(api: Api, role: Any) -> None:
    answer = api.post("chat/completions", {"model": "echo", "messages": [{"role": role, "content": "x"}]})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].role"


def test_millions_of_parts_are_refused(api: Api) -> None:
    assert api.post("chat/completions", parts(*[{}] * 10_001)).json()["error"]["param"] == "messages"
    assert api.post("chat/completions", {"model": "echo", "messages": HI * 10_001}).status_code == 400


@pytest.mark.parametrize("extra", [{"stream": True}, {"stream": True, "stream_options": [1]}, {"stream": 1}])
def test_embeddings_do_not_stream(api: Api, extra: dict[str, Any]) -> None:
    answer = api.post("embeddings", {"model": "vectors", "input": "x", **extra})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("stream", "stream_options")
    assert Charge.objects.count() == 0


def test_text_in_disguise_is_held_like_text(api: Api) -> None:
    for part in (
        {"type": "refusal", "refusal": "x" * 50_000},
        {"type": "image_url", "image_url": {"url": "x" * 50_000}},
    ):
        body = parts(part)
        assert bounds.prompt_bound(body, 50_100) >= 50_000
        assert bounds.prompt_estimate(body, 50_100) >= 12_500


def test_no_estimate_is_larger_than_its_column() -> None:
    body = parts(*[{"type": "image_url"}] * 3_000_000)
    assert bounds.prompt_estimate(body, 10**8) <= bounds.MOST_TOKENS
    assert bounds.prompt_bound(body, 10**12) <= bounds.MOST_TOKENS


@pytest.mark.parametrize("alias", sorted(bounds.OUTPUT_ALIASES))
def test_no_other_name_for_the_limit_gets_round_the_hold(api: Api, alias: str) -> None:
    api.chat(max_tokens=2, **{alias: 5000})
    assert alias not in api.upstream.seen[-1].body
    api.chat(secret=factories.key(month_quota=None).secret, max_tokens=2, **{alias: 5000})
    assert api.upstream.seen[-1].body[alias] == 5000  # where nothing is limited, nothing is touched


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "x" * 200_000, "a: b\r\nset-cookie: c", "ü"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_parameters_name_never_becomes_a_header(api: Api, name: str, stream: bool) -> None:
    with FakeAnthropic() as vendor:
        provider = factories.provider(vendor, requester="anthropic-messages", base_url=vendor.origin)
        factories.model(provider, "claude", upstream_name="echo")
        answer = api.chat("claude", stream=stream, **{name: 1, "logit_bias": {}})
        assert answer.status_code == 200
        content = answer.getvalue()
    assert content
    assert name not in answer.get("x-weighbridge-dropped", "")
    assert last_charge().state == "settled"
    assert audit() == []


def test_a_call_that_can_not_begin_gives_its_hold_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(InFlightPage, "take", fail)
        assert api.chat().status_code == 500
    assert last_charge().state == "released"
    assert audit() == []


def test_nul_in_a_tool_call_keeps_the_record_and_stays_out_of_the_log(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    call = {"id": "a\0", "type": "function", "function": {"name": "f", "arguments": "canary\0"}}
    answer_with(api, {"content": "x\0y", "tool_calls": [call]}, {"prompt_tokens": 1, "completion_tokens": 1}, "st\0p")
    assert api.chat().status_code == 200
    thread = Thread.objects.get()
    assert thread.tool_calls[0]["arguments"] == "canary\ufffd"
    assert (thread.completion, thread.finish_reason) == ("x\ufffdy", "st\ufffdp")
    assert "canary" not in caplog.text


def test_a_huge_tool_call_is_cut_in_the_record(api: Api, settings: Any) -> None:
    settings.HISTORY_MAX_CHARS = 1000
    calls = [
        {"id": "i" * 10_000, "type": "function", "function": {"name": "n" * 10_000, "arguments": "a" * 100_000}}
        for _ in range(3)
    ]
    answer_with(api, {"content": None, "tool_calls": calls}, {"prompt_tokens": 1, "completion_tokens": 1})
    assert api.chat().status_code == 200
    thread = Thread.objects.get()
    assert len(json.dumps(thread.tool_calls)) < 4000
    assert thread.is_truncated


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 2**62, "completion_tokens": 2**62},
        {"prompt_tokens": -5, "completion_tokens": -5},
        {"prompt_tokens": "9", "completion_tokens": [1]},
        {"prompt_tokens": 1e300, "completion_tokens": 1},
    ],
)
@pytest.mark.parametrize("quota", [Decimal(1), None])
def test_nonsense_usage_never_stops_the_settlement(api: Api, usage: dict[str, Any], quota: Decimal | None) -> None:
    key = factories.key(month_quota=quota)
    dear = factories.model(
        factories.provider(api.upstream), "dear", upstream_name="echo", price_in=10_000, price_out=10_000
    )
    answer_with(api, {"content": "x"}, usage)
    for _ in range(3):
        api.chat(dear.name, key.secret, max_tokens=1)
    assert not Charge.objects.filter(state="held").exists()
    key.key.refresh_from_db()
    assert key.key.held == 0
    assert quota is None or key.key.month_fee <= quota
    assert audit() == []


def test_a_body_that_ends_early_is_refused(api: Api) -> None:
    request = RequestFactory().post("/v1/chat/completions", b'{"model":"echo"}', content_type="application/json")
    request.META["CONTENT_LENGTH"] = "500"
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {api.alice.secret}"
    request.META["wsgi.input"] = BytesIO(b'{"model":"echo"}')
    answer = views.chat_completions(request)
    assert answer.status_code == 400
    assert b"ended before" in answer.content


def test_revoked_keys_take_no_money(api: Api) -> None:
    poor = factories.key(month_quota=Decimal(0)).key
    keys.revoke(key=poor)
    with pytest.raises(ValidationError, match="revoked"):
        keys.recharge(key=poor, amount=Decimal(1))
    with pytest.raises(ValidationError, match="at most"):
        keys.recharge(key=factories.key(month_quota=Decimal(0), balance=Decimal(1)).key, amount=Decimal(900_000_000))
    assert ApiKey.objects.get(pk=poor.pk).balance == 0
