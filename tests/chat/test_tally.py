"""What is gathered from answers and events, whatever an upstream sends."""

import json
from typing import Any

import pytest

from chat.services import bounds
from chat.services.conversations import last_text, record_of
from chat.services.tally import Tally
from providers.requesters.errors import BadAnswer
from providers.requesters.forms import FilePart
from providers.requesters.sse import Event


def event(**fields: Any) -> Event:
    return Event(json.dumps(fields).encode())


def delta(**fields: Any) -> Event:
    return event(choices=[{"index": 0, "delta": fields}])


def test_text_and_reasoning_are_gathered() -> None:
    tally = Tally(100)
    for piece in (
        delta(role="assistant", content=""),
        delta(reasoning_content="hm"),
        delta(content="he"),
        delta(content="y"),
    ):
        tally.feed(piece)
    assert ("".join(tally.texts), "".join(tally.reasonings), tally.characters) == ("hey", "hm", 5)


def test_only_so_much_is_kept_but_all_is_counted() -> None:
    tally = Tally(5)
    for _ in range(1000):
        tally.feed(delta(content="abc"))
    assert "".join(tally.texts) == "abcab"
    assert (tally.characters, tally.is_truncated) == (3000, True)


def test_a_usage_event_is_recognised() -> None:
    tally = Tally(5)
    assert tally.feed(event(choices=[], usage={"prompt_tokens": 1})) is True
    assert tally.feed(event(choices=[], prompt_filter_results=[])) is False
    assert tally.feed(event(choices=[{"delta": {"content": "x"}}], usage={"prompt_tokens": 2})) is False
    assert tally.usage == {"prompt_tokens": 2}


def test_tool_calls_are_put_together() -> None:
    tally = Tally(100)
    tally.feed(delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]))
    tally.feed(delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}]))
    tally.feed(delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]))
    assert list(tally.tool_calls.values()) == [{"id": "a", "name": "f", "arguments": '{"x":1}'}]


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'"x"', b'{"choices":[5]}', b'{"choices":5}', b'{"choices":[{"delta":[1]}]}']
)
def test_nonsense_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Tally(5).feed(Event(data))


@pytest.mark.parametrize(
    "said",
    [
        {"content": 5},
        {"tool_calls": 5},
        {"tool_calls": [5]},
        {"tool_calls": [{"function": {"arguments": {"a": 1}}}]},
        {"tool_calls": [{"index": [], "function": {}}]},
    ],
)
def test_odd_answers_are_refused_or_ignored_but_never_crash(said: dict[str, Any]) -> None:
    try:
        Tally(5).take({"choices": [{"message": said, "finish_reason": 7}]})
    except BadAnswer as error:
        assert "unknown shape" in str(error)


@pytest.mark.parametrize(
    ("endpoint", "body", "text"),
    [
        ("chat", {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        ("chat", {"messages": [{"content": [{"type": "text", "text": "c"}, {"type": "image_url"}]}]}, "c"),
        ("chat", {"messages": [{"role": "assistant", "content": None}]}, ""),
        ("completion", {"prompt": "p"}, "p"),
        ("completion", {"prompt": ["p", "q"]}, "p\nq"),
        ("embedding", {"input": [[1, 2], [3]]}, ""),
        ("rerank", {"query": "q", "documents": ["d"]}, "q"),
        ("moderation", {"input": [{"type": "text", "text": "t"}, {"type": "image_url"}]}, "t"),
        ("transcription", {"file": FilePart("a.wav", "audio/wav", b"sound")}, ""),
        ("transcription", {"prompt": FilePart("a.wav", "audio/wav", b"sound")}, ""),
        ("image", {"prompt": "p", "messages": [{"content": "something else"}]}, "p"),
    ],
)
def test_the_last_text(endpoint: str, body: dict[str, Any], text: str) -> None:
    assert last_text(body, endpoint) == text


def test_a_record_has_no_nul_and_is_cut(settings: Any) -> None:
    settings.HISTORY_MAX_CHARS = 10
    record = record_of({"messages": [{"role": "user", "content": "a\0" + "b" * 50}]}, "chat", "", Tally(10))
    assert record is not None
    assert record.prompt == "a\ufffdbbbbbbbb"
    assert record.is_truncated


def test_without_history_no_text_is_kept(settings: Any) -> None:
    settings.HISTORY = False
    body = {"messages": [{"role": "user", "content": "private"}]}
    assert record_of(body, "chat", "", Tally(10)) is None
    assert "private" not in repr(record_of(body, "chat", "session", Tally(10)))


def test_a_prompt_is_bounded_by_its_bytes_and_an_attachment_by_a_constant() -> None:
    text = {"messages": [{"role": "user", "content": "ü" * 100}]}
    assert bounds.prompt_bound(text, 260) == 260
    image = {"type": "image_url", "image_url": {"url": "data:" + "A" * 10_000}}
    with_image = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, image]}]}
    assert bounds.prompt_bound(with_image, 10_200) == 10_200 - 10_005 + bounds.TOKENS_PER_ATTACHMENT
