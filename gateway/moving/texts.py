"""What was said, from BRConnector's form into ours.

There a prompt is the JSON of the last message's content (of an embedding: the text itself, or the JSON of a list),
and thoughts stand in front of the answer between <think> tags. It may have been cut on the way here.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from chat.services.conversations import last_text
from gateway.moving.source import ThreadRow, longest_text

THOUGHTS = re.compile(r"\s*<think>(.*?)(?:</think>\s*(.*))?", re.DOTALL)
# A file's bytes in a part of a message, as a list, an object or a text; whole, or cut at the end of what was read.
BYTES = re.compile(r'(?<!\\)"bytes":\s*(?:\{[^{}]*(?:\}|\Z)|\[[^\[\]]*(?:\]|\Z)|"[^"]*(?:"|\Z))')
CHAT, EMBEDDING = "chat", "embedding"
SAID_IN = {CHAT: "messages", EMBEDDING: "input"}


@dataclass(frozen=True, slots=True)
class Said:
    """One exchange's texts, as long as they may be here."""

    prompt: str
    messages: str
    completion: str
    reasoning: str
    is_truncated: bool

    @property
    def has_text(self) -> bool:
        return bool(self.prompt or self.messages or self.completion or self.reasoning)


NOTHING = Said("", "", "", "", True)


def endpoint_of(row: ThreadRow) -> str:
    """An embedding has no session, no list of messages and no answer."""
    is_embedding = not (row.session_id or row.whole_prompt or row.completion or row.tokens_out)
    return EMBEDDING if is_embedding else CHAT


def said(row: ThreadRow, endpoint: str) -> Said:
    room = settings.HISTORY_MAX_CHARS
    value, is_cut = _value(row.prompt or "", endpoint)
    prompt = clean(last_text({SAID_IN[endpoint]: [{"content": value}] if endpoint == CHAT else value}, endpoint))
    messages = clean(_messages(row, value, endpoint))
    completion, reasoning = _parts(clean(row.completion or ""))
    texts = (prompt, messages, completion, reasoning)
    is_truncated = is_cut or _is_cut(row.whole_prompt) or any(len(text) > room for text in texts)
    return Said(prompt[:room], messages[:room], completion[:room], reasoning[:room], is_truncated)


def _is_cut(text: str | None) -> bool:
    return len(text or "") >= longest_text()


def _messages(row: ThreadRow, value: Any, endpoint: str) -> str:
    """All of them, as JSON. A file's bytes are never kept."""
    if endpoint == EMBEDDING:
        return orjson.dumps(_cleaned(value)).decode()
    messages = row.whole_prompt or ""
    return BYTES.sub('"bytes":""', messages) if '"bytes"' in messages else messages


def _value(prompt: str, endpoint: str) -> tuple[Any, bool]:
    """The content that a prompt stands for, and whether some of it is missing."""
    if endpoint == EMBEDDING and not prompt.startswith("["):
        return prompt, _is_cut(prompt)
    try:
        return json.loads(prompt), False
    except (ValueError, RecursionError):
        return (_before_the_cut(prompt), True) if _is_cut(prompt) else (prompt, False)


def _before_the_cut(text: str) -> Any:
    """A text without its quotation mark, or the parts of a list that are whole."""
    if not text.startswith("["):
        return text.removeprefix('"')
    parts: list[Any] = []
    place = 1
    while True:
        try:
            part, end = json.JSONDecoder().raw_decode(text, place)
        except (ValueError, RecursionError):
            return parts
        parts.append(part)
        place = end + 1


def _parts(completion: str) -> tuple[str, str]:
    """The answer, and what was thought before it."""
    found = THOUGHTS.fullmatch(completion)
    return (found[2] or "", found[1]) if found else (completion, "")


def clean(text: str) -> str:
    """Without what no database's text holds: NUL, and halves of characters, which JSON can name."""
    text = text.replace("\0", "\ufffd") if "\0" in text else text
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _cleaned(value: Any) -> Any:
    return [clean(str(part)) for part in value] if isinstance(value, list) else clean(str(value))
