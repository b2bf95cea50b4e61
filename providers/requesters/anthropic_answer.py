"""From Anthropic's message, whole or as a stream, to OpenAI's.

Thinking comes out twice: its text as `reasoning_content`, for people, and its signed blocks as `thinking_blocks`, which
a caller hands back with the assistant's message so that the vendor accepts the turn again.
"""

from collections.abc import Callable, Iterator, Mapping
from time import time
from typing import Any

import orjson

from providers.requesters.errors import BadAnswer, ProviderError, Truncated
from providers.requesters.inner import event_object
from providers.requesters.sse import Event

JSON = dict[str, Any]
MapError = Callable[[int, Any, Mapping[str, str]], ProviderError]

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def to_completion(message: JSON) -> JSON:
    blocks = message.get("content")
    if not isinstance(blocks, list):
        raise BadAnswer("upstream's answer has no content")
    return {
        "id": message.get("id", ""),
        "object": "chat.completion",
        "created": int(time()),
        "model": message.get("model", ""),
        "choices": [
            {
                "index": 0,
                "message": _to_message(blocks),
                "logprobs": None,
                "finish_reason": FINISH_REASONS.get(str(message.get("stop_reason")), "stop"),
            }
        ],
        "usage": to_usage(message.get("usage") or {}),
    }


def to_usage(usage: JSON) -> JSON:
    """Anthropic's three input buckets are disjoint; OpenAI's prompt_tokens is their sum, with two parts named."""
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + read + written
    output = usage.get("output_tokens") or 0
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_creation_tokens": written, **_kept(usage)},
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }


def _kept(usage: JSON) -> JSON:
    """What was written to the cache by how long it stays there: an hour costs more than five minutes."""
    by_time = usage.get("cache_creation") or {}
    return {"cache_creation": by_time} if by_time.get("ephemeral_1h_input_tokens") else {}


def _to_message(blocks: list[JSON]) -> JSON:
    text = "".join(block["text"] for block in blocks if block.get("type") == "text")
    thinking = [block for block in blocks if block.get("type") in ("thinking", "redacted_thinking")]
    calls = [_to_call(block) for block in blocks if block.get("type") == "tool_use"]
    message: JSON = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if thinking:
        message["reasoning_content"] = "".join(block.get("thinking", "") for block in thinking)
        message["thinking_blocks"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message


def _to_call(block: JSON) -> JSON:
    function = {"name": block["name"], "arguments": orjson.dumps(block["input"]).decode()}
    return {"id": block["id"], "type": "function", "function": function}


def to_chunks(events: Iterator[Event], map_error: MapError) -> Iterator[Event]:
    """The finish reason and the usage wait for message_stop: a stream that breaks off never looks finished."""
    turn = _Turn()
    for event in events:
        payload = event_object(event)
        kind = payload.get("type")
        if kind == "error":
            raise map_error(200, payload, {})
        if kind == "message_stop":
            yield turn.chunk({}, FINISH_REASONS.get(turn.stop_reason, "stop"))
            yield turn.usage_chunk()
            return
        # Anything unknown is ignored, as Anthropic's versioning policy asks for; so is ping.
        if handler := HANDLERS.get(str(kind)):
            yield from map(turn.chunk, handler(turn, payload))
    raise Truncated("upstream's stream ended before message_stop")


class _Turn:
    """What one stream must remember. Handlers take a vendor event and return the deltas that follow from it."""

    def __init__(self) -> None:
        self.head: JSON = {"id": "", "object": "chat.completion.chunk", "created": int(time()), "model": ""}
        self.usage: JSON = {}
        self.stop_reason = ""
        self.block: JSON = {}
        self.tool_index = -1
        self.has_arguments = False

    def chunk(self, delta: JSON, finish_reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return Event(orjson.dumps({**self.head, "choices": [choice]}))

    def usage_chunk(self) -> Event:
        return Event(orjson.dumps({**self.head, "choices": [], "usage": to_usage(self.usage)}))

    def start(self, payload: JSON) -> list[JSON]:
        message = payload["message"]
        self.head |= {"id": message.get("id", ""), "model": message.get("model", "")}
        self._count(message)
        return [{"role": "assistant", "content": ""}]

    def finish(self, payload: JSON) -> list[JSON]:
        self.stop_reason = str(payload.get("delta", {}).get("stop_reason"))
        self._count(payload)
        return []

    def _count(self, holder: JSON) -> None:
        # Cumulative: a later number replaces an earlier one. Not every event repeats every number.
        self.usage |= {name: value for name, value in (holder.get("usage") or {}).items() if value is not None}

    def open_block(self, payload: JSON) -> list[JSON]:
        self.block = dict(payload["content_block"])
        kind = self.block.get("type")
        if kind == "tool_use":
            self.tool_index += 1
            self.has_arguments = False
            function = {"name": self.block["name"], "arguments": ""}
            return [self._call({"id": self.block["id"], "type": "function", "function": function})]
        if kind == "text" and self.block.get("text"):
            return [{"content": self.block["text"]}]
        return []

    def extend_block(self, payload: JSON) -> list[JSON]:
        delta = payload["delta"]
        kind, block = delta.get("type"), self.block
        if kind == "text_delta":
            return [{"content": delta["text"]}]
        if kind == "input_json_delta" and block.get("type") == "tool_use" and delta["partial_json"]:
            self.has_arguments = True
            return [self._call({"function": {"arguments": delta["partial_json"]}})]
        if kind == "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
            return [{"reasoning_content": delta["thinking"]}]
        if kind == "signature_delta":
            block["signature"] = block.get("signature", "") + delta["signature"]
        return []

    def close_block(self, payload: JSON) -> list[JSON]:
        block, self.block = self.block, {}
        if block.get("type") in ("thinking", "redacted_thinking"):
            return [{"thinking_blocks": [block]}]
        if block.get("type") == "tool_use" and not self.has_arguments:
            # A call without arguments: OpenAI's clients parse what they get, and "" is not JSON.
            arguments = orjson.dumps(block.get("input") or {}).decode()
            return [self._call({"function": {"arguments": arguments}})]
        return []

    def _call(self, call: JSON) -> JSON:
        return {"tool_calls": [{"index": self.tool_index, **call}]}


HANDLERS: dict[str, Callable[[_Turn, JSON], list[JSON]]] = {
    "message_start": _Turn.start,
    "content_block_start": _Turn.open_block,
    "content_block_delta": _Turn.extend_block,
    "content_block_stop": _Turn.close_block,
    "message_delta": _Turn.finish,
}
