"""What every dialect's traffic needs: the caller's secret, the body, a request id, a way to notice that it left."""

import secrets
from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest

from accounts.errors import InvalidKey
from accounts.services import keys
from accounts.services.keys import Caller

JSON = dict[str, Any]
View = Callable[..., Any]

DRAIN_LIMIT = 4  # times the body limit: how much of a too large body is read so that its sender hears the answer
CHUNK = 64 * 1024


class BodyTooLarge(Exception):
    """More bytes than MAX_BODY_BYTES."""


class BodyNotJSON(Exception):
    """No JSON object."""


def new_request_id() -> str:
    return f"req_{secrets.token_hex(16)}"


def secret_of(request: HttpRequest) -> str:
    """The key's secret: `X-API-Key` decides alone, else `Authorization: Bearer`. Raises InvalidKey."""
    headers = request.META
    secret: str = headers.get("HTTP_X_API_KEY", "")
    if not secret:
        scheme, _, secret = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise InvalidKey("You didn't provide an API key. Send it as `Authorization: Bearer <key>`.")
    return secret.strip()


def caller_of(request: HttpRequest) -> Caller:
    """Who calls; raises InvalidKey or LedgerUnavailable."""
    return keys.authenticate(secret_of(request))


def read_body(request: HttpRequest) -> bytes:
    """The whole body, with or without a Content-Length; raises BodyTooLarge."""
    limit: int = settings.MAX_BODY_BYTES
    stream = request.META["wsgi.input"]
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        body: bytes = stream.read(limit + 1)
    else:
        length = _content_length(request)
        body = stream.read(min(length, limit)) if length <= limit else _drain(stream, length)
    if len(body) > limit:
        raise BodyTooLarge(f"The request body is larger than {limit} bytes.")
    return body


def _content_length(request: HttpRequest) -> int:
    try:
        return max(int(request.META.get("CONTENT_LENGTH") or 0), 0)
    except ValueError:
        return 0


def _drain(stream: Any, length: int) -> bytes:
    """Read on, up to a point: who closes on a client in the middle of its upload is never heard by it."""
    limit = settings.MAX_BODY_BYTES
    left = min(length, limit * DRAIN_LIMIT)
    while left > 0:
        piece = stream.read(min(left, CHUNK))
        if not piece:
            break
        left -= len(piece)
    raise BodyTooLarge(f"The request body is larger than {limit} bytes.")


def parse_object(raw: bytes) -> JSON:
    """The body as a JSON object; raises BodyNotJSON."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BodyNotJSON(f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BodyNotJSON("The body must be a JSON object.")
    return body
