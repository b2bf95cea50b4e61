"""AWS's event streams as services write them: smithy.io/2.0/aws/amazon-eventstream.html."""

import json
from collections.abc import Mapping
from struct import pack
from typing import Any
from zlib import crc32

JSON_TYPE, OCTETS = "application/json", "application/octet-stream"


def raw(headers: bytes, payload: bytes) -> bytes:
    start = pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = start + pack("!I", crc32(start)) + headers + payload
    return message + pack("!I", crc32(message))


def with_headers(headers: Mapping[str, str], payload: bytes) -> bytes:
    return raw(b"".join(_header(*each) for each in headers.items()), payload)


def _header(name: str, value: str) -> bytes:
    spelled, said = name.encode(), value.encode()
    return pack("!B", len(spelled)) + spelled + pack("!BH", 7, len(said)) + said


def event(kind: str, payload: Any) -> bytes:
    """An event of this type; a payload that is not bytes is sent as JSON."""
    return _framed("event", ":event-type", kind, payload)


def exception(kind: str, payload: Any) -> bytes:
    return _framed("exception", ":exception-type", kind, payload)


def error(code: str, message: str) -> bytes:
    """An error that no model describes: in the headers alone."""
    return with_headers({":message-type": "error", ":error-code": code, ":error-message": message}, b"")


def damaged(frame: bytes) -> bytes:
    return frame[:-5] + bytes([frame[-5] ^ 1]) + frame[-4:]


def union(payload: Mapping[str, Any]) -> bytes:
    """An event or exception as the service's model lists it: an object with one member, named as its type is."""
    [(kind, inner)] = payload.items()
    return exception(kind, inner) if kind.endswith("Exception") else event(kind, inner)


def _framed(message_type: str, name: str, kind: str, payload: Any) -> bytes:
    is_bytes = isinstance(payload, bytes)
    data = payload if is_bytes else json.dumps(payload).encode()
    content_type = OCTETS if is_bytes else JSON_TYPE
    return with_headers({name: kind, ":content-type": content_type, ":message-type": message_type}, data)
