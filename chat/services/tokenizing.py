"""Counting tokens where an upstream never said: with OpenAI's latest vocabulary, which is part of a package.

The vocabulary takes 70 MB, so it is loaded when first needed: a process whose upstreams report their usage never has
it. Other vendors' vocabularies differ somewhat; what is counted here is marked as estimated.
"""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson

from chat.services import bounds
from chat.services.tally import Tally

logger = logging.getLogger(__name__)
JSON = dict[str, Any]

MOST_COUNTED = 1_000_000  # characters of one text, which take some 60 ms; the rest is taken to be alike
# cookbook.openai.com, "How to count tokens with tiktoken": what holds a message, and what opens the answer.
TOKENS_PER_MESSAGE = 3
TOKENS_OF_OPENING = 3
TOKENS_PER_PICTURE = 1_000
# What is read as text, beside messages, in the calls that have it.
READ = ("prompt", "input", "query", "documents", "suffix", "instructions")
JSON_READ = ("tools", "functions", "response_format")


def count(text: str) -> int:
    """Tokens of a text; roughly, should the tokenizer fail: what was used must be settled in any case."""
    looked_at = text[:MOST_COUNTED]
    try:
        # Half a character pair, as JSON can carry it, is none in UTF-8.
        counted = _vocabulary().count(looked_at.encode("utf-8", "replace").decode())
    except Exception:
        logger.exception("tokens are guessed: the tokenizer does not work")
        counted = bounds.text_estimate(len(looked_at))
    return int(counted * len(text) / len(looked_at)) if looked_at else 0


@cache
def _vocabulary() -> Any:
    from rs_bpe import openai

    return openai.o200k_base()


def prompt_tokens(body: JSON, endpoint: str) -> int:
    """Of what a call says. Pictures, sound and files by a constant each."""
    messages = body.get("messages") if endpoint in ("chat", "completion") else None
    counted = sum(_message(each) for each in messages) + TOKENS_OF_OPENING if isinstance(messages, list) else 0
    counted += sum(count(text) for name in READ for text in _texts(body.get(name)))
    counted += sum(_ids(body.get(name)) for name in READ)
    counted += sum(count(orjson.dumps(body[name]).decode()) for name in JSON_READ if body.get(name))
    return min(counted + bounds.query_again(body, count) + bounds.sound_estimate(body), bounds.MOST_TOKENS)


def _message(message: Any) -> int:
    if not isinstance(message, dict):
        return TOKENS_PER_MESSAGE
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    calls = message.get("tool_calls") or message.get("function_call")
    said = sum(map(_part, parts)) + count(str(message.get("role") or "")) + count(str(message.get("name") or ""))
    return TOKENS_PER_MESSAGE + said + (count(orjson.dumps(calls).decode()) if calls else 0)


def _part(part: Any) -> int:
    if isinstance(part, dict) and bounds.is_attached(part):
        return TOKENS_PER_PICTURE
    return sum(count(text) for text in _texts(part))


def _texts(value: Any) -> Iterator[str]:
    """All texts in it, at whatever depth; keys are the protocol's."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            if name != "type":
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _ids(value: Any) -> int:
    """Prompts may come as token numbers."""
    if not isinstance(value, list):
        return 0
    return sum(1 if type(each) is int else _ids(each) for each in value)


def answer_tokens(tally: Tally) -> int:
    """Of all that was answered, reckoned from what of it was kept."""
    kept = [*tally.texts, *tally.reasonings, *(call["arguments"] for call in tally.tool_calls.values())]
    length = sum(map(len, kept))
    if not length:
        return bounds.text_estimate(tally.characters)
    counted = count("".join(kept)) + sum(count(call["name"]) for call in tally.tool_calls.values())
    return min(-(-counted * tally.characters // length), bounds.MOST_TOKENS)


def is_loaded() -> bool:
    """Whether this process has had to count."""
    return bool(_vocabulary.cache_info().currsize)
