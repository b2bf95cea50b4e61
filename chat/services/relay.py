"""A running stream on its way to the caller: relayed event by event, settled once, read to its end if so wished."""

import logging
import threading
from collections.abc import Iterator
from itertools import chain

from accounts.models import Outcome
from chat.services.attempts import Opened
from chat.services.exchange import Exchange
from providers.requesters.errors import Cancelled, ProviderError
from providers.requesters.sse import Event

logger = logging.getLogger(__name__)

LEFT = "The client left before the end."
DRAIN_SECONDS = 120.0  # for an answer that nobody reads any more


class Relay:
    """A running stream: iterate it for its events, those together that came together, and close it in any case. The
    call is settled before its last events go out, so whoever saw the end can already see the charge.

    After the iteration, `error` says whether the stream broke; the dialect then writes its own error event.
    """

    def __init__(self, exchange: Exchange, opened: Opened) -> None:
        self.exchange = exchange
        self.error: ProviderError | None = None
        self._is_drained = False
        self._stream = opened.stream
        self._events = chain(opened.events, opened.stream)

    def __iter__(self) -> Iterator[list[Event]]:
        exchange, tally = self.exchange, self.exchange.tally
        wants_usage, repeatable = exchange.call.wants_usage, exchange.call.repeatable
        together: list[Event] = []
        try:
            for event in self._events:
                is_usage = tally.feed(event)
                exchange.produced()
                if wants_usage or not is_usage:
                    together.append(event)
                    if repeatable is not None:
                        repeatable.take(event.frame)
                if together and not event.is_followed:
                    yield together
                    together = []
        except ProviderError as error:
            self._broke(error)
        else:
            if repeatable is not None:
                repeatable.complete(exchange.headers)
            exchange.finish(Outcome.CLIENT_CLOSED if exchange.call.has_left else Outcome.OK)
        if together:
            yield together

    def _broke(self, error: ProviderError) -> None:
        self.error = error
        self._stream.close()
        has_left = isinstance(error, Cancelled) or self.exchange.call.has_left
        self.exchange.finish(Outcome.CLIENT_CLOSED if has_left else Outcome.UPSTREAM_ERROR, str(error))

    def close(self) -> None:
        """The end, however it came: an iteration that was left early means that the client is gone."""
        exchange = self.exchange
        if self._is_drained:
            return
        if exchange.settled is None and exchange.target.drains and not exchange.call.token.cancelled:
            self._is_drained = exchange.call.has_left = True
            threading.Thread(target=self._drain, name="drain", daemon=True).start()
            return
        try:
            self._stream.close()
        finally:
            exchange.finish(Outcome.CLIENT_CLOSED, LEFT)

    def _drain(self) -> None:
        """Read on without a reader, so that the charge has the upstream's own figures."""
        timer = threading.Timer(DRAIN_SECONDS, self.exchange.call.token.cancel)
        timer.daemon = True
        timer.start()
        try:
            for _ in self:
                pass
        except Exception:
            logger.exception("%s could not be read to its end", self.exchange.call.request_id)
        finally:
            timer.cancel()
            self._stream.close()
            self.exchange.finish(Outcome.CLIENT_CLOSED, LEFT)
