"""What every translation reads and writes of the inner form, OpenAI's, in one place."""

import struct
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from providers.requesters.errors import BadAnswer, BadRequest, ProviderError
from providers.requesters.sse import Event

JSON = dict[str, Any]


@contextmanager
def malformed(kind: type[ProviderError], message: str) -> Iterator[None]:
    """The translations read nested JSON as if it had its documented form; where it has not, that is the error."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise kind(message) from error


def tool_arguments(function: JSON) -> JSON:
    """A tool call's arguments, which travel as a text of JSON."""
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise BadRequest("a tool call's arguments must be a JSON object", param="messages")
    return arguments


def event_object(event: Event) -> JSON:
    """An upstream's event, which is to be an object of JSON."""
    try:
        payload = event.json
    except orjson.JSONDecodeError as error:
        raise BadAnswer("upstream sent an event that is not JSON") from error
    if not isinstance(payload, dict):
        raise BadAnswer("upstream sent an event that is not a JSON object")
    return payload


def embedding_texts(body: JSON) -> list[str]:
    """What is to be embedded, for vendors that take texts and no tokens."""
    given = body.get("input")
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
        raise BadRequest(
            "input must be a non-empty text or a list of them: the model's provider takes no tokens", param="input"
        )
    return found


def embedding_data(vectors: Sequence[list[float]], *, is_base64: bool) -> list[JSON]:
    """Vectors as OpenAI's `data`; as base64 they are float32, little endian."""
    try:
        shaped = [packed(vector) if is_base64 else vector for vector in vectors]
    except struct.error as error:
        raise BadAnswer("upstream's embedding is not a list of numbers") from error
    return [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(shaped)]


def packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
