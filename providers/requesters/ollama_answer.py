"""From Ollama's answers, whole or as lines, to OpenAI's. Facts from docs/api.md and api/types.go of ollama/ollama."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import time
from typing import Any
from uuid import uuid4

import orjson

from providers.requesters.errors import BadAnswer, ProviderError, Truncated
from providers.requesters.inner import embedding_data
from providers.requesters.sse import MAX_EVENT_BYTES, Event

JSON = dict[str, Any]
MapError = Callable[[int, Any, Mapping[str, str]], ProviderError]

# Whatever is not named here ("load" and "unload" are others) is "stop".
FINISH_REASONS = {"length": "length"}


def to_completion(payload: JSON) -> JSON:
    message = payload.get("message")
    if not isinstance(message, dict) or payload.get("done") is not True:
        raise BadAnswer("upstream's answer has no message, or is not done")
    calls = [_to_call(call) for call in message.get("tool_calls") or []]
    answer: JSON = {"role": "assistant", "content": message.get("content") or (None if calls else ""), "refusal": None}
    further = {"reasoning_content": message.get("thinking"), "tool_calls": calls}
    choice = {
        "index": 0,
        "message": answer | {name: value for name, value in further.items() if value},
        "logprobs": _to_logprobs(payload),
        "finish_reason": _finish_reason(payload, has_calls=bool(calls)),
    }
    return {**_head(payload, "chat.completion"), "choices": [choice], **_usage_field(payload)}


def to_text_completion(payload: JSON) -> JSON:
    if not isinstance(payload.get("response"), str) or payload.get("done") is not True:
        raise BadAnswer("upstream's answer has no text, or is not done")
    reason = _finish_reason(payload, has_calls=False)
    choice = {"index": 0, "text": payload["response"], "logprobs": _to_logprobs(payload), "finish_reason": reason}
    return {**_head(payload, "text_completion"), "choices": [choice], **_usage_field(payload)}


def to_embeddings(payload: JSON, *, is_base64: bool) -> JSON:
    vectors = payload.get("embeddings")
    if not isinstance(vectors, list):
        raise BadAnswer("upstream's answer has no embeddings")
    data = embedding_data(vectors, is_base64=is_base64)
    answer: JSON = {"object": "list", "data": data, "model": payload.get("model", "")}
    count = payload.get("prompt_eval_count")
    return answer | ({"usage": {"prompt_tokens": count, "total_tokens": count}} if count else {})


def _head(payload: JSON, kind: str) -> JSON:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time()),
        "model": payload.get("model", ""),
    }


def _usage_field(payload: JSON) -> JSON:
    usage = to_usage(payload)
    return {"usage": usage} if usage else {}


def to_usage(payload: JSON) -> JSON | None:
    """A zero is left out on this wire. None without the prompt's count, which some versions leave out when the whole
    prompt was still in memory: an estimate says more than a zero."""
    prompt, output = payload.get("prompt_eval_count"), payload.get("eval_count") or 0
    if not prompt:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def _finish_reason(payload: JSON, *, has_calls: bool) -> str:
    reason = FINISH_REASONS.get(str(payload.get("done_reason")), "stop")
    return "tool_calls" if has_calls and reason == "stop" else reason


def _to_call(call: JSON) -> JSON:
    """Older versions give no id; OpenAI's callers need one to answer to."""
    function = call["function"]
    arguments = orjson.dumps(function.get("arguments") or {}).decode()
    return {
        "id": call.get("id") or f"call_{uuid4().hex}",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _to_logprobs(payload: JSON) -> JSON | None:
    tokens = payload.get("logprobs")
    if not tokens:
        return None
    return {"content": [{"bytes": None, "top_logprobs": [], **token} for token in tokens], "refusal": None}


# Streams


def read_lines(chunks: Iterable[bytes]) -> Iterator[Event]:
    """One JSON object a line. A last line without its end is kept: if it is cut, it is no JSON."""
    pending = bytearray()
    for chunk in chunks:
        start = len(pending)
        pending += chunk
        if b"\n" not in chunk:
            if len(pending) > MAX_EVENT_BYTES:
                raise BadAnswer(f"upstream sent an event larger than {MAX_EVENT_BYTES} bytes")
            continue
        end = pending.rfind(b"\n", start)
        yield from (Event(line) for line in bytes(pending[:end]).split(b"\n") if line.strip())
        del pending[: end + 1]
    if pending.strip():
        yield Event(bytes(pending))


def to_chunks(events: Iterator[Event], map_error: MapError) -> Iterator[Event]:
    """The line with `done` is the end; a stream without it is cut off."""
    stream: _Streamed | None = None
    for event in events:
        payload = _read(event)
        if payload.get("error"):
            raise map_error(200, payload, {})
        stream = stream or _Streamed(payload)
        yield from stream.take(payload)
        if payload.get("done"):
            yield from stream.end(payload)
            return
    raise Truncated("upstream's stream ended before its last line")


def _read(event: Event) -> JSON:
    try:
        payload = event.json
    except orjson.JSONDecodeError as error:
        raise Truncated("upstream sent a line that is not JSON") from error
    if not isinstance(payload, dict):
        raise BadAnswer("upstream sent a line that is not a JSON object")
    return payload


class _Streamed:
    """What one stream must remember. /api/generate has `response` where /api/chat has `message`."""

    def __init__(self, payload: JSON) -> None:
        self.is_text = "response" in payload
        self.head = _head(payload, "text_completion" if self.is_text else "chat.completion.chunk")
        self.has_begun = False
        self.calls = 0

    def take(self, payload: JSON) -> Iterator[Event]:
        deltas = self._text(payload) if self.is_text else self._deltas(payload.get("message") or {})
        logprobs = _to_logprobs(payload)
        for delta in deltas:
            yield self._chunk(delta, None, logprobs)
            logprobs = None

    def _text(self, payload: JSON) -> list[JSON]:
        return [{"text": payload["response"]}] if payload.get("response") else []

    def _deltas(self, message: JSON) -> Iterator[JSON]:
        if not self.has_begun:
            self.has_begun = True
            yield {"role": "assistant", "content": ""}
        if message.get("thinking"):
            yield {"reasoning_content": message["thinking"]}
        if message.get("content"):
            yield {"content": message["content"]}
        for call in message.get("tool_calls") or []:
            yield {"tool_calls": [{"index": self.calls, **_to_call(call)}]}
            self.calls += 1

    def end(self, payload: JSON) -> Iterator[Event]:
        yield self._chunk({"text": ""} if self.is_text else {}, _finish_reason(payload, has_calls=self.calls > 0))
        if usage := to_usage(payload):
            yield Event(orjson.dumps({**self.head, "choices": [], "usage": usage}))

    def _chunk(self, delta: JSON, reason: str | None, logprobs: JSON | None = None) -> Event:
        said = delta if self.is_text else {"delta": delta}
        choice: JSON = {"index": 0, **said, "finish_reason": reason} | ({"logprobs": logprobs} if logprobs else {})
        return Event(orjson.dumps({**self.head, "choices": [choice]}))
