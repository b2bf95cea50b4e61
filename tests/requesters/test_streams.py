import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from providers.requesters.base import Requester, Stream
from providers.requesters.errors import (
    BadAnswer,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Truncated,
    Unavailable,
)
from tests.fakes.openai import FakeOpenAI
from tests.fakes.server import JSON
from tests.requesters.conftest import QUICK
from tests.requesters.test_base import TOOLS, body

CHUNK = {"id": "1", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
LAST = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
EVENT_STREAM = {"Content-Type": "text/event-stream"}


def text(events: Stream | list[Any]) -> str:
    deltas = [choice["delta"] for event in events for choice in event.json["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


# What works


def test_stream(requester: Requester, openai: FakeOpenAI) -> None:
    events = list(requester.stream(body(max_tokens=3)))
    assert text(events) == "tok0 tok1 tok2"
    assert events[-2].json["choices"][0]["finish_reason"] == "length"
    assert events[-1].json["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert all(event.data != b"[DONE]" for event in events)
    assert openai.seen[0].headers["Accept"] == "text/event-stream"


def test_usage_is_always_asked_for_and_other_options_kept(requester: Requester, openai: FakeOpenAI) -> None:
    list(requester.stream(body(stream_options={"include_usage": False, "include_obfuscation": False})))
    assert openai.seen[0].body["stream"] is True
    assert openai.seen[0].body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_usage_that_never_comes_is_no_error(requester: Requester) -> None:
    events = list(requester.stream(body("no-usage")))
    assert all("usage" not in event.json for event in events)


def test_stream_completion(requester: Requester, openai: FakeOpenAI) -> None:
    events = list(requester.stream_completion({"model": "echo", "prompt": "one", "max_tokens": 2}))
    assert "".join(choice["text"] for event in events for choice in event.json["choices"]) == "tok0 tok1"
    assert openai.seen[0].path == "/v1/completions"


def test_tool_calls_come_in_pieces(requester: Requester) -> None:
    given = body(tools=TOOLS) | {"messages": [{"role": "user", "content": "please use tool"}]}
    events = list(requester.stream(given))
    calls = [choice["delta"].get("tool_calls") for event in events for choice in event.json["choices"]]
    arguments = "".join(call[0]["function"]["arguments"] for call in calls if call)
    assert arguments == '{"query": "tok"}'


def test_events_arrive_as_they_are_made(requester: Requester) -> None:
    started = time.monotonic()
    stream = requester.stream(body("slow"))
    next(stream)
    assert time.monotonic() - started < 0.3
    list(stream)
    assert time.monotonic() - started > 0.4


def test_the_bytes_are_upstreams_own(requester: Requester, openai: FakeOpenAI) -> None:
    odd = b'{ "unknown": [1,  2], "escaped": "\\u2028", "raw": "\xe2\x80\xa8" , "choices": [] }'
    openai.reply_events("mine", b"data: " + odd + b"\n\n", LAST, "[DONE]")
    assert next(requester.stream(body("mine"))).data == odd


def test_a_line_of_200_kilobytes_is_one_event(requester: Requester, openai: FakeOpenAI) -> None:
    long = {"choices": [{"delta": {"content": "x" * 200_000}, "finish_reason": None}]}
    openai.reply_events("mine", long, LAST, "[DONE]")
    assert text(requester.stream(body("mine"))) == "x" * 200_000


def test_a_compressed_stream_is_read(requester: Requester, openai: FakeOpenAI) -> None:
    plain = b'data: {"choices": [{"delta": {"content": "hi"}}]}\r\n\r\n: ping\r\n\r\ndata: [DONE]\r\n\r\n'
    headers = {**EVENT_STREAM, "Content-Encoding": "gzip"}
    openai.reply("mine", gzip.compress(plain), framing="chunked", headers=headers)
    assert text(requester.stream(body("mine"))) == "hi"


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_finish_reason_and_the_end_will_do_without_done(
    requester: Requester, openai: FakeOpenAI, framing: str
) -> None:
    openai.reply_events("mine", CHUNK, LAST, {"choices": [], "usage": {}}, framing=framing)
    assert len(list(requester.stream(body("mine")))) == 3


def test_the_connection_is_kept_after_a_whole_stream(requester: Requester, openai: FakeOpenAI) -> None:
    for _ in range(3):
        list(requester.stream(body()))
    assert openai.connections == 1


def test_a_stream_that_lingers_after_done_does_not_hold_up_the_caller(requester: Requester, openai: FakeOpenAI) -> None:
    openai.reply_events("mine", CHUNK, LAST, "[DONE]", seconds_between=0.0, is_complete=True)
    openai.reply("lingering", b'data: {"choices": []}\n\ndata: [DONE]\n\n', b": more\n\n", b": more\n\n",
                 framing="chunked", headers=EVENT_STREAM, seconds_between=2)  # fmt: skip
    started = time.monotonic()
    assert len(list(requester.stream(body("lingering")))) == 1
    assert time.monotonic() - started < 1


def test_closing_early_tells_the_vendor_to_stop(requester: Requester, openai: FakeOpenAI) -> None:
    stream = requester.stream(body("slow-forever"))
    assert [next(stream), next(stream)]
    stream.close()
    stream.close()
    assert openai.wait_until("closed_early")


def test_closing_before_the_first_event_closes_upstream_too(requester: Requester, openai: FakeOpenAI) -> None:
    requester.stream(body("slow-forever")).close()
    assert openai.wait_until("closed_early")


# What does not


@pytest.mark.parametrize(
    ("model", "expected", "events"),
    [
        ("cut", Truncated, 2),
        ("cut-body", Truncated, 2),
        ("hang-midstream", Timeout, 2),
        ("error-in-stream", Unavailable, 2),
        ("garbage", BadAnswer, 0),
    ],
)
def test_a_failure_midstream_is_an_exception(
    with_options: Callable[..., Requester], model: str, expected: type[ProviderError], events: int
) -> None:
    stream = with_options(timeouts=QUICK).stream(body(model))
    got = []
    with pytest.raises(expected):
        for event in stream:
            got.append(event)
    assert len(got) == events


@pytest.mark.parametrize(
    ("model", "expected"), [("hang", Timeout), ("html", BadAnswer), ("404", ModelNotFound), ("429", RateLimited)]
)
def test_what_is_refused_at_once_is_raised_before_the_first_event(
    with_options: Callable[..., Requester], model: str, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected):
        with_options(timeouts=QUICK).stream(body(model))


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("events", [[], [CHUNK], [CHUNK, CHUNK, b'data: {"cho']])
def test_an_end_without_a_finish_is_truncated(
    requester: Requester, openai: FakeOpenAI, framing: str, events: list[Any]
) -> None:
    openai.reply_events("mine", *events, framing=framing)
    with pytest.raises(Truncated):
        list(requester.stream(body("mine")))


@pytest.mark.parametrize(
    ("event", "expected", "message"),
    [
        ({"error": {"message": "busy", "type": "overloaded_error"}}, Overloaded, "busy"),
        ({"error": {"message": "wait", "code": "rate_limit_exceeded"}}, RateLimited, "wait"),
        ({"error": {"message": "lost", "code": 502}, "choices": []}, Unavailable, "lost"),
        ({"error": "plain words"}, Unavailable, "plain words"),
        ({"object": "error", "message": "engine died", "code": 500}, Unavailable, "engine died"),
        ({**CHUNK, "error": {"message": "late", "code": 429}}, RateLimited, "late"),
    ],
)
def test_an_error_event_is_mapped(
    requester: Requester, openai: FakeOpenAI, event: JSON, expected: type[ProviderError], message: str
) -> None:
    openai.reply_events("mine", CHUNK, event, "[DONE]")
    stream = requester.stream(body("mine"))
    next(stream)
    with pytest.raises(ProviderError, match=message) as caught:
        next(stream)
    assert type(caught.value) is expected


def test_the_word_error_in_a_text_is_no_error(requester: Requester, openai: FakeOpenAI) -> None:
    said = '{"error": "not really"}'
    chunk = {"choices": [{"delta": {"content": said, "error": None}, "finish_reason": None}], "error": None}
    openai.reply_events("mine", chunk, chunk, LAST, "[DONE]")
    assert text(requester.stream(body("mine"))) == said * 2


def test_a_json_error_in_place_of_a_stream_is_mapped(requester: Requester, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {"error": {"message": "no such model", "code": "model_not_found"}})
    with pytest.raises(ModelNotFound, match="no such model"):
        requester.stream(body("mine"))


def test_a_json_answer_in_place_of_a_stream_is_a_bad_answer(requester: Requester, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {"choices": []})
    with pytest.raises(BadAnswer, match="event stream"):
        requester.stream(body("mine"))


def test_after_a_failure_the_stream_stays_ended(requester: Requester) -> None:
    stream = requester.stream(body("cut"))
    with pytest.raises(Truncated):
        list(stream)
    assert list(stream) == []
