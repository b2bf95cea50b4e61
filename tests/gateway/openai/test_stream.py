"""POST /v1/chat/completions with stream: true."""

import json
from typing import Any

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


def pieces(api: Api, *chunks: list[Any]) -> list[str]:
    """What is written to the caller, write by write, for an upstream that sends these events chunk by chunk."""
    frames = [b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in chunk) for chunk in chunks]
    framing = {"framing": "chunked", "headers": {"Content-Type": "text/event-stream"}, "seconds_between": 0.05}
    api.upstream.reply("echo", *frames, b"data: [DONE]\n\n", **framing)
    return [piece.decode() for piece in api.chat(stream=True).streaming_content]


def said(text: str, finish: str | None = None) -> Any:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


USED = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3}}


def test_events_that_come_together_go_together(api: Api) -> None:
    written = pieces(api, [said("a"), said("b")], [said("c", "stop")])
    assert [piece.count("data: ") for piece in written] == [2, 1, 1]


def test_a_dropped_usage_keeps_nothing_waiting(api: Api) -> None:
    written = pieces(api, [said("a", "stop"), USED])
    assert ["usage" in piece for piece in written] == [False, False]
    assert written[0].count("data: ") == 1


def test_what_came_before_an_error_comes_before_it(api: Api) -> None:
    written = "".join(pieces(api, [said("a"), said("b"), {"error": {"message": "broken"}}]))
    assert written.index('"a"') < written.index('"b"') < written.index('"error"')
    assert last_charge().outcome == "upstream_error"
