"""What happened, as those tell it who did it: what was asked and answered, what was edited, what the upstream served.

Whoever edits knows when they began and when they had the answer, not when the database committed in between. So what
held at some moment is sometimes one of several; where the answer was lost it stays so until the next edit.
"""

import math
import threading
from dataclasses import dataclass, field
from typing import Any

# A process may be frozen between reading what holds and writing when: what was edited meanwhile is no surprise.
SLACK_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Change:
    """`acked` None: nobody knows whether it came to pass."""

    value: Any
    started: float
    acked: float | None


class Timeline:
    """The values that something had."""

    def __init__(self, value: Any) -> None:
        self.changes = [Change(value, 0.0, 0.0)]

    def note(self, value: Any, started: float, acked: float | None) -> None:
        self.changes.append(Change(value, started, acked))

    def possible(self, moment: float) -> set[Any]:
        """What may have held then."""
        found: set[Any] = set()
        for change in self.changes:
            if change.started > moment:
                break
            if change.acked is not None and change.acked + SLACK_SECONDS <= moment:
                found = set()
            found.add(change.value)
        return found

    @property
    def ever(self) -> set[Any]:
        return {change.value for change in self.changes}


@dataclass(slots=True)
class Key:
    """`quota` in units, None: no limit. `revoked` is when that was told."""

    id: int
    secret: str
    email: str
    quota: Timeline
    group: Timeline
    revoked: float = math.inf
    is_live: bool = True


@dataclass(slots=True)
class Limit:
    """`whose`: the id or the name of the one that it is about; empty: each apart. It surely counts what begins from
    `born` to `ended`."""

    id: int
    name: str
    subject: str
    whose: str
    metric: str
    window: str
    sliding: bool
    action: str
    most: Timeline
    born: float = 0.0
    ended: float = math.inf


@dataclass(slots=True)
class Model:
    """A deployment, and its prices (input, output) in units per million tokens."""

    id: int
    provider_id: int
    name: str
    prices: Timeline


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that was asked for; no two have the same amount, in units."""

    key_id: int
    amount: int
    is_acked: bool


@dataclass(slots=True)
class Try:
    """A request to the gateway. `op` says which wish it is for: one under an Idempotency-Key may be tried again."""

    op: int
    endpoint: str
    is_stream: bool
    key_id: int
    idempotency_key: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: bytes = b""
    is_whole: bool = False

    @property
    def is_answered(self) -> bool:
        """With all that a caller can wish for."""
        if self.status != 200 or not self.is_whole:
            return False
        return not self.is_stream or (self.text.endswith(b"data: [DONE]\n\n") and b'data: {"error"' not in self.text)

    @property
    def is_replayed(self) -> bool:
        return "idempotent-replayed" in self.headers


@dataclass(slots=True)
class Served:
    """A request as the upstream had it. `tokens`: what its answer says was used (input, cached, output); `is_good`: an
    answer that a caller can use; `is_finished`: all of it went out."""

    op: int
    act: str
    tokens: tuple[int, int, int] | None = None
    is_good: bool = False
    is_finished: bool = False


class Story:
    """All of it. Lists only grow, from many threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.keys: list[Key] = []
        self.models: list[Model] = []
        self.limits: list[Limit] = []
        self.ratios: dict[int, Timeline] = {}
        self.paid: list[Paid] = []
        self.redeemed: list[tuple[str, int]] = []  # code and status
        self.tries: list[Try] = []
        self.others: list[tuple[str, int]] = []  # other requests, and their status
        self.served: list[Served] = []
        self.edits: dict[str, int] = {}
        self._payments = 0

    def next_amount(self, cents: int) -> int:
        """So many US cents, and a trifle that makes it unlike all others."""
        with self.lock:
            self._payments += 1
            return cents * 10**8 + self._payments

    def live_keys(self) -> list[Key]:
        return [key for key in self.keys if key.is_live]
