"""Noticing when a client has gone."""

import select
import threading
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from gevent.monkey import get_original

from chat.services.calls import Call

LOOK_EVERY_SECONDS = 0.5


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
