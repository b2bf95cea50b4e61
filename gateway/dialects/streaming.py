"""Server-sent events to a client, and noticing when that client has gone."""

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.http import HttpRequest
from gevent.monkey import get_original

from chat.services.calls import Call
from chat.services.relay import Relay

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5


class EventStream:
    """The body of a streamed answer. Django closes it whatever happens, and with it the call is settled."""

    def __init__(self, relay: Relay, frames: Callable[[Relay], Iterator[bytes]], done: Callable[[], None]) -> None:
        self._relay = relay
        self._frames = frames
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        return self._frames(self._relay)

    def close(self) -> None:
        self._done()
        try:
            self._relay.close()
        except Exception:
            # Django swallows what is raised here, so it is said here.
            logger.exception("%s was not settled; the sweep will find it", self._relay.exchange.call.request_id)


class Watch:
    """Looks at the sockets of waiting clients, all at once, and tells the calls of those that hung up.

    A blocked call can't see this itself: it reads from the upstream, not from its client. One `poll` twice a second
    for the whole process costs nothing per call.
    """

    def __init__(self) -> None:
        self._calls: dict[int, Call] = {}
        self._poll: Any = get_original("select", "poll")()  # gevent's own knows no POLLRDHUP
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, request: HttpRequest, call: Call) -> Callable[[], None]:
        """Tell `call` when the request's client leaves; call the result when that no longer matters."""
        client = request.META.get("gunicorn.socket")
        if client is None or client.fileno() < 0:
            return _nothing
        descriptor: int = client.fileno()
        with self._lock:
            self._calls[descriptor] = call
            self._poll.register(descriptor, select.POLLRDHUP)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="client-watch", daemon=True)
                self._thread.start()
        return lambda: self._end(descriptor, call)

    def _end(self, descriptor: int, call: Call) -> None:
        with self._lock:
            if self._calls.get(descriptor) is call:
                del self._calls[descriptor]
                self._poll.unregister(descriptor)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            for call in self._departed():
                call.leave()

    def _departed(self) -> list[Call]:
        """Under the lock, so that no descriptor can have become another client's meanwhile."""
        with self._lock:
            gone = [descriptor for descriptor, _ in self._poll.poll(0)] if self._calls else []
            for descriptor in gone:
                self._poll.unregister(descriptor)
            return [self._calls.pop(descriptor) for descriptor in gone]


def _nothing() -> None:
    pass


watch = Watch()
