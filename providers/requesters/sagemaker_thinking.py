"""Thoughts told apart from the answer, for containers that send both as one text with </think> between them.

DeepSeek's own chat template ends in <think>, so that an answer begins inside it (huggingface.co/deepseek-ai, the
models' tokenizer_config.json).
"""

from collections.abc import Iterator
from typing import Any

import orjson

from providers.requesters.errors import BadAnswer
from providers.requesters.inner import malformed
from providers.requesters.sse import Event

JSON = dict[str, Any]
START, END = "<think>", "</think>"
FORM = "upstream's answer has not the form of OpenAI's chat completions"


def split_completion(payload: JSON) -> JSON:
    with malformed(BadAnswer, FORM):
        choices = [{**choice, "message": _split_message(choice["message"])} for choice in payload["choices"]]
    return {**payload, "choices": choices}


def _split_message(message: JSON) -> JSON:
    text = _Text()
    parts = text.take(message.get("content") or "", is_last=True)
    return {**message, "content": "", **parts}


def split_chunks(events: Iterator[Event]) -> Iterator[Event]:
    texts: dict[int, _Text] = {}
    with malformed(BadAnswer, FORM):
        for event in events:
            chunk = event.json
            choices = [_split_choice(choice, texts) for choice in chunk.get("choices") or []]
            yield Event(orjson.dumps({**chunk, "choices": choices})) if choices else event


def _split_choice(choice: JSON, texts: dict[int, "_Text"]) -> JSON:
    text = texts.setdefault(choice.get("index", 0), _Text())
    delta = choice.get("delta") or {}
    parts = text.take(delta.get("content") or "", is_last=bool(choice.get("finish_reason")))
    return {**choice, "delta": {**{name: delta[name] for name in delta if name != "content"}, **parts}}


class _Text:
    """One answer so far: in thought until the tag has come."""

    def __init__(self) -> None:
        self.is_thought = True
        self.is_new = True  # nothing but line ends has come since it began, or since the tag
        self.held = ""

    def take(self, piece: str, *, is_last: bool) -> JSON:
        """The fields that follow from a piece; what may be the beginning of a tag waits for the next one."""
        self.held += piece
        if not self.is_thought:
            return self._answer()
        thought, tag, rest = self.held.partition(END)
        if tag:
            fields = self._thought(thought)
            self.is_thought, self.is_new, self.held = False, True, rest
            return {**fields, **self._answer()}
        kept = 0 if is_last else _overlap(self.held)
        self.held, thought = self.held[len(self.held) - kept :], self.held[: len(self.held) - kept]
        return self._thought(thought)

    def _answer(self) -> JSON:
        text, self.held = self.held.lstrip("\n") if self.is_new else self.held, ""
        self.is_new = self.is_new and not text
        return {"content": text} if text else {}

    def _thought(self, text: str) -> JSON:
        """Some containers show the tag that the template begins the answer with."""
        if self.is_new:
            text = text.removeprefix(START).lstrip("\n")
        self.is_new = self.is_new and not text
        return {"reasoning_content": text} if text else {}


def _overlap(text: str) -> int:
    """How many characters at the end may go on to be a tag."""
    tags = ((tag, size) for tag in (START, END) for size in range(len(tag) - 1, 0, -1))
    return max((size for tag, size in tags if text.endswith(tag[:size])), default=0)
