"""One admitted call, from its hold to its fee: whom it is sent to, what came of it, and settling it exactly once."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

from django.conf import settings

from accounts.models import Outcome, UsageSource
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.types import Admitted, Deployment, Prices, Settled, Settlement, Tokens
from chat.services import bounds
from chat.services.calls import Call
from chat.services.conversations import Record, record_of
from chat.services.tally import Tally
from common.money import show
from providers.requesters.base import Requester, Stream
from providers.requesters.call import CancelToken
from providers.requesters.errors import Cancelled, ProviderError, Unavailable
from providers.requesters.sse import Event
from providers.requesters.usage import Usage
from providers.services.routing import Target

logger = logging.getLogger(__name__)
JSON = dict[str, Any]
Sent = TypeVar("Sent")
PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_NAMED = 20


def deployment_of(target: Target) -> Deployment:
    prices = Prices(*target.prices)
    return Deployment(
        target.model_id, target.provider_id, target.name, target.provider_name, target.upstream_name, prices
    )


class Exchange:
    """Holds what the settlement will need. Every path out of it ends in `finish`, which acts once."""

    def __init__(self, call: Call, admitted: Admitted, targets: list[Target]) -> None:
        self.call = call
        self.admitted = admitted
        self.targets = targets
        self.target = targets[0]
        self.attempts = 0
        self.was_sent = False
        self.first_byte_ms: int | None = None
        self.settled: Settled | None = None
        self.tally = Tally(settings.HISTORY_MAX_CHARS)
        self.headers: dict[str, str] = {}
        self._page = ledger.writer().page
        self._slot = self._page.take(call.request_id, bounds.prompt_estimate(call.body, call.size))

    def send(self, send: Callable[[Requester, JSON, CancelToken], Sent]) -> Sent:
        """Try the candidates in turn, for as long as the failure is one that another may not have."""
        for attempt, target in enumerate(self.targets, 1):
            self.attempts, self.target = attempt, target
            try:
                return self._send_to(target, send)
            except ProviderError as error:
                if not error.retryable or attempt == len(self.targets):
                    raise
                logger.warning("%s: %s failed: %s", self.call.request_id, target.provider_name, error)
        raise Unavailable("No deployment is left to try.")

    def _send_to(self, target: Target, send: Callable[[Requester, JSON, CancelToken], Sent]) -> Sent:
        requester = target.requester_for(self.call.caller.id)
        if requester is None:
            raise Unavailable(f"The provider {target.provider_name} has no enabled key.")
        body = self._body_for(target)
        self._note_unsupported(requester, body)
        self._page.sent(self._slot)
        self.was_sent = True
        sent = send(requester, body, self.call.token)
        self.first_byte_ms = self._elapsed_ms()
        return sent

    def _body_for(self, target: Target) -> JSON:
        body = {**target.extra_args, **self.call.body, "model": target.upstream_name}
        if not self.call.endpoint.has_output:
            return body
        if target.requires_max_tokens:
            body = bounds.limited(body, target, bounds.output_limit(self.call.body, target))
        if not self.admitted.is_limited or not target.prices[1]:
            return body
        body = {name: value for name, value in body.items() if name not in bounds.OUTPUT_ALIASES}
        covered = self.admitted.output_bound // bounds.choices(self.call.body)
        asked = bounds.output_limit(self.call.body, target)
        if covered < asked:
            self.headers["x-weighbridge-max-tokens"] = str(covered)
        elif target.max_output or any(body.get(name) for name in bounds.OUTPUT_FIELDS):
            return body  # something else already keeps the answer within the hold
        return bounds.limited(body, target, covered)

    def _note_unsupported(self, requester: Requester, body: JSON) -> None:
        """Name what the vendor has no place for. The names are the caller's, so only harmless ones go in a header."""
        dropped = [name for name in requester.unsupported(body) if PARAMETER.fullmatch(name)]
        if dropped:
            self.headers["x-weighbridge-dropped"] = ", ".join(dropped[:MOST_NAMED])

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever goes wrong inside settles the call before it is told."""
        try:
            yield
        except Cancelled as error:
            self.finish(Outcome.CLIENT_CLOSED, str(error))
            raise
        except ProviderError as error:
            self.finish(Outcome.UPSTREAM_ERROR, str(error))
            raise
        except BaseException as error:
            self.finish(Outcome.GATEWAY_ERROR, type(error).__name__)
            raise

    def produced(self) -> None:
        """Write down how far the answer has come, where a kill does not reach it."""
        self._page.produced(self._slot, self.tally.events)

    def finish(self, outcome: Outcome, error: str = "") -> Settled:
        """Settle, once; later calls return the first result."""
        if self.settled is None:
            self.settled = Settled(self._settlement(outcome, error))
            self.settled = ledger.writer().settle(self.settled.settlement)
            # Without an id it still waits for its database, and a kill must find the call on its page.
            if self.settled.charge_id:
                self._page.give_back(self._slot)
                self.headers["x-weighbridge-cost"] = show(self.settled.fee)
        return self.settled

    def _settlement(self, outcome: Outcome, error: str) -> Settlement:
        tokens, source = self._usage(outcome)
        return Settlement(
            request_id=self.call.request_id,
            key_id=self.call.caller.id,
            outcome=outcome,
            deployment=None if self.target is self.targets[0] else deployment_of(self.target),
            tokens=tokens,
            usage_source=source,
            error=error,
            attempts=max(self.attempts, 1),
            first_byte_ms=self.first_byte_ms,
            total_ms=self._elapsed_ms(),
            record=self._record(),
        )

    def _record(self) -> Record | None:
        try:
            return record_of(self.call.body, self.call.session_key, self.tally)
        except Exception:  # what can't be recorded must still be paid
            logger.exception("%s: its text could not be recorded", self.call.request_id)
            return None

    def _usage(self, outcome: Outcome) -> tuple[Tokens, UsageSource]:
        """What was used. A failed call that brought nothing is free; one whose caller left before the answer began
        is charged for its prompt, which the vendor has read and will bill."""
        reported = Usage.from_openai(self.tally.usage) if self.tally.usage else None
        if reported is not None:
            return _tokens(reported), UsageSource.REPORTED
        came = self.tally.events or outcome == Outcome.OK
        if came or (outcome == Outcome.CLIENT_CLOSED and self.was_sent):
            prompt = bounds.prompt_estimate(self.call.body, self.call.size)
            return Tokens(prompt, output=bounds.text_estimate(self.tally.characters)), UsageSource.ESTIMATED
        return Tokens(), UsageSource.NONE

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self.call.started) * 1000)


def _tokens(usage: Usage) -> Tokens:
    """A vendor's figures, each cut to what a call can be: nonsense from upstream must not stop the settlement."""
    counts = (usage.input_tokens, usage.cached_read_tokens, usage.cached_write_tokens, usage.output_tokens)
    return Tokens(*(min(count, bounds.MOST_REPORTED_TOKENS) for count in (*counts, usage.reasoning_tokens)))


class Relay:
    """A running stream: iterate it for its events, close it in any case. The call is settled before the last event's
    successor, so whoever saw the end can already see the charge.

    After the iteration, `error` says whether the stream broke; the dialect then writes its own error event.
    """

    def __init__(self, exchange: Exchange, stream: Stream, first: Event | None) -> None:
        self.exchange = exchange
        self.error: ProviderError | None = None
        self._stream = stream
        self._first = first

    def __iter__(self) -> Iterator[Event]:
        exchange, tally = self.exchange, self.exchange.tally
        wants_usage = exchange.call.wants_usage
        try:
            for event in chain([self._first] if self._first else [], self._stream):
                is_usage = tally.feed(event)
                exchange.produced()
                if wants_usage or not is_usage:
                    yield event
        except ProviderError as error:
            self._broke(error)
        else:
            exchange.finish(Outcome.OK)

    def _broke(self, error: ProviderError) -> None:
        self.error = error
        self._stream.close()
        outcome = Outcome.CLIENT_CLOSED if isinstance(error, Cancelled) else Outcome.UPSTREAM_ERROR
        self.exchange.finish(outcome, str(error))

    def close(self) -> None:
        """The end, however it came: an iteration that was left early means that the client is gone."""
        try:
            self._stream.close()
        finally:
            self.exchange.finish(Outcome.CLIENT_CLOSED, "The client left before the end.")
