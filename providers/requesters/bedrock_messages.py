"""From OpenAI's messages to Converse's system blocks and strictly alternating turns of content blocks.

Facts from the service model bedrock-runtime of boto/botocore (Message, ContentBlock and what is below them) and
docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from providers.requesters.errors import BadRequest
from providers.requesters.inner import tool_arguments

JSON = dict[str, Any]
Blocks = list[JSON]

SYSTEM_ROLES = ("system", "developer")
# What stands where the vendor wants words and there are none.
FILLER = "."
# An answer that the caller began can't be gone on with: the last turn must be a user's.
PLACEHOLDER = "Go on."
DATA_URI = re.compile(r"data:([\w.+/-]+)(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
OFFICE = "application/vnd.openxmlformats-officedocument"
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
# DocumentBlock's name: these characters only, never two spaces in a row.
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
MAX_NAME = 200
CACHE_LIFETIMES = ("5m", "1h")


def split(messages: Any, *, takes_thinking: bool, takes_cache: bool) -> tuple[Blocks, list[JSON]]:
    """The system blocks, wherever they stood, and the turns, from a user's to a user's."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a non-empty list", param="messages")
    reader = _Reader(takes_thinking, takes_cache)
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role in SYSTEM_ROLES:
            reader.system += reader.content(message)
        elif role in ROLES:
            ROLES[role](reader, message)
        else:
            raise BadRequest(f"the model's provider has no message role {role!r}", param="messages")
    if not reader.turns:
        raise BadRequest("messages hold no content for the model's provider", param="messages")
    if reader.turns[-1]["role"] == "assistant":
        reader.add("user", [{"text": PLACEHOLDER}])
    return reader.system, reader.turns


def signed_thinking(message: JSON) -> Blocks:
    return [block for each in message.get("thinking_blocks") or [] if (block := _thinking(each))]


def cache_point(control: Any = None) -> JSON:
    """From Anthropic's cache_control, whose lifetime may be said."""
    lifetime = control.get("ttl") if isinstance(control, dict) else None
    return {"cachePoint": {"type": "default"} | ({"ttl": lifetime} if lifetime in CACHE_LIFETIMES else {})}


class _Reader:
    """The conversation so far, and the documents' names in it, which must differ."""

    def __init__(self, takes_thinking: bool, takes_cache: bool) -> None:
        self.takes_thinking = takes_thinking
        self.takes_cache = takes_cache
        self.system: Blocks = []
        self.turns: list[JSON] = []
        self.names: set[str] = set()

    def add(self, role: str, blocks: Blocks) -> None:
        """Neighbours of one role get a filler between them, and a conversation that the assistant begins one before."""
        expected = "assistant" if len(self.turns) % 2 else "user"
        if role != expected:
            self.turns.append({"role": expected, "content": [{"text": FILLER}]})
        self.turns.append({"role": role, "content": blocks})

    # Roles

    def user(self, message: JSON) -> None:
        self.add("user", _worded(self.content(message)))

    def assistant(self, message: JSON) -> None:
        """Thinking first and with its signature, or the vendor refuses; that of other vendors can't go back."""
        thinking = signed_thinking(message) if self.takes_thinking else []
        calls = [_tool_use(call) for call in message.get("tool_calls") or []]
        content = self.content(message)
        self.add("assistant", thinking + (content + calls if calls else _worded(content)))

    def tool(self, message: JSON) -> None:
        """The results of one turn's calls belong in one turn."""
        if not message.get("tool_call_id"):
            raise BadRequest("a tool message needs tool_call_id", param="messages")
        blocks = self.content(message)
        content = [block for block in blocks if "cachePoint" not in block] or [{"text": FILLER}]
        result = {"toolResult": {"toolUseId": _call_id(message["tool_call_id"]), "content": content}}
        # A point may stand after the results only: neither in one nor between two.
        after = [block for block in blocks if "cachePoint" in block][-1:]
        if self.turns and "toolResult" in self.turns[-1]["content"][0]:
            before = self.turns[-1]["content"]
            after = after or [block for block in before if "cachePoint" in block]
            before[:] = [*(block for block in before if "cachePoint" not in block), result, *after]
        else:
            self.add("user", [result, *after])

    # Content

    def content(self, message: JSON) -> Blocks:
        content = message.get("content")
        if content is None:
            return []
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(parts, list):
            raise BadRequest("a message's content must be a string or a list", param="messages")
        blocks = [block for part in parts for block in self._part(part)]
        if blocks and "cachePoint" not in blocks[-1]:
            blocks += self._cache(message)
        return blocks

    def _part(self, part: Any) -> Blocks:
        """Nothing for blank text, which the vendor refuses."""
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PARTS:
            raise BadRequest(f"the model's provider does not take content of type {kind!r}", param="messages")
        block = PARTS[kind](self, part)
        return [block, *self._cache(part)] if block else []

    def _cache(self, holder: JSON) -> Blocks:
        control = holder.get("cache_control")
        return [cache_point(control)] if control and self.takes_cache else []

    def text(self, part: JSON) -> JSON | None:
        text = part.get("text") or part.get("refusal")
        return {"text": text} if isinstance(text, str) and text.strip() else None

    def image(self, part: JSON) -> JSON:
        image = part.get("image_url")
        kind, data = _data(image.get("url") if isinstance(image, dict) else image)
        if kind not in IMAGES:
            raise BadRequest(f"the model's provider takes no images of type {kind}", param="messages")
        return {"image": {"format": IMAGES[kind], "source": {"bytes": data}}}

    def audio(self, part: JSON) -> JSON:
        audio = part.get("input_audio")
        if not isinstance(audio, dict) or not audio.get("data") or not audio.get("format"):
            raise BadRequest("input_audio needs data and format", param="messages")
        return {"audio": {"format": audio["format"], "source": {"bytes": audio["data"]}}}

    def file(self, part: JSON) -> JSON:
        file = part.get("file")
        file = file if isinstance(file, dict) else {}
        kind, data = _data(file.get("file_data"))
        name = str(file.get("filename") or "")
        return self._document(name, DOCUMENTS.get(kind) or name.rpartition(".")[2].lower(), data)

    def doc(self, part: JSON) -> JSON:
        """A `doc` part: {name, format, size, source: {bytes}}, the bytes a list or, as JavaScript writes a
        Uint8Array, an object of numbers by their position."""
        doc = part["doc"]
        values = doc["source"]["bytes"]
        try:
            if isinstance(values, dict):
                values = [values[position] for position in sorted(values, key=int)]
            data = b64encode(bytes(values)).decode()
        except ValueError as error:
            raise BadRequest("a document's bytes must be numbers from 0 to 255", param="messages") from error
        return self._document(str(doc["name"]), str(doc.get("format") or ""), data)

    def _document(self, name: str, kind: str, data: str) -> JSON:
        if kind not in DOCUMENTS.values():
            raise BadRequest(f"the model's provider takes no documents of type {kind[:50]!r}", param="messages")
        return {"document": {"format": kind, "name": self._name(name, kind), "source": {"bytes": data}}}

    def _name(self, name: str, kind: str) -> str:
        plain = NOT_IN_NAMES.sub(" ", name.removesuffix(f".{kind}")).strip()[: MAX_NAME - 6].strip() or "document"
        numbered = (plain if not number else f"{plain} {number + 1}" for number in range(len(self.names) + 1))
        free = next(each for each in numbered if each not in self.names)
        self.names.add(free)
        return free


def _worded(blocks: Blocks) -> Blocks:
    """The vendor refuses an empty turn, and a document without a word about it."""
    has_text = any("text" in block for block in blocks)
    needs_text = not blocks or any("document" in block for block in blocks)
    return [*blocks, {"text": FILLER}] if needs_text and not has_text else blocks


def _data(url: Any) -> tuple[str, str]:
    """A data URI's type and base64."""
    if isinstance(url, str) and (found := DATA_URI.match(url)) and len(url) > found.end():
        return found[1].lower(), url[found.end() :]
    raise BadRequest(
        "the model's provider takes images and files as base64 data URIs only: it does not fetch addresses, and "
        "neither does the gateway",
        param="messages",
    )


def _thinking(block: JSON) -> JSON | None:
    """Only what the model signed or hid itself."""
    if block.get("type") == "redacted_thinking":
        return {"reasoningContent": {"redactedContent": block["data"]}}
    if block.get("type") != "thinking" or not block.get("signature"):
        return None
    return {"reasoningContent": {"reasoningText": {"text": block["thinking"], "signature": block["signature"]}}}


def _tool_use(call: Any) -> JSON:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not function.get("name") or not call.get("id"):
        raise BadRequest("a tool call needs id and function.name", param="messages")
    return {"toolUse": {"toolUseId": _call_id(call["id"]), "name": function["name"], "input": tool_arguments(function)}}


def _call_id(call_id: Any) -> str:
    """Other vendors' ids may be longer than Bedrock allows, or have other characters."""
    text = str(call_id)
    return text if CALL_ID.fullmatch(text) else f"call_{sha256(text.encode()).hexdigest()[:32]}"


ROLES: dict[str, Callable[[_Reader, JSON], None]] = {
    "user": _Reader.user,
    "assistant": _Reader.assistant,
    "tool": _Reader.tool,
}
PARTS: dict[str, Callable[[_Reader, JSON], JSON | None]] = {
    "text": _Reader.text,
    "refusal": _Reader.text,
    "image_url": _Reader.image,
    "input_audio": _Reader.audio,
    "file": _Reader.file,
    "doc": _Reader.doc,
}
