"""From Gemini's answer, whole or as a stream, to OpenAI's.

Thoughts come out as `reasoning_content`. A thought's signature comes out where Google's own OpenAI layer puts it, in
`extra_content.google.thought_signature` of a tool call or of the message, and a caller hands it back there.

Facts from ai.google.dev (api/generate-content, docs/thought-signatures) and googleapis/python-genai.
"""

from collections.abc import Callable, Iterator, Mapping
from time import time
from typing import Any
from uuid import uuid4

import orjson

from providers.requesters.errors import BadAnswer, ContentFiltered, ProviderError, Truncated
from providers.requesters.inner import event_object
from providers.requesters.sse import Event

JSON = dict[str, Any]
MapError = Callable[[int, Any, Mapping[str, str]], ProviderError]

# Whatever is not named here is "stop".
FINISH_REASONS = {
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
# The model tried to call a tool and what it wrote cannot be used. As "stop" this would look like a model that decided
# to say nothing, and an agent would end there; as an error it is asked again, here or at another deployment.
BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"


def to_completion(payload: JSON) -> JSON:
    refuse_blocked(payload)
    candidates = payload.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        raise BadAnswer("upstream's answer has no candidates")
    answer = {
        **_head(payload, "chat.completion"),
        "choices": [_to_choice(candidate, index) for index, candidate in enumerate(candidates)],
    }
    usage = to_usage(payload.get("usageMetadata"))
    return answer | ({"usage": usage} if usage else {})


def refuse_blocked(payload: JSON) -> None:
    reason = (payload.get("promptFeedback") or {}).get("blockReason")
    if reason and not payload.get("candidates"):
        raise ContentFiltered(f"upstream's safety rules refuse the prompt: {reason}", upstream_code=str(reason))


def to_usage(usage: Any) -> JSON | None:
    """promptTokenCount holds the cached ones, candidatesTokenCount none of the thoughts; what the vendor's own tools
    put into the prompt is counted beside it, and charged as input. Sound that the cache served is told as cached
    only. None when nothing was counted."""
    if not isinstance(usage, dict) or not usage:
        return None
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    thoughts = _count(usage, "thoughtsTokenCount")
    output = _count(usage, "candidatesTokenCount") + thoughts
    cached = _by_modality(usage, "cacheTokensDetails")
    uncached = {name: count - cached.get(name, 0) for name, count in _by_modality(usage, "promptTokensDetails").items()}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": _count(usage, "cachedContentTokenCount"), **uncached},
        "completion_tokens_details": {"reasoning_tokens": thoughts, **_by_modality(usage, "candidatesTokensDetails")},
    }


MODALITIES = {"IMAGE": "image_tokens", "AUDIO": "audio_tokens"}  # those that models have a price of their own for


def _by_modality(usage: JSON, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in usage.get(name) or ():
        if modality := MODALITIES.get(each.get("modality")):
            found[modality] = found.get(modality, 0) + _count(each, "tokenCount")
    return found


def _count(usage: JSON, name: str) -> int:
    return usage.get(name) or 0


def _head(payload: JSON, kind: str) -> JSON:
    return {
        "id": payload.get("responseId", ""),
        "object": kind,
        "created": int(time()),
        "model": payload.get("modelVersion", ""),
    }


def _to_choice(candidate: JSON, index: int) -> JSON:
    gathered = Gathered()
    for part in _parts(candidate):
        gathered.take(part)
    reason = finish_reason(candidate)
    return {
        "index": candidate.get("index", index),
        "message": gathered.message(),
        "logprobs": _to_logprobs(candidate.get("logprobsResult")),
        "finish_reason": "tool_calls" if gathered.calls and reason == "stop" else reason,
    }


def finish_reason(candidate: JSON) -> str | None:
    """None while the candidate goes on."""
    reason = candidate.get("finishReason")
    if reason in BROKEN:
        raise BadAnswer(
            f"upstream's model made a tool call that cannot be used: {candidate.get('finishMessage') or reason}",
            upstream_code=str(reason),
        )
    return FINISH_REASONS.get(str(reason), "stop") if reason and reason != UNSPECIFIED else None


def _parts(candidate: JSON) -> list[JSON]:
    """A candidate that was stopped before it said anything has no parts, or no content at all."""
    return (candidate.get("content") or {}).get("parts") or []


class Gathered:
    """One candidate's parts as OpenAI's message; `take` returns the delta that a part is."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[JSON] = []
        self.images: list[JSON] = []
        self.extra: JSON = {}

    def take(self, part: JSON) -> JSON:
        if "functionCall" in part:
            self.calls.append(_to_call(part))
            return {"tool_calls": [{"index": len(self.calls) - 1, **self.calls[-1]}]}
        extra = _extra(part)
        self.extra |= extra
        return self._media(part) | extra

    def _media(self, part: JSON) -> JSON:
        if "inlineData" in part:
            # A painting model's picture, in the form that OpenRouter gave it.
            blob = part["inlineData"]
            url = f"data:{blob['mimeType']};base64,{blob['data']}"
            self.images.append({"type": "image_url", "image_url": {"url": url}})
            return {"images": self.images[-1:]}
        if not part.get("text"):
            return {}
        name, kept = ("reasoning_content", self.thoughts) if part.get("thought") else ("content", self.text)
        kept.append(part["text"])
        return {name: part["text"]}

    def message(self) -> JSON:
        text = "".join(self.text)
        message: JSON = {"role": "assistant", "content": text if text or not self.calls else None, "refusal": None}
        further = {
            "reasoning_content": "".join(self.thoughts),
            "tool_calls": self.calls,
            "images": self.images,
        }
        return message | {name: value for name, value in further.items() if value} | self.extra


def _to_call(part: JSON) -> JSON:
    """Older models give no id; OpenAI's callers need one to answer to."""
    call = part["functionCall"]
    return {
        "id": call.get("id") or f"call_{uuid4().hex}",
        "type": "function",
        "function": {"name": call["name"], "arguments": orjson.dumps(call.get("args") or {}).decode()},
        **_extra(part),
    }


def _extra(part: JSON) -> JSON:
    signature = part.get("thoughtSignature")
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _to_logprobs(result: Any) -> JSON | None:
    if not isinstance(result, dict) or not result.get("chosenCandidates"):
        return None
    chosen, top = result["chosenCandidates"], result.get("topCandidates") or []
    others = [step.get("candidates") or [] for step in top] + [[]] * (len(chosen) - len(top))
    content = [
        {**_to_logprob(token), "top_logprobs": [_to_logprob(other) for other in rest]}
        for token, rest in zip(chosen, others, strict=False)
    ]
    return {"content": content, "refusal": None}


def _to_logprob(token: JSON) -> JSON:
    text = token.get("token", "")
    return {"token": text, "logprob": token.get("logProbability", 0.0), "bytes": list(text.encode())}


# Streams


def to_chunks(events: Iterator[Event], map_error: MapError) -> Iterator[Event]:
    """There is no end mark: the stream is whole when each candidate has given its reason to stop. Reasons and usage
    wait for the end of the connection, so that a stream that breaks off never looks finished."""
    stream = _Streamed()
    for event in events:
        payload = event_object(event)
        if payload.get("error"):
            raise map_error(200, payload, {})
        refuse_blocked(payload)
        yield from stream.take(payload)
    if not stream.is_finished:
        raise Truncated("upstream's stream ended before its finish reason")
    yield from stream.end()


class _Streamed:
    """What one stream must remember."""

    def __init__(self) -> None:
        self.head: JSON = {}
        self.usage: JSON = {}
        self.gathered: dict[int, Gathered] = {}
        self.reasons: dict[int, str] = {}

    @property
    def is_finished(self) -> bool:
        return bool(self.gathered) and self.reasons.keys() == self.gathered.keys()

    def take(self, payload: JSON) -> Iterator[Event]:
        self.head = self.head or _head(payload, "chat.completion.chunk")
        # Each event repeats the count so far; not every one repeats every number.
        self.usage |= payload.get("usageMetadata") or {}
        for candidate in payload.get("candidates") or []:
            yield from self._candidate(candidate)

    def _candidate(self, candidate: JSON) -> Iterator[Event]:
        index = candidate.get("index", 0)
        if index not in self.gathered:
            self.gathered[index] = Gathered()
            yield self._chunk(index, {"role": "assistant", "content": ""})
        logprobs = _to_logprobs(candidate.get("logprobsResult"))
        for part in _parts(candidate):
            if delta := self.gathered[index].take(part):
                yield self._chunk(index, delta, logprobs)
                logprobs = None
        if reason := finish_reason(candidate):
            self.reasons[index] = reason

    def end(self) -> Iterator[Event]:
        for index, reason in self.reasons.items():
            has_calls = bool(self.gathered[index].calls)
            yield self._chunk(index, {}, None, "tool_calls" if has_calls and reason == "stop" else reason)
        if usage := to_usage(self.usage):
            yield Event(orjson.dumps({**self.head, "choices": [], "usage": usage}))

    def _chunk(self, index: int, delta: JSON, logprobs: JSON | None = None, reason: str | None = None) -> Event:
        choice: JSON = {"index": index, "delta": delta, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = logprobs
        return Event(orjson.dumps({**self.head, "choices": [choice]}))
