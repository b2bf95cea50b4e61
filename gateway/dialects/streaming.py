"""Server-sent events to a client, and comments in between so that no proxy takes the silence for the end.

A stream begins when its first word is here, so that failures before it are plain answers and other deployments can
take over. When that takes long it begins without one, with comments; what fails from then on is an event.
"""

import logging
import os
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from gevent.monkey import get_original

from chat.services import completions
from chat.services.calls import Call
from chat.services.relay import Relay
from gateway.dialects.watching import watch

logger = logging.getLogger(__name__)

COMMENT = b": keep-alive\n\n"
COMMENT_CHUNK = b"%x\r\n%b\r\n" % (len(COMMENT), COMMENT)
LOOK_EVERY_SECONDS = 1.0

Events = Callable[[Relay], Iterator[bytes]]
Failure = Callable[[Exception], Iterator[bytes]]


class Opening:
    """A stream that is being opened beside the request that wants it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._relay: Relay | None = None
        self._error: BaseException | None = None
        self._is_unwanted = False
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="opening", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            relay = completions.open_stream(self.call)
        except BaseException as error:  # raised again by `result`
            self._error = error
            return
        with self._guard:
            self._relay = relay
            is_unwanted = self._is_unwanted
        if is_unwanted:
            relay.close()

    def is_done(self, seconds: float | None) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Relay:
        """Raises what opening it raised."""
        if self._relay is None:
            raise self._error or RuntimeError("the stream was not opened")
        return self._relay

    def close(self) -> None:
        """Nobody is there to read it any more."""
        with self._guard:
            self._is_unwanted = True
            relay = self._relay
        if relay is not None:
            relay.close()
        else:
            self.call.leave()


class EventStream:
    """The body of a streamed answer. Django closes it whatever happens, and with it the call is settled."""

    def __init__(self, request: HttpRequest, call: Call, events: Events, failure: Failure) -> None:
        """Returns when the stream has begun, or has taken long; raises what it failed with before."""
        self._events, self._failure = events, failure
        self._stop_watching = watch.start(request, call)
        self._beat_into = _descriptor(request)
        self._opening = Opening(call)
        self.has_begun = False
        self.waiting_since = 0.0
        try:
            self._is_early = self._opening.is_done(settings.STREAM_KEEPALIVE_SECONDS or None)
            if self._is_early:
                self._opening.result()
            self.headers: Mapping[str, str] = call.headers
        except BaseException:
            self._stop_watching()
            self._opening.close()  # a worker that is being ended waits no more, but the call must know
            raise
        pulse.add(self)

    def __iter__(self) -> Iterator[bytes]:
        # Without the late beginning's layer of generators where there is none: it would cost each event.
        frames = self._events(self._opening.result()) if self._is_early else self._late_frames()
        while True:
            self.waiting_since = time.monotonic()
            frame = next(frames, None)
            self.waiting_since = 0.0
            if frame is None:
                return
            yield frame
            self.has_begun = True

    def _late_frames(self) -> Iterator[bytes]:
        while not self._opening.is_done(settings.STREAM_KEEPALIVE_SECONDS or None):
            yield COMMENT
        try:
            relay = self._opening.result()
        except Exception as error:
            yield from self._failure(error)
        else:
            yield from self._events(relay)

    def beat(self, now: float) -> None:
        """Send a comment where the stream has been silent; between two frames, so it falls into none."""
        silent_since = self.waiting_since
        if self._beat_into < 0 or not self.has_begun or not silent_since:
            return
        if now - silent_since >= settings.STREAM_KEEPALIVE_SECONDS:
            self.waiting_since = now
            try:
                if _has_room(self._beat_into):
                    os.write(self._beat_into, COMMENT_CHUNK)
            except OSError:
                self._beat_into = -1  # gone: the stream itself will notice

    def close(self) -> None:
        pulse.remove(self)
        self._stop_watching()
        try:
            self._opening.close()
        except Exception:
            # Django swallows what is raised here, so it is said here.
            logger.exception("%s was not settled; the sweep will find it", self._opening.call.request_id)


def _descriptor(request: HttpRequest) -> int:
    """The client's socket where comments can be written past the server: plain, and HTTP/1.1 in chunks. Else -1."""
    client = request.META.get("gunicorn.socket")
    if client is None or isinstance(client, ssl.SSLSocket) or not settings.STREAM_KEEPALIVE_SECONDS:
        return -1
    return int(client.fileno()) if request.META.get("SERVER_PROTOCOL") == "HTTP/1.1" else -1


def _has_room(descriptor: int) -> bool:
    """Whether a few bytes go into the socket whole: the kernel says so only while a third of its buffer is free."""
    poll: Any = get_original("select", "poll")()  # gevent's own would let another greenlet in
    poll.register(descriptor, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


class Pulse:
    """Looks at all streams once a second: no timer, and no work per event."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._thread: Any = None
        self._lock = threading.Lock()

    def add(self, stream: EventStream) -> None:
        self._streams.add(stream)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
                    self._thread.start()

    def remove(self, stream: EventStream) -> None:
        self._streams.discard(stream)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            now = time.monotonic()
            for stream in list(self._streams):
                stream.beat(now)


pulse = Pulse()
