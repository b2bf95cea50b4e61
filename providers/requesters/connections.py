"""Pooled connections that keep the egress rule and the call's timers: requests' adapter over urllib3's pools.

`HTTPAdapter.send` itself is not overridden, so that the `responses` library, which patches it, works unchanged.
What is overridden replaces per-call work (URL parsing, TLS settings, cookies, retries) that a gateway has no use for.
"""

import io
import socket
import ssl
from contextlib import suppress
from functools import lru_cache, partial
from http.client import HTTPResponse as StandardResponse
from typing import Any, NamedTuple, cast

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from providers.requesters.addresses import resolve
from providers.requesters.call import CONNECT, FIRST_BYTE, IDLE, Call
from providers.requesters.errors import EgressRefused

PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str


@lru_cache(maxsize=4096)
def parse_target(url: str) -> Target:
    """Cached: a deployment's few URLs are asked for again and again."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise EgressRefused("the upstream's address is not a URL") from None
    if parts.scheme not in PORTS or not parts.host or parts.auth:
        raise EgressRefused("the upstream's address must be a plain http or https URL without credentials")
    return Target(parts.scheme, parts.host, parts.port or PORTS[parts.scheme], parts.request_uri)


def open_socket(host: str, port: int, call: Call) -> socket.socket:
    """Connects to the first address that is allowed and answers."""
    failure: OSError | None = None
    for family, kind, protocol, _, address in resolve(host.strip("[]"), port, allow_private=call.allow_private):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            candidate.settimeout(call.seconds_left())
            call.token.bind(candidate)
            candidate.connect(address)
            return candidate
        except OSError as error:
            candidate.close()
            failure = error
        except BaseException:
            candidate.close()
            raise
    raise failure or OSError("no address")


class TimedReader(io.RawIOBase):
    """Under the response's buffer: gives every single recv the time that the call has left, so that a vendor which
    sends a byte now and then cannot outlast first_byte or total."""

    def __init__(self, live: socket.socket, call: Call) -> None:
        self._socket = live
        # Not the socket itself: this file keeps it open after http.client closes it on "Connection: close".
        self._file = live.makefile("rb", buffering=0)
        self._call = call
        self._applied = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._call.seconds_left()
        if left != self._applied:
            self._socket.settimeout(left)
            self._applied = left
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class TimedResponse(StandardResponse):
    def __init__(self, call: Call, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(TimedReader(sock, call), 16384)


class GuardedConnection(HTTPConnection):
    call: Call
    payload = b""

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port or PORTS["http"], self.call)

    def send(self, data: Any) -> None:
        """The body goes with the headers: a system call and a packet less than http.client's way."""
        payload, self.payload = self.payload, b""
        super().send(data + payload if payload else data)

    @property
    def is_connected(self) -> bool:
        """Whether a kept connection still lives: neither closed nor with bytes that nobody asked for.

        This is all there is against stale connections: a POST that fails on one is never sent again by itself, as
        the vendor may have started, and charged, the answer. A peek, as select() costs a loop's turn under gevent.
        """
        if self.sock is None:
            return False
        self.sock.settimeout(0)
        try:
            socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False


class GuardedTLSConnection(GuardedConnection, HTTPSConnection):
    """Only the address comes from the egress rule: SNI and the certificate go by the host's name as ever."""

    def connect(self) -> None:
        HTTPSConnection.connect(self)
        self.call.token.bind(self.sock)


class GuardedPool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection

    def urlopen(  # type: ignore[override]  # One request, as HTTPAdapter.send asks for it: no retries, no redirects.
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: dict[str, str],
        timeout: Call,
        **_: object,
    ) -> BaseHTTPResponse:
        connection = cast(GuardedConnection, self._get_conn())
        connection.call = timeout
        try:
            return self._exchange(connection, timeout, method, url, body, headers)
        except BaseException:
            # Not to be used again, closed or not: what was not sent of a request is sent before the next one's.
            connection.close()
            timeout.token.unbind()
            self._put_conn(None)
            raise

    def _exchange(
        self,
        connection: GuardedConnection,
        call: Call,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> BaseHTTPResponse:
        if connection.sock is None:
            call.enter(CONNECT)
            connection.connect()
        else:
            call.token.bind(connection.sock)
        call.enter(FIRST_BYTE)
        connection.timeout = call.seconds_left()
        connection.response_class = partial(TimedResponse, call)  # type: ignore[assignment]  # only ever called
        # The vendor may stop reading early; its answer (413, say) is waiting all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.payload = body or b""
            connection.request(method, url, headers=headers, preload_content=False)
        response = connection.getresponse()
        response._connection = connection
        response._pool = self
        call.enter(IDLE)
        return response

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.call.token.unbind()
        super()._put_conn(conn)


class GuardedTLSPool(GuardedPool, HTTPSConnectionPool):
    ConnectionCls = GuardedTLSConnection


class GuardedAdapter(HTTPAdapter):
    def __init__(self, pool_size: int, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        super().__init__(pool_connections=256, pool_maxsize=pool_size)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTLSPool}

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        scheme, host, port, _path = parse_target(request.url or "")
        options = {"ssl_context": self._tls()} if scheme == "https" else None
        return self.poolmanager.connection_from_host(host, port, scheme, options)

    def _tls(self) -> ssl.SSLContext:
        """One context for all: requests reads the certificate bundle, 10 ms of work, for each new connection."""
        if self._context is None:
            context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
            context.load_verify_locations(self._ca_bundle or certifi.where())
            self._context = context
        return self._context

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing: the context above always verifies."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return parse_target(request.url or "").path

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Without the cookie jar: a vendor's cookie must never travel to the next caller."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        response.url = req.url or ""
        return response
