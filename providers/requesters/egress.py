"""The one place that sends HTTP. Nothing else of the gateway opens a connection on a user's behalf.

`addresses` holds the rule about who may be called, `connections` enforces it, `call` keeps the timers.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import requests
from urllib3 import BaseHTTPResponse

from providers.requesters.call import FAILURES, Call, CancelToken, Timeouts
from providers.requesters.connections import GuardedAdapter, parse_target
from providers.requesters.errors import BadAnswer, ProviderError, Unavailable

__all__ = ["CancelToken", "Timeouts", "Transport", "Upstream"]

READ_SIZE = 65536
MAX_BYTES = 64 * 1024 * 1024
# How long an answer's end may lag behind its last useful byte for the connection to be worth waiting for.
DRAIN_SECONDS = 0.05


class Upstream:
    """An answer whose headers are here and whose body is still coming. To be closed by whoever got it."""

    def __init__(self, raw: BaseHTTPResponse, call: Call) -> None:
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self._raw = raw
        self._call = call
        self._complete = False

    def read(self, max_bytes: int = MAX_BYTES) -> bytes:
        """The whole body, decoded, after which the connection is back in the pool."""
        parts: list[bytes] = []
        size = 0
        for part in self.chunks():
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                self.close()
                raise BadAnswer(f"upstream's answer is larger than {max_bytes} bytes", upstream_status=self.status)
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives. read1, as read() and stream() wait until the amount asked for is complete."""
        while part := self._read():
            yield part

    def _read(self) -> bytes:
        token = self._call.token
        token.check()
        try:
            # A size, as urllib3 notices a body shorter than its Content-Length only when it is given one.
            part = self._raw.read1(READ_SIZE, decode_content=True)
        except FAILURES as error:
            self.close()
            raise self._call.failure(error) from error
        if not part:
            self._complete = True
            # A body without length or chunks ends where the connection does, and cancelling ends it, too.
            token.check()
        return part

    def drain(self) -> None:
        """To be called when all that matters was read: takes the end along if it is here, to keep the connection."""
        self._call.hurry(DRAIN_SECONDS)
        with suppress(ProviderError):
            while not self._complete:
                self._read()

    def close(self) -> None:
        """Idempotent. A connection with unread bytes is closed, which also tells the vendor to stop."""
        if not self._complete:
            self._complete = True
            self._raw.close()
            self._raw.release_conn()


class Transport:
    """Sends requests over pooled connections; safe to share between threads and greenlets.

    Environment proxies, .netrc, cookies and redirects play no part. `pool_size` is the number of idle connections
    kept per host; more are opened whenever needed. `ca_bundle` replaces certifi's certificates.
    """

    def __init__(self, allow_private: bool, pool_size: int = 1000, ca_bundle: str | None = None) -> None:
        self.allow_private = allow_private
        self._adapter = GuardedAdapter(pool_size, ca_bundle)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeouts: Timeouts,
        cancel: CancelToken | None = None,
    ) -> Upstream:
        """Returns when the response headers are here. Any status is an answer, but a redirect is a BadAnswer."""
        parse_target(url)
        call = Call(timeouts, cancel, allow_private=self.allow_private)
        request = _prepare(method, url, headers, body)
        try:
            # requests takes any urllib3.Timeout, though its types do not say so.
            raw = self._adapter.send(request, stream=True, timeout=call).raw  # type: ignore[arg-type]
        except FAILURES as error:
            raise call.failure(error) from error
        except ValueError:
            # Not chained: http.client quotes the offending header, which may be the one with the key.
            raise Unavailable("the request cannot be sent: a header or the address is malformed") from None
        upstream = Upstream(raw, call)
        if 300 <= upstream.status < 400:
            upstream.close()
            raise BadAnswer("upstream answered with a redirect", upstream_status=upstream.status)
        return upstream

    def close(self) -> None:
        self._adapter.close()


def _prepare(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    """By hand: PreparedRequest.prepare would parse the URL, ask .netrc and build a cookie jar for each call."""
    request = requests.PreparedRequest()
    request.method = method
    request.url = url
    # A plain dict, cheaper to copy; HTTPAdapter looks for exactly "Content-Length".
    plain = dict(headers)
    if body is not None:
        plain["Content-Length"] = str(len(body))
    request.headers = plain  # type: ignore[assignment]  # only ever read as a mapping
    request.body = body
    return request
