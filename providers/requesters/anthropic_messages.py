"""From OpenAI's messages to Anthropic's system prompt and strictly alternating turns of content blocks."""

import re
from collections.abc import Callable
from typing import Any

from providers.requesters.errors import BadRequest
from providers.requesters.inner import tool_arguments

JSON = dict[str, Any]
Blocks = list[JSON]

SYSTEM_ROLES = ("system", "developer")
# Blocks of Anthropic's own that callers may put among OpenAI's parts.
NATIVE_PARTS = frozenset({"image", "document", "search_result", "tool_result", "tool_use"})
THINKING = ("thinking", "redacted_thinking")
DATA_URI = re.compile(r"data:([\w.+/-]+);base64,", re.ASCII)


def split(messages: Any) -> tuple[Blocks, list[JSON]]:
    """The system blocks, wherever they stood, and the turns. Neighbours of one role are merged."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a non-empty list", param="messages")
    system: Blocks = []
    turns: list[JSON] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role in SYSTEM_ROLES:
            system += _content(message)
            continue
        if role not in ROLES:
            raise BadRequest(f"the model's provider has no message role {role!r}", param="messages")
        turn_role, read = ROLES[role]
        if blocks := read(message):
            _add(turns, turn_role, blocks)
    if not turns:
        raise BadRequest("messages hold no content for the model's provider", param="messages")
    return system, turns


def has_bare_tool_turn(messages: Any) -> bool:
    """Whether the last assistant turn called a tool and came back without its thinking."""
    spoken = [message for message in messages or [] if isinstance(message, dict) and message.get("role") == "assistant"]
    return bool(spoken and spoken[-1].get("tool_calls") and not spoken[-1].get("thinking_blocks"))


def _add(turns: list[JSON], role: str, blocks: Blocks) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _content(message: JSON) -> Blocks:
    content = message.get("content")
    if content is None:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise BadRequest("a message's content must be a string or a list", param="messages")
    blocks = [block for part in parts if (block := _block(part))]
    if blocks and message.get("cache_control"):
        blocks[-1]["cache_control"] = message["cache_control"]
    return blocks


def _block(part: Any) -> JSON | None:
    """None for blank text, which the vendor refuses."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in NATIVE_PARTS:
        return dict(part)
    if kind not in PARTS:
        raise BadRequest(f"the model's provider does not take content of type {kind!r}", param="messages")
    block = PARTS[kind](part)
    if block and part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _text(part: JSON) -> JSON | None:
    text = part.get("text") or part.get("refusal")
    return {"type": "text", "text": text} if isinstance(text, str) and text.strip() else None


def _image(part: JSON) -> JSON:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return {"type": "image", "source": _source(url)}


def _file(part: JSON) -> JSON:
    file = part.get("file")
    file = file if isinstance(file, dict) else {}
    block = {"type": "document", "source": _source(file.get("file_data"))}
    return block | ({"title": file["filename"]} if file.get("filename") else {})


def _source(url: Any) -> JSON:
    if isinstance(url, str) and (found := DATA_URI.match(url)):
        return {"type": "base64", "media_type": found[1], "data": url[found.end() :]}
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return {"type": "url", "url": url}
    raise BadRequest("images and files must be http(s) URLs or base64 data URIs", param="messages")


def _assistant(message: JSON) -> Blocks:
    """Thinking first and with its signature, or the vendor refuses; reasoning_content has none and cannot go back."""
    thinking = [block for block in message.get("thinking_blocks") or [] if block.get("type") in THINKING]
    return thinking + _content(message) + [_tool_use(call) for call in message.get("tool_calls") or []]


def _tool_use(call: Any) -> JSON:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not function.get("name") or not call.get("id"):
        raise BadRequest("a tool call needs id and function.name", param="messages")
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": tool_arguments(function)}


def _tool_result(message: JSON) -> Blocks:
    if not message.get("tool_call_id"):
        raise BadRequest("a tool message needs tool_call_id", param="messages")
    block = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
    content = _content(message)
    return [block | ({"content": content} if content else {})]


ROLES: dict[str, tuple[str, Callable[[JSON], Blocks]]] = {
    "user": ("user", _content),
    "assistant": ("assistant", _assistant),
    "tool": ("user", _tool_result),
}
PARTS: dict[str, Callable[[JSON], JSON | None]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "file": _file,
}
