"""From OpenAI's messages to Gemini's system instruction and alternating turns of parts.

Facts from ai.google.dev (api/caching for Content and Part, docs/function-calling, docs/thought-signatures, docs/openai)
and the types of googleapis/python-genai.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from providers.requesters.errors import BadRequest
from providers.requesters.inner import tool_arguments

JSON = dict[str, Any]
Parts = list[JSON]

SYSTEM_ROLES = ("system", "developer")
DATA_URI = re.compile(r"data:([\w.+/-]+)(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
# What Google itself fetches: its own file store and bucket, and videos. Anything else the gateway would have to fetch.
GOOGLE_URIS = (
    "https://generativelanguage.googleapis.com/",
    "gs://",
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
)
# docs/thought-signatures: what a history that another model wrote has in a signature's place.
NO_SIGNATURE = "skip_thought_signature_validator"


def split(messages: Any, *, needs_signatures: bool) -> tuple[Parts, list[JSON]]:
    """The system's parts, wherever they stood, and the turns. Neighbours of one role are merged."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a non-empty list", param="messages")
    system: Parts = []
    history = _History(needs_signatures)
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role in SYSTEM_ROLES:
            system += _content(message)
        elif role in ROLES:
            turn_role, read = ROLES[role]
            history.add(turn_role, read(history, message))
        else:
            raise BadRequest(f"the model's provider has no message role {role!r}", param="messages")
    if not history.turns:
        raise BadRequest("messages hold no content for the model's provider", param="messages")
    return system, history.turns


class _History:
    """The turns so far, and which tool call asked for what: Gemini's results name their function."""

    def __init__(self, needs_signatures: bool) -> None:
        self.needs_signatures = needs_signatures
        self.turns: list[JSON] = []
        self.names: dict[str, str] = {}

    def add(self, role: str, parts: Parts) -> None:
        if not parts:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})

    def user(self, message: JSON) -> Parts:
        return _content(message)

    def assistant(self, message: JSON) -> Parts:
        """Signatures go back on the part that they came with; reasoning_content is not asked for again."""
        parts = _content(message)
        signature = _signature(message)
        if signature and parts:
            parts[-1]["thoughtSignature"] = signature
        calls = [self._call(call) for call in message.get("tool_calls") or []]
        # Of parallel calls only the first one has a signature.
        if calls and self.needs_signatures:
            calls[0].setdefault("thoughtSignature", NO_SIGNATURE)
        return parts + calls

    def _call(self, call: Any) -> JSON:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not function.get("name") or not call.get("id"):
            raise BadRequest("a tool call needs id and function.name", param="messages")
        self.names[call["id"]] = function["name"]
        part: JSON = {"functionCall": {"id": call["id"], "name": function["name"], "args": tool_arguments(function)}}
        signature = _signature(call)
        return part | ({"thoughtSignature": signature} if signature else {})

    def tool(self, message: JSON) -> Parts:
        call_id = message.get("tool_call_id")
        if call_id not in self.names:
            raise BadRequest("a tool message's tool_call_id must be that of an earlier tool call", param="messages")
        parts = _content(message)
        response: JSON = {"id": call_id, "name": self.names[call_id], "response": _result(parts)}
        media = [part for part in parts if "text" not in part]
        return [{"functionResponse": response | ({"parts": media} if media else {})}]


def _signature(holder: JSON) -> str | None:
    """Where Google's own OpenAI layer puts it: extra_content.google.thought_signature."""
    google = (holder.get("extra_content") or {}).get("google") or {}
    return google.get("thought_signature") or None


def _result(parts: Parts) -> JSON:
    """Gemini wants an object; of anything else it reads the key `output`."""
    text = "".join(part.get("text", "") for part in parts)
    try:
        result = orjson.loads(text)
    except orjson.JSONDecodeError:
        result = text
    return result if isinstance(result, dict) else {"output": text}


# Content


def _content(message: JSON) -> Parts:
    content = message.get("content")
    if content is None:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise BadRequest("a message's content must be a string or a list", param="messages")
    return [read for part in parts if (read := _part(part))]


def _part(part: Any) -> JSON | None:
    """None for empty text, which the vendor refuses."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in PARTS:
        raise BadRequest(f"the model's provider does not take content of type {kind!r}", param="messages")
    return PARTS[kind](part)


def _text(part: JSON) -> JSON | None:
    text = part.get("text") or part.get("refusal")
    return {"text": text} if isinstance(text, str) and text else None


def _url(part: JSON) -> JSON:
    holder = part.get(part["type"])
    return _media(holder.get("url") if isinstance(holder, dict) else holder)


def _file(part: JSON) -> JSON:
    file = part.get("file")
    file = file if isinstance(file, dict) else {}
    return _media(file.get("file_data") or file.get("file_id"))


def _audio(part: JSON) -> JSON:
    audio = part.get("input_audio")
    if not isinstance(audio, dict) or not audio.get("data") or not audio.get("format"):
        raise BadRequest("input_audio needs data and format", param="messages")
    return {"inlineData": {"mimeType": f"audio/{audio['format']}", "data": audio["data"]}}


def _media(url: Any) -> JSON:
    if isinstance(url, str) and (found := DATA_URI.match(url)):
        return {"inlineData": {"mimeType": found[1], "data": url[found.end() :]}}
    if isinstance(url, str) and url.startswith(GOOGLE_URIS):
        return {"fileData": {"fileUri": url}}
    raise BadRequest(
        "the model's provider takes images and files as base64 data URIs or as addresses of Google's file store: "
        "it does not fetch other addresses, and neither does the gateway",
        param="messages",
    )


ROLES: dict[str, tuple[str, Callable[[_History, JSON], Parts]]] = {
    "user": ("user", _History.user),
    "assistant": ("model", _History.assistant),
    "tool": ("user", _History.tool),
}
PARTS: dict[str, Callable[[JSON], JSON | None]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _url,
    "video_url": _url,
    "file": _file,
    "input_audio": _audio,
}
