"""A call's body: read within bounds of size and time, parsed within bounds of depth.

A sender that is refused is still read, up to a point: who closes on a client in the middle of its upload is never
heard by it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import gevent.socket
from django.conf import settings
from django.http import HttpRequest
from gunicorn.http.errors import ParseException

from common import objects
from common.objects import NoObject

JSON = dict[str, Any]

READ_ON = 4  # times the limit: how much of a body that is refused is read and thrown away
PIECE_BYTES = 64 * 1024
WAS_READ = "weighbridge.body_was_read"


class BodyError(Exception):
    """The body can't be used."""


class BodyTooLarge(BodyError):
    """More bytes than MAX_BODY_BYTES."""


class BodyTooSlow(BodyError):
    """It took longer than BODY_SECONDS to arrive."""


class BodyNotJSON(BodyError):
    """Cut short, wrongly framed, or no JSON object."""


class BodyNotForm(BodyError):
    """No multipart/form-data where that is asked for."""


def read_body(request: HttpRequest) -> bytes:
    """The whole body, with or without a Content-Length; raises a BodyError."""
    limit: int = settings.MAX_BODY_BYTES
    announced = _announced(request)
    size = 0
    kept: list[bytes] = []
    for piece in _pieces(request, announced):
        size += len(piece)
        if size <= limit:
            kept.append(piece)
    if size > limit or (announced or 0) > limit:
        raise BodyTooLarge(f"The request body is larger than {limit} bytes.")
    if announced is not None and size < announced:
        raise BodyNotJSON("The request body ended before its Content-Length.")
    return b"".join(kept)


def discard_body(request: HttpRequest) -> None:
    """Take in what the sender is still sending, so that it hears why it was refused."""
    if not request.META.get(WAS_READ):
        with suppress(BodyError):
            for _ in _pieces(request, _announced(request)):
                pass


def _pieces(request: HttpRequest, announced: int | None) -> Iterator[bytes]:
    request.META[WAS_READ] = True
    stream = request.META["wsgi.input"]
    most = settings.MAX_BODY_BYTES * READ_ON
    left = most if announced is None else min(announced, most)
    with _patience(request):
        while left > 0 and (piece := stream.read(min(left, PIECE_BYTES))):
            left -= len(piece)
            yield piece


def _announced(request: HttpRequest) -> int | None:
    """The Content-Length in bytes; None when the body comes in chunks."""
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0


@contextmanager
def _patience(request: HttpRequest) -> Iterator[None]:
    """A body that trickles in must not hold its greenlet for ever."""
    seconds = settings.BODY_SECONDS
    is_green = isinstance(request.META.get("gunicorn.socket"), gevent.socket.socket)
    timer = gevent.Timeout.start_new(seconds) if is_green else None
    try:
        yield
    except gevent.Timeout as expired:
        if expired is not timer:
            raise
        raise BodyTooSlow(f"The request body did not arrive within {seconds} seconds.") from None
    except (OSError, ParseException) as error:
        raise BodyNotJSON("The request body is not framed as HTTP/1.1 asks.") from error
    finally:
        if timer is not None:
            timer.close()


def parse_object(raw: bytes) -> JSON:
    """The body as a JSON object; raises BodyNotJSON."""
    try:
        return objects.parse_object(raw)
    except NoObject as error:
        raise BodyNotJSON(str(error)) from None
