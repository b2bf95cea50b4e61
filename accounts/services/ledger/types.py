"""What goes into the ledger and what comes out. Amounts are whole units of 10^-10 USD (`common.money`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import Outcome, UsageSource
from accounts.services.ledger.limiting.rules import Claim
from common.money import cost_units

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Prices:
    """Units per million tokens. None: unknown, so those tokens are counted and cost nothing."""

    input: int | None = None
    output: int | None = None
    cached_read: int | None = None
    cached_write: int | None = None


# What may have a price of its own, and which count it is a part of: None, of none.
WHOLES = {
    "cached_write_1h": "cached_write",
    "reasoning": "output",
    "image_in": "input",
    "image_out": "output",
    "audio_in": "input",
    "audio_out": "output",
    "request": None,
}
Bucket = tuple[str, int, int | None]  # name, quantity, price in units per million; None: its whole's price


@dataclass(frozen=True, slots=True)
class Tokens:
    """Disjoint counts, but for `reasoning`, which is a part of `output`. `apart`: parts of these counts that are told
    apart, disjoint as well, and requests."""

    input: int = 0
    cached_read: int = 0
    cached_write: int = 0
    output: int = 0
    reasoning: int = 0
    apart: tuple[Bucket, ...] = ()

    @property
    def prompt(self) -> int:
        return self.input + self.cached_read + self.cached_write

    @property
    def counted_twice(self) -> int:
        """By how much the parts of a sort are more than all of it; 0 in a sound charge."""
        sums = {whole: 0 for whole in WHOLES.values() if whole}
        for name, count, _ in self.apart:
            if whole := WHOLES[name]:
                sums[whole] += count
        return sum(max(total - getattr(self, whole), 0) for whole, total in sums.items())

    def cost(self, prices: Prices) -> int:
        """In units. A cached token without a price of its own costs what an input token costs."""
        price_in = prices.input or 0
        cached_read = price_in if prices.cached_read is None else prices.cached_read
        cached_write = price_in if prices.cached_write is None else prices.cached_write
        counted = (
            (self.input, price_in),
            (self.cached_read, cached_read),
            (self.cached_write, cached_write),
            (self.output, prices.output or 0),
        )
        if not self.apart:
            return cost_units(counted)
        usual = {"input": price_in, "cached_write": cached_write, "output": prices.output or 0, None: 0}
        # A part costs its own price instead of its whole's.
        own = ((count, price - usual[WHOLES[name]]) for name, count, price in self.apart if price is not None)
        return cost_units((*counted, *own))


Place = tuple[int | None, str]  # a provider's id and a model's public name


@dataclass(frozen=True, slots=True)
class Deployment:
    """Who serves a call, as the ledger writes it down. Without ids: one that is not stored, in a test of it."""

    model_id: int | None
    provider_id: int | None
    model_name: str
    provider_name: str
    upstream_name: str
    prices: Prices

    @property
    def place(self) -> Place:
        return self.provider_id, self.model_name


class Record(Protocol):
    """Something said in a call, stored in the settlement's own transaction."""

    @classmethod
    def write(cls, connection: BaseDatabaseWrapper, settled: "Sequence[Settled]") -> None: ...


@dataclass(frozen=True, slots=True)
class Option:
    """A place that a call may end at, and the limits that count only there. `is_first`: not only after an error."""

    deployment: Deployment
    claims: tuple[Claim, ...]
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that asks to be let in. `claims` are the limits that it counts against wherever it ends; `options` all
    places that it may end at, where those have limits of their own, in the order of trying."""

    request_id: str
    key_id: int
    group_id: int | None
    all_models: bool
    config_version: int
    endpoint: str
    is_stream: bool
    deployment: Deployment
    prompt_bound: int
    output_bound: int
    choices: int
    hold_price_in: int
    hold_price_out: int
    can_lower_output: bool
    hold_price_request: int = 0
    price_ratio: Decimal = ONE
    email: str = ""
    tags: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    options: tuple[Option, ...] = ()

    @property
    def every_claim(self) -> Iterable[Claim]:
        """The limits that it may count against, some of them several times."""
        return chain(self.claims, *(option.claims for option in self.options))


@dataclass(frozen=True, slots=True)
class Admitted:
    """The hold is committed; `output_bound` is what it covers in answer tokens, over all choices.

    `is_limited`: there is an end to its money; `caps_tokens`: to its tokens. `entries` tell the limits that it counts
    against, and `options` are those of the admission that are left.
    """

    request_id: str
    key_id: int
    hold: int
    output_bound: int
    is_limited: bool
    caps_tokens: bool = False
    entries: Sequence[Mapping[str, Any]] = ()
    options: tuple[Option, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a call ended. Settling the same request twice does nothing the second time.

    `deployment` is None when the call was served by the one that the hold was written with, at the prices written
    with it, and nothing of it is told apart.
    """

    request_id: str
    key_id: int
    outcome: Outcome
    deployment: Deployment | None = None
    tokens: Tokens = Tokens()
    usage_source: UsageSource = UsageSource.NONE
    error: str = ""
    attempts: int = 1
    route: str = ""
    first_byte_ms: int | None = None
    total_ms: int | None = None
    record: Record | None = None
    answer: Record | None = None  # what is kept for a caller who may ask again

    @property
    def is_release(self) -> bool:
        """Nothing was used: the hold goes back whole."""
        return self.usage_source == UsageSource.NONE


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement came to. `charge_id` is 0 when there was nothing left to settle."""

    settlement: Settlement
    charge_id: int = 0
    fee: int = 0
    shortfall: int = 0


@dataclass(slots=True)
class Account:
    """A key's row while its lock is held: decisions read and write this, the batch writes it back."""

    id: int
    is_active: bool
    expires_at: datetime | None
    group_id: int | None
    all_models: bool
    email: str
    month_quota: int | None
    month: date
    month_fee: int
    balance: int
    held: int
    spent: int
    changed: bool = field(default=False)

    def turn_month(self, month: date) -> None:
        """A new calendar month starts its quota afresh; a clock that lags behind changes nothing."""
        if month > self.month:
            self.month, self.month_fee = month, 0

    @property
    def quota_left(self) -> int:
        return max((self.month_quota or 0) - self.month_fee, 0)

    @property
    def free(self) -> int:
        """What new holds may take."""
        return self.quota_left + self.balance - self.held


Row = tuple[Any, ...]
