"""Counting tokens without asking anybody: the numbers are tiktoken's for o200k_base."""

import logging
from typing import Any

import pytest

from chat.services import tokenizing
from chat.services.tally import Tally
from providers.requesters.forms import FilePart
from tests.chat.test_tally import delta


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hi", 1),
        ("hello world", 2),
        ("antidisestablishmentarianism", 6),
        ("中文测试数据库", 3),
        ("🚀🚀🚀", 6),
        ("    x = 1\r\n\n", 6),
        ("<|endoftext|>", 7),
        ("\ud800 half a pair", 4),
    ],
)
def test_texts_have_as_many_tokens_as_tiktoken_says(text: str, count: int) -> None:
    assert tokenizing.count(text) == count


def test_a_long_text_is_counted_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizing, "MOST_COUNTED", 1200)
    assert tokenizing.count("hello " * 2000) == pytest.approx(2000, rel=0.01)


def test_a_tokenizer_that_fails_is_no_reason_not_to_settle(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise ImportError("no such library")

    monkeypatch.setattr(tokenizing, "_vocabulary", broken)
    with caplog.at_level(logging.ERROR):
        assert tokenizing.count("x" * 40) == 10
    assert "the tokenizer does not work" in caplog.text


MESSAGE = 3 + 1  # and its role
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


@pytest.mark.parametrize(
    ("endpoint", "body", "count"),
    [
        ("chat", {"messages": [{"role": "user", "content": "hello world"}]}, 3 + MESSAGE + 2),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, PICTURE]}]}, 1008),
        ("chat", {"messages": [{"role": "assistant", "content": None}, 7]}, 3 + MESSAGE + 3),
        (
            "chat",
            {"messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function"}]},
            3 + MESSAGE + 1 + 7,
        ),
        ("completion", {"prompt": "hello world"}, 2),
        ("completion", {"prompt": [[1, 2, 3], [4]]}, 4),
        ("embedding", {"input": ["hello world", "hi"]}, 3),
        ("rerank", {"query": "hi", "documents": ["hello world", {"text": "hi"}]}, 1 + 2 + 1 + 1),
        ("image", {"prompt": "hello world", "messages": [{"content": "something else"}]}, 2),
        ("transcription", {"file": FilePart("a.wav", "audio/wav", b"s" * 1600), "prompt": "hi"}, 1 + 2),
    ],
)
def test_a_prompt_is_what_a_call_says(endpoint: str, body: dict[str, Any], count: int) -> None:
    assert tokenizing.prompt_tokens(body, endpoint) == count


def test_an_answer_that_was_not_all_kept_is_reckoned_from_what_was() -> None:
    tally = Tally(60)
    for _ in range(100):
        tally.feed(delta(content="hello "))
    assert tokenizing.answer_tokens(tally) == pytest.approx(100, rel=0.2)


def test_reasoning_and_tool_calls_are_answers_too() -> None:
    tally = Tally(1000)
    tally.feed(delta(reasoning_content="hello world"))
    tally.feed(delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "find", "arguments": '{"x":1}'}}]))
    said = tokenizing.count('hello world{"x":1}') + tokenizing.count("find")
    assert tokenizing.answer_tokens(tally) == said


def test_nothing_said_is_nothing() -> None:
    assert tokenizing.answer_tokens(Tally(10)) == 0
