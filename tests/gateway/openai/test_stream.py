"""POST /v1/chat/completions with stream: true."""

import json

from accounts.services.ledger.audit import audit
from chat.models import Thread
from tests.gateway.openai.conftest import Api, last_charge


def test_it_streams_events_and_ends_with_done(api: Api) -> None:
    *events, done = api.stream(max_tokens=4)
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text.split() == ["tok0", "tok1", "tok2", "tok3"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_usage_is_asked_of_the_upstream_but_not_shown_unless_wanted(api: Api) -> None:
    events = [json.loads(event) for event in api.stream(max_tokens=4)[:-1]]
    assert api.upstream.seen[-1].body["stream_options"] == {"include_usage": True}
    assert all(event["choices"] for event in events)
    assert (last_charge().output_tokens, last_charge().usage_source) == (4, "reported")


def test_include_usage_is_honoured(api: Api) -> None:
    events = [json.loads(event) for event in api.stream(max_tokens=4, stream_options={"include_usage": True})[:-1]]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 4


def test_what_was_streamed_is_recorded(api: Api) -> None:
    api.stream(max_tokens=3)
    assert Thread.objects.get().completion.split() == ["tok0", "tok1", "tok2"]
    assert last_charge().is_stream


def test_streamed_tool_calls_are_put_together_in_the_record(api: Api) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    body = {"model": "echo", "messages": [{"role": "user", "content": "use tool"}], "tools": [tool], "stream": True}
    api.post("chat/completions", body).getvalue()
    (call,) = Thread.objects.get().tool_calls
    assert call["name"] == "look"
    json.loads(call["arguments"])


def test_an_upstreams_refusal_is_an_error_and_no_broken_stream(api: Api) -> None:
    answer = api.chat("429", stream=True)
    assert answer.status_code == 429
    assert answer["retry-after"] == "7"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_an_error_inside_the_stream_becomes_an_error_event(api: Api) -> None:
    *_, error, done = api.stream("error-in-stream")
    assert "error" in json.loads(error)
    assert done == "[DONE]"
    assert last_charge().outcome == "upstream_error"
    assert audit() == []


def test_a_stream_without_usage_is_estimated(api: Api) -> None:
    api.stream("no-usage")
    assert last_charge().usage_source == "estimated"


def test_a_client_that_leaves_before_the_first_event_is_read_settles_once(api: Api) -> None:
    answer = api.chat(stream=True)
    answer.close()
    answer.close()
    charge = last_charge()
    assert (charge.state, charge.outcome) == ("settled", "client_closed")
    assert audit() == []


def test_garbage_inside_a_stream_is_an_error(api: Api) -> None:
    answer = api.chat("garbage", stream=True)
    assert answer.status_code == 502
    assert last_charge().state == "released"
