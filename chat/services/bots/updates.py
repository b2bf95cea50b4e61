"""An answer that grows where people see it: not more often than its platform allows, and in the end whole."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from chat.errors import PlatformError
from chat.services.bots.platform import Shown

logger = logging.getLogger(__name__)

Sent = TypeVar("Sent")

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before it is tried again


def patiently(send: Callable[[], Sent]) -> Sent:
    """What must reach its platform. Raises PlatformError when it does not, though it was tried several times."""
    for pause in PAUSES:
        try:
            return send()
        except PlatformError as error:
            if not error.may_pass:
                raise
            time.sleep(error.retry_after or pause)
    return send()


class Updates:
    """`show` may leave one out; `end` may not."""

    def __init__(self, send: Callable[[Shown], None], seconds_between: float) -> None:
        self._send = send
        self._seconds_between = seconds_between
        self._next = time.monotonic() + seconds_between

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def show(self, text: str) -> None:
        """A failure is no reason to stop: the next one, or the last, brings the same and more."""
        self._next = time.monotonic() + self._seconds_between
        try:
            self._send(Shown(text))
        except PlatformError as error:
            self._next += error.retry_after or 0
            logger.warning("an update of a bot's answer was left out: %s", error)

    def end(self, text: str, *, is_error: bool = False) -> None:
        """Raises PlatformError when the platform does not take it, though it was asked several times."""
        time.sleep(max(self._next - time.monotonic(), 0))
        patiently(lambda: self._send(Shown(text, is_final=True, is_error=is_error)))
