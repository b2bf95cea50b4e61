"""POST /v1/chat/completions, whole answers."""

from decimal import Decimal

import pytest

from accounts.services.ledger.audit import audit
from chat.models import Session, Thread
from tests import factories
from tests.gateway.openai.conftest import Api, last_charge


def test_it_answers_with_the_upstreams_own_bytes(api: Api) -> None:
    answer = api.chat(max_tokens=3)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"].split() == ["tok0", "tok1", "tok2"]
    assert answer["x-request-id"].startswith("req_")
    assert answer["content-type"] == "application/json"


def test_the_upstream_gets_the_callers_fields_untouched_and_the_providers_key(api: Api) -> None:
    extra = {
        "seed": 7,
        "logprobs": True,
        "stop": ["x"],
        "response_format": {"type": "json_object"},
        "novel_field": {"a": [1]},
    }
    api.chat(**extra)
    seen = api.upstream.seen[-1]
    assert {name: seen.body[name] for name in extra} == extra
    assert seen.headers["Authorization"] == f"Bearer {api.upstream.key}"
    assert api.alice.secret not in str(seen)
    assert not api.upstream.violations


def test_the_charge_explains_the_call(api: Api) -> None:
    answer = api.chat(max_tokens=5)
    charge = last_charge()
    usage = answer.json()["usage"]
    assert charge.request_id == answer["x-request-id"]
    assert (charge.input_tokens, charge.output_tokens) == (usage["prompt_tokens"], 5)
    assert charge.fee == (usage["prompt_tokens"] * Decimal(1) + 5 * Decimal(2)) / 1_000_000
    assert charge.fee == charge.quota_fee == Decimal(answer["x-weighbridge-cost"])
    assert (charge.state, charge.outcome, charge.usage_source) == ("settled", "ok", "reported")
    assert charge.key_id == api.alice.key.pk
    assert charge.hold >= charge.fee
    assert charge.first_byte_ms is not None and charge.total_ms is not None
    assert (charge.price_in, charge.price_out) == (Decimal(1), Decimal(2))
    assert audit() == []


def test_what_was_said_is_recorded(api: Api) -> None:
    api.chat(max_tokens=2)
    thread = Thread.objects.get()
    assert (thread.prompt, thread.completion.split(), thread.finish_reason) == ("hi", ["tok0", "tok1"], "length")
    assert thread.session is None


def test_a_session_id_groups_the_calls_of_one_key(api: Api) -> None:
    bob = factories.key()
    for secret in (api.alice.secret, api.alice.secret, bob.secret):
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        api.post("chat/completions", body, secret, **{"session-id": "one"})
    hers, his = Session.objects.order_by("id")
    assert (hers.calls, hers.output_tokens, his.calls) == (2, 8, 1)
    assert hers.threads.count() == 2
    assert hers.fee == sum(thread.charge.fee for thread in hers.threads.all())


def test_tools_go_there_and_back(api: Api) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    answer = api.post(
        "chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "use tool"}], "tools": [tool]}
    )
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "look"
    assert Thread.objects.get().tool_calls[0]["name"] == "look"


def test_images_pass_and_their_bytes_are_not_held_as_tokens(api: Api) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    parts = [{"type": "text", "text": "what is it?"}, image]
    answer = api.post("chat/completions", {"model": "echo", "messages": [{"role": "user", "content": parts}]})
    assert answer.status_code == 200
    assert api.upstream.seen[-1].body["messages"][0]["content"] == parts
    assert last_charge().prompt_bound < 6_000
    assert Thread.objects.get().prompt == "what is it?"


def test_extra_args_fill_in_what_the_caller_left_out(api: Api) -> None:
    factories.model(
        factories.provider(api.upstream), "tuned", upstream_name="echo", extra_args={"seed": 1, "top_p": 0.5}
    )
    api.chat("tuned", seed=2)
    body = api.upstream.seen[-1].body
    assert (body["seed"], body["top_p"], body["model"]) == (2, 0.5, "echo")


def test_usage_that_is_not_reported_is_estimated_and_marked(api: Api) -> None:
    api.chat("no-usage")
    charge = last_charge()
    assert charge.usage_source == "estimated"
    assert charge.input_tokens > 0 and charge.output_tokens > 0
    assert audit() == []


def test_cached_tokens_are_priced_once_and_apart(api: Api) -> None:
    api.upstream.reply_json(
        "echo",
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 80}},
        },
    )
    provider = factories.provider(api.upstream)
    factories.model(provider, "cached", upstream_name="echo", price_cached_read=Decimal("0.1"))
    api.chat("cached")
    charge = last_charge()
    assert (charge.input_tokens, charge.cached_read_tokens, charge.output_tokens) == (20, 80, 10)
    assert charge.fee == Decimal("0.000048")  # 20 x 1 + 80 x 0.1 + 10 x 2, per million


def test_an_unpriced_model_is_counted_and_says_so(api: Api) -> None:
    factories.model(factories.provider(api.upstream), "new", upstream_name="echo", price_in=None, price_out=None)
    assert api.chat("new").status_code == 200
    charge = last_charge()
    assert (charge.fee, charge.price_in, charge.price_out) == (0, None, None)
    assert charge.output_tokens == 10


@pytest.mark.parametrize("given", [{"max_tokens": 50}, {"max_completion_tokens": 50}, {}])
def test_a_key_with_little_left_gets_a_shorter_answer(api: Api, given: dict[str, int]) -> None:
    poor = factories.key(month_quota=Decimal(0), balance=Decimal("0.0001"))
    answer = api.chat(secret=poor.secret, **given)
    assert answer.status_code == 200
    lowered = int(answer["x-weighbridge-max-tokens"])
    name = next(iter(given), "max_tokens")
    assert 0 < lowered < 50
    assert api.upstream.seen[-1].body[name] == lowered


@pytest.mark.parametrize(
    ("path", "field"), [("chat/completions", "max_completion_tokens"), ("completions", "max_tokens")]
)
def test_a_limit_goes_by_the_name_that_the_vendor_knows(api: Api, path: str, field: str) -> None:
    provider = factories.provider(api.upstream, requester="openai-chat-completions")
    factories.model(provider, "strict", upstream_name="echo", max_output=None)
    poor = factories.key(month_quota=Decimal(0), balance=Decimal("0.0005"))
    body = {"model": "strict", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi"}
    body.pop("prompt" if path.startswith("chat") else "messages")
    assert api.post(path, body, poor.secret).status_code == 200
    assert api.upstream.seen[-1].body[field] > 0


def test_an_answer_longer_than_the_hold_never_overspends_and_the_shortfall_is_written_down(api: Api) -> None:
    api.upstream.reply_json(
        "echo",
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "long"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 10_000},
        },
    )
    poor = factories.key(month_quota=Decimal(0), balance=Decimal("0.001"))
    assert api.chat(secret=poor.secret, max_tokens=5).status_code == 200
    charge = last_charge()
    assert (charge.fee, charge.shortfall) == (Decimal("0.001"), Decimal("0.01901"))
    poor.key.refresh_from_db()
    assert poor.key.balance == 0
    assert audit() == []
