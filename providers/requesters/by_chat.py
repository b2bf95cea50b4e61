"""Text completions by way of chat: for vendors that have no endpoint of their own for them, and of messages."""

from collections.abc import Iterator
from typing import Any

import orjson

from providers.requesters.errors import BadAnswer, BadRequest
from providers.requesters.inner import event_object, malformed
from providers.requesters.sse import Event

JSON = dict[str, Any]

OBJECT = "text_completion"
FORM = "upstream's answer has not the form of OpenAI's"


def chat_of(body: JSON) -> JSON:
    """The same as a chat: of the prompt, or of the messages where there is none."""
    rest, prompt = {name: body[name] for name in body if name != "prompt"}, body.get("prompt")
    if prompt is None and "messages" in rest:
        return rest
    if isinstance(prompt, list) and len(prompt) == 1:
        [prompt] = prompt
    if not isinstance(prompt, str) or not prompt:
        raise BadRequest("prompt must be a text: the model's provider takes one per request", param="prompt")
    return {**rest, "messages": [{"role": "user", "content": prompt}]}


def text_of(answer: JSON) -> JSON:
    """A chat's whole answer as that of a text completion."""
    with malformed(BadAnswer, FORM):
        return {**answer, "object": OBJECT, "choices": [_choice(each, "message") for each in answer["choices"]]}


def text_events(chunks: Iterator[Event]) -> Iterator[Event]:
    """A chat's stream as that of a text completion."""
    with malformed(BadAnswer, FORM):
        for event in chunks:
            chunk = event_object(event)
            choices = [_choice(each, "delta") for each in chunk.get("choices") or []]
            yield Event(orjson.dumps({**chunk, "object": OBJECT, "choices": choices}), event.is_followed)


def _choice(choice: JSON, field: str) -> JSON:
    """What was thought keeps its name; what else a chat can say has no place here."""
    said = choice.get(field) or {}
    thought = {"reasoning_content": said["reasoning_content"]} if said.get("reasoning_content") else {}
    return {
        "index": choice.get("index") or 0,
        "text": said.get("content") or "",
        **thought,
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }
