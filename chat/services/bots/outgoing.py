"""Requests to chat platforms, over the gateway's one way out. No error tells a header or an address's query."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chat.errors import PlatformError
from common.objects import NoObject, parse_object
from providers.requesters.egress import Timeouts
from providers.requesters.errors import ProviderError, Timeout
from providers.services.routing import transport

JSON = dict[str, Any]

TIMEOUTS = Timeouts(connect=5, first_byte=10, idle=10, total=20)
MOST_ANSWER_BYTES = 4 * 1024 * 1024
FILE_TIMEOUTS = Timeouts(connect=5, first_byte=20, idle=20, total=60)
MOST_FILE_BYTES = 20 * 1024 * 1024

TOO_MANY, BROKEN = 429, 500
LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> JSON:
        """Empty where the answer is no JSON object."""
        try:
            return parse_object(self.content)
        except NoObject:
            return {}

    def failure(self, why: str, *, may_pass: bool = False) -> PlatformError:
        """What to raise for this answer."""
        passes = may_pass or self.status == TOO_MANY or self.status >= BROKEN
        return PlatformError(why, may_pass=passes, retry_after=self._retry_after)

    @property
    def _retry_after(self) -> float | None:
        stated = self.headers.get("Retry-After", "")
        return min(float(stated), LONGEST_WAIT_SECONDS) if stated.isascii() and stated.isdecimal() else None


def send(method: str, url: str, headers: Mapping[str, str], body: JSON | None = None) -> Answer:
    """Any status is an answer. Raises PlatformError when there is none."""
    content = None if body is None else orjson.dumps(body)
    typed = {} if content is None else {"Content-Type": "application/json; charset=utf-8"}
    return _exchange(method, url, {**typed, **headers}, content, TIMEOUTS, MOST_ANSWER_BYTES)


def send_bytes(url: str, headers: Mapping[str, str], content: bytes) -> Answer:
    """POST JSON that is signed as it stands."""
    typed = {"Content-Type": "application/json", **headers}
    return _exchange("POST", url, typed, content, TIMEOUTS, MOST_ANSWER_BYTES)


def fetch(url: str, headers: Mapping[str, str]) -> Answer:
    """GET a file."""
    return _exchange("GET", url, headers, None, FILE_TIMEOUTS, MOST_FILE_BYTES)


def _exchange(
    method: str, url: str, headers: Mapping[str, str], content: bytes | None, timeouts: Timeouts, most: int
) -> Answer:
    try:
        upstream = transport().send(method, url, headers, content, timeouts)
        try:
            return Answer(upstream.status, upstream.headers, upstream.read(most))
        finally:
            upstream.close()
    except ProviderError as error:
        may_pass = error.may_pass or isinstance(error, Timeout)
        raise PlatformError(f"The chat platform can't be reached: {error}.", may_pass=may_pass) from error
