"""Which deployment comes first: the strategies among equals, and the weighted turn of a provider's keys."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf

from providers.models import Strategy
from providers.requesters.errors import AuthFailed, ProviderError, RateLimited, Unavailable
from providers.services.board import Board, Resting
from providers.services.routing import Access, Target

UNPRICED = 1 << 62  # what can't be compared comes last
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Need:
    """What a call asks of its deployments: tokens at most, and what keeps its session together."""

    prompt_tokens: int
    output_tokens: int
    affinity: str

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens


def in_order(targets: Sequence[Target], need: Need, board: Board) -> list[Target]:
    """By priority; among equals by the strategy of the first of them. All of them, whether they rest or not."""
    if len(targets) < 2:
        return list(targets)
    first = min(targets, key=lambda each: each.priority)
    rank = STRATEGIES[Strategy(first.strategy)](need, board)
    return sorted(targets, key=lambda each: (each.priority, rank(each)))


Rank = Callable[[Target], tuple[float, float]]


def _weighted(need: Need, board: Board) -> Rank:
    return lambda target: (0.0, -ticket(target.weight))


def _least_busy(need: Need, board: Board) -> Rank:
    def rank(target: Target) -> tuple[float, float]:
        traffic = board.traffic_of(target)
        return (traffic.running + traffic.running_elsewhere) / max(target.weight, 0.01), -ticket(target.weight)

    return rank


def _lowest_latency(need: Need, board: Board) -> Rank:
    """Who has not been asked lately is asked first, by one call at a time: or nobody would ever learn how quick it
    is, and one slow answer would be held against it for ever."""

    def rank(target: Target) -> tuple[float, float]:
        traffic = board.traffic_of(target)
        unknown = inf if traffic.running else 0.0
        known = traffic.recent_latency_ms
        return unknown if known is None else known, -ticket(target.weight)

    return rank


def _lowest_cost(need: Need, board: Board) -> Rank:
    def rank(target: Target) -> tuple[float, float]:
        price_in, price_out = target.prices[:2]
        is_priced = price_in is not None and price_out is not None
        cost = need.prompt_tokens * (price_in or 0) + need.output_tokens * (price_out or 0)
        return float(cost if is_priced else UNPRICED), -ticket(target.weight)

    return rank


def _sticky(need: Need, board: Board) -> Rank:
    """Rendezvous hashing: when a deployment comes or goes, only the sessions that it serves move."""
    return lambda target: (0.0, -_drawn(f"{need.affinity}/{target.model_id}", target.weight))


STRATEGIES: dict[Strategy, Callable[[Need, Board], Rank]] = {
    Strategy.WEIGHTED: _weighted,
    Strategy.LEAST_BUSY: _least_busy,
    Strategy.LOWEST_LATENCY: _lowest_latency,
    Strategy.LOWEST_COST: _lowest_cost,
    Strategy.STICKY: _sticky,
}


def ticket(weight: int) -> float:
    """Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w (RFC 2782's shares)."""
    return float(random.random() ** (1 / weight)) if weight else -1.0


def _drawn(text: str, weight: int) -> float:
    """The same, but always the same for one text. A CRC would not do: those of texts that differ in their last digit
    alone differ by a constant, and one of three deployments would get half of all sessions."""
    drawn = int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest())
    share = (drawn + 1) / (1 << 48)
    return float(share ** (1 / weight)) if weight else -1.0


def keys_in_turn(target: Target, need: Need) -> list[Access]:
    """A provider's keys by weight: drawn anew for each call, or always the same for a session that is sticky."""
    if len(target.accesses) < 2:
        return list(target.accesses)
    if target.strategy == Strategy.STICKY:
        return sorted(
            target.accesses,
            key=lambda each: -_drawn(f"{need.affinity}/{each.key_id}/{each.requester.endpoint.base_url}", each.weight),
        )
    return sorted(target.accesses, key=lambda each: -ticket(each.weight))


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a deployment can be called now. `why_not` is for people; empty: it can.

    `is_last_resort`: it rests, but is called all the same when nothing else is left.
    """

    target: Target
    why_not: str = ""
    is_last_resort: bool = False
    seconds: float = 0.0  # until it can be called, as far as is known
    code: str = ""  # of the failure that it rests after

    def refusal(self) -> ProviderError:
        """What a caller hears when this is all that is left."""
        message = f"{self.target.name} on {self.target.provider_name} {self.why_not}."
        if self.code == AuthFailed.code:
            return AuthFailed(message)  # waiting is no use: somebody has to enter another key
        return RateLimited(message, retry_after=self.seconds) if self.seconds else Unavailable(message)


def standing_of(target: Target, need: Need, board: Board) -> Standing:
    """How a deployment stands right now. Looks only: it claims nothing."""
    if not target.accesses:
        return Standing(target, "has no enabled key")
    if full := board.full(target, need.tokens):
        return Standing(target, f"is {full}", seconds=_seconds_to_room(target, need))
    if not board.rests:
        return Standing(target)
    now = time.time()
    rests = [board.rest_of(target, access, now) for access in target.accesses]
    if None in rests:
        return Standing(target)
    rest = min((each for each in rests if each), key=lambda each: (each.is_firm, each.until))
    return Standing(target, f"rests: {rest.reason}", not rest.is_firm, _seconds_left(rest, now), rest.code)


def _seconds_left(rest: Resting, now: float) -> float:
    return max(max(rest.until, rest.trial_until) - now, 0.1)


def _seconds_to_room(target: Target, need: Need) -> float:
    """A minute's ceiling opens with the next minute; parallel calls end when they end. 0: there never is room."""
    if target.max_tpm and need.tokens > target.max_tpm:
        return 0.0
    is_by_minute = target.max_rpm or target.max_tpm
    return SECONDS_PER_MINUTE - time.time() % SECONDS_PER_MINUTE if is_by_minute else 1.0
