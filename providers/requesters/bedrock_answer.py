"""From Converse's answer, whole or as a stream, to OpenAI's.

Thinking comes out twice: its text as `reasoning_content`, for people, and what the model signed or hid as
`thinking_blocks` in Anthropic's form, which a caller hands back with the assistant's message. Facts from the service
model bedrock-runtime of boto/botocore.
"""

from collections.abc import Callable, Iterator
from time import time
from typing import Any
from uuid import uuid4

import orjson

from providers.requesters.errors import BadAnswer, Truncated
from providers.requesters.inner import event_object
from providers.requesters.sse import Event

JSON = dict[str, Any]

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


def to_completion(answer: JSON) -> JSON:
    blocks = answer["output"]["message"]["content"]
    return {
        **_head("chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": _to_message(blocks),
                "logprobs": None,
                "finish_reason": FINISH_REASONS.get(str(answer.get("stopReason")), "stop"),
            }
        ],
        "usage": to_usage(answer.get("usage") or {}),
    }


def to_usage(usage: JSON) -> JSON:
    """Three disjoint buckets of input, as the prompt-caching page says; OpenAI's prompt_tokens is their sum. Output
    includes the thoughts, which Bedrock does not count by themselves."""
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    prompt, output = (usage.get("inputTokens") or 0) + read + written, usage.get("outputTokens") or 0
    long = sum(each.get("inputTokens") or 0 for each in usage.get("cacheDetails") or () if each.get("ttl") == "1h")
    kept = {"cache_creation": {"ephemeral_1h_input_tokens": long}} if long else {}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_creation_tokens": written, **kept},
    }


def _head(kind: str) -> JSON:
    """Converse's answers have neither id nor model."""
    return {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time()), "model": ""}


def _to_message(blocks: list[JSON]) -> JSON:
    text = "".join(_text(block) for block in blocks)
    thoughts = [block["reasoningContent"] for block in blocks if "reasoningContent" in block]
    calls = [_to_call(block["toolUse"]) for block in blocks if "toolUse" in block]
    message: JSON = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if thoughts:
        message["reasoning_content"] = "".join((each.get("reasoningText") or {}).get("text", "") for each in thoughts)
    if kept := [block for each in thoughts if (block := _thinking_block(each))]:
        message["thinking_blocks"] = kept
    if calls:
        message["tool_calls"] = calls
    return message


def _text(block: JSON) -> str:
    cited = (block.get("citationsContent") or {}).get("content") or []
    return str(block.get("text") or "") + "".join(each.get("text", "") for each in cited)


def _thinking_block(thought: JSON) -> JSON | None:
    if "redactedContent" in thought:
        return {"type": "redacted_thinking", "data": thought["redactedContent"]}
    told = thought.get("reasoningText") or {}
    if not told.get("signature"):
        return None
    return {"type": "thinking", "thinking": told.get("text", ""), "signature": told["signature"]}


def _to_call(use: JSON) -> JSON:
    function = {"name": use["name"], "arguments": orjson.dumps(use["input"]).decode()}
    return {"id": use["toolUseId"], "type": "function", "function": function}


def to_chunks(events: Iterator[Event], model: str) -> Iterator[Event]:
    """Each event is an object with its type as the one name: {"contentBlockDelta": {...}}. The finish reason waits
    for the metadata with the usage, which is the last: a stream that breaks off never looks finished."""
    turn = _Turn(model)
    for event in events:
        [(kind, payload)] = _read(event).items()
        if kind == "metadata":
            yield turn.chunk({}, turn.finish_reason())
            yield turn.usage_chunk(payload)
            return
        # Anything unknown is ignored: new kinds of events come without notice.
        if handler := HANDLERS.get(kind):
            yield from map(turn.chunk, handler(turn, payload))
    raise Truncated("upstream's stream ended before its metadata")


def _read(event: Event) -> JSON:
    payload = event_object(event)
    if len(payload) != 1:
        raise BadAnswer("upstream sent an event that is not of one kind")
    return payload


class _Turn:
    """What one stream must remember. Handlers take a vendor event and return the deltas that follow from it."""

    def __init__(self, model: str) -> None:
        self.head = {**_head("chat.completion.chunk"), "model": model}
        self.stop_reason = ""
        self.thoughts: dict[int, JSON] = {}
        self.calls: dict[int, JSON] = {}

    def chunk(self, delta: JSON, finish_reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return Event(orjson.dumps({**self.head, "choices": [choice]}))

    def usage_chunk(self, metadata: JSON) -> Event:
        return Event(orjson.dumps({**self.head, "choices": [], "usage": to_usage(metadata.get("usage") or {})}))

    def finish_reason(self) -> str:
        if not self.stop_reason:
            raise Truncated("upstream's stream ended before messageStop")
        return FINISH_REASONS.get(self.stop_reason, "stop")

    def start(self, payload: JSON) -> list[JSON]:
        return [{"role": "assistant", "content": ""}]

    def stop(self, payload: JSON) -> list[JSON]:
        self.stop_reason = str(payload["stopReason"])
        return []

    def open_block(self, payload: JSON) -> list[JSON]:
        """Only tool calls are announced; a text just begins."""
        use = payload["start"].get("toolUse")
        if use is None:
            return []
        self.calls[payload["contentBlockIndex"]] = {"index": len(self.calls), "has_arguments": False}
        function = {"name": use["name"], "arguments": ""}
        return [self._call(payload, {"id": use["toolUseId"], "type": "function", "function": function})]

    def extend_block(self, payload: JSON) -> list[JSON]:
        delta = payload["delta"]
        if "text" in delta:
            return [{"content": delta["text"]}] if delta["text"] else []
        if "reasoningContent" in delta:
            return self._think(payload["contentBlockIndex"], delta["reasoningContent"])
        arguments = (delta.get("toolUse") or {}).get("input")
        if not arguments:
            return []
        self.calls[payload["contentBlockIndex"]]["has_arguments"] = True
        return [self._call(payload, {"function": {"arguments": arguments}})]

    def close_block(self, payload: JSON) -> list[JSON]:
        index = payload["contentBlockIndex"]
        if (thought := self.thoughts.pop(index, None)) and (block := _thinking_block(thought)):
            return [{"thinking_blocks": [block]}]
        if index in self.calls and not self.calls[index]["has_arguments"]:
            # A call without arguments: OpenAI's clients parse what they get, and "" is not JSON.
            return [self._call(payload, {"function": {"arguments": "{}"}})]
        return []

    def _think(self, index: int, delta: JSON) -> list[JSON]:
        thought = self.thoughts.setdefault(index, {"reasoningText": {"text": "", "signature": ""}})
        if "redactedContent" in delta:
            thought["redactedContent"] = delta["redactedContent"]
        for name in ("text", "signature"):
            thought["reasoningText"][name] += delta.get(name) or ""
        return [{"reasoning_content": delta["text"]}] if delta.get("text") else []

    def _call(self, payload: JSON, call: JSON) -> JSON:
        return {"tool_calls": [{"index": self.calls[payload["contentBlockIndex"]]["index"], **call}]}


HANDLERS: dict[str, Callable[[_Turn, JSON], list[JSON]]] = {
    "messageStart": _Turn.start,
    "contentBlockStart": _Turn.open_block,
    "contentBlockDelta": _Turn.extend_block,
    "contentBlockStop": _Turn.close_block,
    "messageStop": _Turn.stop,
}
