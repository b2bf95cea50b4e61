"""One call to a vendor: its timers, its cancel switch, and the one place where transport failures get their names."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from http.client import BadStatusLine, HTTPException, LineTooLong, RemoteDisconnected, UnknownProtocol
from time import monotonic

import requests
import urllib3
from urllib3 import exceptions as urllib3_exceptions

from providers.requesters.errors import (
    BadAnswer,
    Cancelled,
    OutOfPatience,
    ProviderError,
    Timeout,
    Truncated,
    Unavailable,
)

CONNECT = "connect"
FIRST_BYTE = "first byte"
IDLE = "idle"
TOTAL = "total"

# Three families, as requests wraps urllib3, which wraps http.client and the socket, and none of them fully.
FAILURES = (OSError, HTTPException, urllib3_exceptions.HTTPError)
TIMEOUTS = (TimeoutError, requests.Timeout, urllib3_exceptions.TimeoutError)

# First match wins, so the narrow come before the broad; the phase decides about whatever is not named here.
BY_CAUSE: tuple[tuple[type[BaseException], type[ProviderError], str], ...] = (
    (socket.gaierror, Unavailable, "upstream's name cannot be resolved"),
    (ssl.SSLCertVerificationError, Unavailable, "upstream's certificate is not valid"),
    (RemoteDisconnected, Unavailable, "upstream closed the connection without an answer"),
    (BadStatusLine, BadAnswer, "upstream does not speak HTTP"),
    (UnknownProtocol, BadAnswer, "upstream does not speak HTTP"),
    (LineTooLong, BadAnswer, "upstream does not speak HTTP"),
    (urllib3_exceptions.DecodeError, BadAnswer, "upstream's content encoding is broken"),
)
BY_PHASE: dict[str, tuple[type[ProviderError], str]] = {
    CONNECT: (Unavailable, "upstream refuses connections"),
    FIRST_BYTE: (Unavailable, "upstream closed the connection without an answer"),
    IDLE: (Truncated, "upstream's answer was cut off"),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte` runs until the response headers are here, `idle` between two reads of the body,
    `total` over everything."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0
    total: float = 600.0

    def within(self, limits: "Timeouts | None") -> "Timeouts":
        """Each the shorter of the two."""
        if limits is None:
            return self
        return Timeouts(*(min(mine, other) for mine, other in zip(astuple(self), astuple(limits), strict=True)))


class CancelToken:
    """Interrupts a call from another thread or greenlet: whatever the call is blocked in raises Cancelled at once.

    A token holds the call's socket only while the call owns it; a pooled connection that went on to serve somebody
    else cannot be cut by an old token. (Only a TLS handshake does not hear of it before it ends or times out.)
    """

    __slots__ = ("_children", "_lock", "_socket", "cancelled", "limits")

    def __init__(self, limits: Timeouts | None = None) -> None:
        self.limits = limits  # what this call has less patience for than its endpoint
        self._children: list[CancelToken] = []
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.cancelled = False

    def child(self, limits: Timeouts | None) -> "CancelToken":
        """A token for one of several tries: it ends with this one, and may be cancelled by itself."""
        token = CancelToken(limits)
        with self._lock:
            token.cancelled = self.cancelled
            self._children.append(token)
        return token

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            for child in self._children:
                child.cancel()
            if self._socket is not None:
                # Not SSLSocket.shutdown: that one takes the TLS state away from under the blocked reader.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def check(self) -> None:
        if self.cancelled:
            raise Cancelled("the call was cancelled")

    def bind(self, live: socket.socket) -> None:
        with self._lock:
            self.check()
            self._socket = live

    def unbind(self) -> None:
        with self._lock:
            self._socket = None


class Call(urllib3.Timeout):
    """The state of one call. It travels as urllib3's own timeout argument, which requests hands through untouched
    down to the connection pool; nothing global, so threads and greenlets need no care."""

    def __init__(self, timeouts: Timeouts, token: CancelToken | None, *, allow_private: bool) -> None:
        # Not super().__init__: its validation costs more than the rest of this object, and its clock is not used.
        self.token = token or CancelToken()
        self._own = timeouts
        self.timeouts = timeouts = timeouts.within(self.token.limits)
        self.allow_private = allow_private
        self._limits = {
            CONNECT: timeouts.connect,
            FIRST_BYTE: timeouts.first_byte,
            IDLE: timeouts.idle,
            TOTAL: timeouts.total,
        }
        self._deadline = monotonic() + timeouts.total
        self._timer = CONNECT
        self.enter(CONNECT)

    def enter(self, phase: str) -> None:
        self.token.check()
        self.phase = phase
        self._phase_deadline = monotonic() + self._limits[phase]

    def seconds_left(self) -> float:
        """Until the next timer runs out: the phase's own (idle starts anew with each read) or the total."""
        now = monotonic()
        left = self.timeouts.idle if self.phase is IDLE else self._phase_deadline - now
        self._timer = self.phase
        if self._deadline - now < left:
            left, self._timer = self._deadline - now, TOTAL
        if left <= 0:
            raise TimeoutError(self._timer)
        return left

    def hurry(self, seconds: float) -> None:
        """Moves the total deadline forward."""
        self._deadline = min(self._deadline, monotonic() + seconds)

    def failure(self, error: BaseException) -> ProviderError:
        """The project's name for an exception of requests, urllib3, http.client or the socket."""
        if self.token.cancelled:
            return Cancelled("the call was cancelled")
        causes = list(_causes(error))
        if any(isinstance(cause, TIMEOUTS) for cause in causes):
            return self._timeout()
        for kind, named, message in BY_CAUSE:
            if any(isinstance(cause, kind) for cause in causes):
                return named(message)
        named, message = BY_PHASE[self.phase]
        return named(message)

    def _timeout(self) -> Timeout:
        seconds = self._limits[self._timer]
        own = {
            CONNECT: self._own.connect,
            FIRST_BYTE: self._own.first_byte,
            IDLE: self._own.idle,
            TOTAL: self._own.total,
        }
        kind = OutOfPatience if seconds < own[self._timer] else Timeout
        return kind(f"upstream {self._timer} timeout after {seconds:g} seconds")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
