"""Sending one call: to its deployments in turn, to each with its keys in turn, again after a pause, until one answers
or the deadline is over. Nothing of this can be seen by the caller, as nothing has reached it yet."""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any
from urllib.parse import quote

from chat.services import race
from chat.services.calls import Call
from chat.services.plan import Plan
from providers.requesters.base import Stream
from providers.requesters.call import CancelToken, Timeouts
from providers.requesters.errors import (
    AuthFailed,
    Cancelled,
    ModelNotFound,
    OutOfPatience,
    ProviderError,
    RateLimited,
    Unavailable,
)
from providers.requesters.sse import Event
from providers.services import board_sync
from providers.services.board import board
from providers.services.choice import keys_in_turn, standing_of
from providers.services.routing import Access, Target

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.1
KEY_TROUBLE = (AuthFailed, RateLimited)  # another key of the same provider may do
# Many servers of chat models have no such path: their 404 is not about the model.
RARE_ENDPOINTS = frozenset({"completion"})
HEADER_SAFE = " /:@._-()"
LONGEST_ROUTE = 500


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream whose first events were read already."""

    stream: Stream
    events: list[Event]

    def close(self) -> None:
        self.stream.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a deployment answered, and which parameters it was not asked for."""

    target: Target
    value: Any
    dropped: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    first_byte_ms: int = 0


Send = Callable[[Target, Access, CancelToken], Reply]


class Attempts:
    """The tries of one call. `count` and `route` tell them afterwards."""

    def __init__(self, call: Call, plan: Plan) -> None:
        self.call = call
        self.plan = plan
        self.count = 0
        self._trail: list[str] = []
        self._failures: dict[int, ProviderError] = {}  # by identity: a target is one row asked for one model
        self._round = 0
        self._served: Target | None = None
        self._minute = 0  # that the call was counted in
        total = max((target.timeouts.total for target in plan.all), default=0.0)
        self._deadline = call.started + min(total, call.limits.total if call.limits else inf)

    def send(self, send: Send) -> Reply:
        """The first answer. Raises the ProviderError that was met last."""
        board_sync.start()
        error: ProviderError | None = None
        queue = deque(self._callable(self.plan.targets) or self._another_round())
        while queue:
            target = queue.popleft()
            try:
                return self._served_by(self._first_answer(target, queue, send))
            except ProviderError as failure:
                error = failure
                self._failures[id(target)] = failure
                special = self.plan.special.get(type(failure))
                if special:
                    queue = deque(self._callable([each for each in special if id(each) not in self._failures]))
                elif not failure.retryable:
                    raise
            # Those that were well at the start may be resting by now: a whole crowd may come from the same outage.
            queue = deque(self._callable(list(queue)) or self._another_round())
        raise error or self._refusal()

    def done(self, tokens: int) -> None:
        """The answer is over, and this is what it used."""
        served, self._served = self._served, None
        if served is not None:
            board().end(served, self._minute, self.plan.need.tokens, tokens)

    @property
    def route(self) -> str:
        """Where it went, in order, as a header may say it."""
        served = [_place(self._served)] if self._served else []
        return " > ".join([*self._trail, *served])[:LONGEST_ROUTE]

    # Who is next

    def _callable(self, targets: list[Target]) -> list[Target]:
        return [each.target for each in self.plan.standings(targets) if not each.why_not or each.is_last_resort]

    def _another_round(self) -> list[Target]:
        """Those whose failure may have passed, after a pause; none when it is no use waiting."""
        self._round += 1
        again = [target for target in self.plan.targets if self._may_have_passed(target)]
        pause = self._pause(again) if again else None
        if pause is None:
            return []
        self._sleep(pause)
        return self._callable(again)

    def _may_have_passed(self, target: Target) -> bool:
        failure = self._failures.get(id(target))
        return bool(target.accesses) and self._round <= target.retries and (failure is None or failure.may_pass)

    def _pause(self, targets: list[Target]) -> float | None:
        """Seconds: the backoff with its jitter, or what an upstream asked for; None when that is too long."""
        standings = [standing_of(target, self.plan.need, board()) for target in targets]
        asked = min(0.0 if not each.why_not or each.is_last_resort else each.seconds for each in standings)
        longest = max(each.longest_pause for each in targets)
        first = min(each.first_pause for each in targets)
        backoff = min(first * 2 ** (self._round - 1), longest) * random.uniform(0.5, 1.0)
        pause = max(asked, backoff)
        return pause if pause <= longest and time.monotonic() + pause < self._deadline else None

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check_wanted(self.call.token)
            time.sleep(min(left, SLICE_SECONDS))

    def _refusal(self) -> ProviderError:
        """Nobody could even be asked."""
        standings = [each for each in self.plan.standings(self.plan.targets) if each.why_not]
        if not standings:
            return Unavailable("No deployment is left to try.")
        return min(standings, key=lambda each: each.seconds or inf).refusal()

    # One deployment

    def _first_answer(self, target: Target, others: deque[Target], send: Send) -> Reply:
        """The deployment's answer; where that is wished, the next one's as well when the first is slow today."""
        slow_ms = board().traffic_of(target).slow_ms if target.is_hedged else None
        second = next((each for each in others if each.name == target.name), None)  # fallbacks are for failures
        if slow_ms is None or second is None:
            return self._ask(target, send, self.call.token)
        return race.first(
            lambda token: self._ask(target, send, token),
            lambda token: self._follow(second, others, send, token),
            slow_ms / 1000,
            self.call.token,
            self._give_up,
        )

    def _follow(self, second: Target, others: deque[Target], send: Send, token: CancelToken) -> Reply:
        """The second of two requests; once it is sent, it is not the next one to try any more."""
        others.remove(second)
        try:
            return self._ask(second, send, token)
        except ProviderError as failure:
            self._failures[id(second)] = failure
            raise

    def _give_up(self, late: Reply) -> None:
        """The slower one of two answers: nobody will read it."""
        self._trail.append(f"{_place(late.target)} hedged")
        if isinstance(late.value, Opened):
            late.value.close()
        board().end(late.target, 0, 0, 0)

    def _ask(self, target: Target, send: Send, token: CancelToken) -> Reply:
        """Ask with one key after the other, as long as the trouble is the key's or the place's own."""
        accesses = deque(self._open_accesses(target))
        while True:
            access = accesses.popleft()
            try:
                return self._once(target, access, send, token)
            except ProviderError as failure:
                self._note(target, failure)
                goes_on = accesses and failure.retryable and _is_elsewhere(failure, access, accesses[0])
                if isinstance(failure, KEY_TROUBLE) or not goes_on:
                    self._blame(target, access, failure)
                if not goes_on:
                    raise

    def _blame(self, target: Target, access: Access, failure: ProviderError) -> None:
        """Let rest what failed, unless it failed at what this caller alone asks of it."""
        is_other_path = isinstance(failure, ModelNotFound) and self.call.endpoint.name in RARE_ENDPOINTS
        if not is_other_path and not isinstance(failure, AtCeiling):
            board().failed(target, access, failure)

    def _open_accesses(self, target: Target) -> list[Access]:
        now = time.time()
        accesses = keys_in_turn(target, self.plan.need)
        rested = [(access, board().rest_of(target, access, now)) for access in accesses]
        free = [access for access, rest in rested if rest is None]
        soft = [access for access, rest in rested if rest is not None and not rest.is_firm]
        return free or soft or accesses

    def _once(self, target: Target, access: Access, send: Send, token: CancelToken) -> Reply:
        self._check_wanted(token)
        expected = self.plan.need.tokens
        minute = board().begin(target, expected)
        if not minute:
            raise AtCeiling(f"{target.provider_name} is {board().full(target, expected)}.")
        started = time.time()
        try:
            board().try_again(target, access, started)
            self.call.drains = target.drains
            self.count += 1
            reply = send(target, access, token.child(self._limits(target)))
        except BaseException:
            board().end(target, minute, expected, 0)
            raise
        self._minute = minute
        board().succeeded(target, access, started)
        board().answered(target, reply.first_byte_ms)
        return reply

    def _check_wanted(self, token: CancelToken) -> None:
        """An answer that is under way may be read to its end without its caller; a new one is not asked for."""
        token.check()
        if self.call.has_left:
            raise Cancelled("the caller has left")

    def _limits(self, target: Target) -> Timeouts | None:
        """What is left of the deadline, where it is less than the provider's own patience."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OutOfPatience("the call's deadline is over")
        own = self.call.limits
        if own is None and left > target.timeouts.total - SLICE_SECONDS:
            return None
        return Timeouts(inf, inf, inf, round(left, 3)).within(own)

    def _served_by(self, reply: Reply) -> Reply:
        self._served = reply.target
        return reply

    def _note(self, target: Target, failure: ProviderError) -> None:
        self._trail.append(f"{_place(target)} {failure.code}")
        if failure.retryable:
            logger.warning("%s: %s failed: %s", self.call.request_id, target.provider_name, failure)


class AtCeiling(RateLimited):
    """Somebody else took the last room below a ceiling in this very moment."""


def _is_elsewhere(failure: ProviderError, access: Access, following: Access) -> bool:
    """Whether the next access is worth trying: another key, or another of the vendor's regions."""
    has_moved = access.requester.endpoint.base_url != following.requester.endpoint.base_url
    return has_moved or isinstance(failure, KEY_TROUBLE)


def _place(target: Target) -> str:
    return f"{quote(target.upstream_name, HEADER_SAFE)}@{quote(target.provider_name, HEADER_SAFE)}"
