"""The counters that a batch works on. No database here: the batch brings the rows under lock and takes them back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from accounts.services.ledger.limiting.rules import Claim
from accounts.services.ledger.limiting.windows import Clock, horizon_of

CounterKey = tuple[int, str, datetime]  # limit, member, start of the window or of the slot
Line = tuple[int, str]  # limit, member


@dataclass(slots=True)
class Counter:
    """A row: what has been used in one window, and what calls that run may still use. `id` None: not stored yet."""

    limit_id: int
    member: str
    starts_at: datetime
    used: int = 0
    held: int = 0
    id: int | None = None
    is_changed: bool = False

    @property
    def key(self) -> CounterKey:
        return self.limit_id, self.member, self.starts_at

    @property
    def taken(self) -> int:
        return self.used + self.held

    def add(self, *, used: int = 0, held: int = 0) -> None:
        if used or held:
            self.used += used
            self.held += held
            self.is_changed = True


@dataclass(frozen=True, slots=True)
class Notice:
    """A threshold that was reached, in per cent, and what was used by then."""

    limit_id: int
    member: str
    starts_at: datetime
    percent: int
    used: int


class Counters:
    """All counters that a batch may read or change. `sliding`: of these lines all slots that may still be inside."""

    def __init__(self, clock: Clock, rows: Iterable[Counter] = (), sliding: Iterable[Counter] = ()) -> None:
        self.clock = clock
        self.notices: list[Notice] = []
        self._rows = {row.key: row for row in rows}
        self._lines: dict[Line, list[Counter]] = {}
        for slot in sliding:
            self._add_slot(self._rows.setdefault(slot.key, slot))

    def _add_slot(self, slot: Counter) -> None:
        self._lines.setdefault((slot.limit_id, slot.member), []).append(slot)

    def of(self, claim: Claim) -> Counter:
        """The counter of this moment; a new one where nothing has been counted yet."""
        start = self.clock.start_of(claim.rule.window, claim.rule.is_sliding)
        key = (*claim.line, start)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = Counter(*key)
            if claim.rule.is_sliding:
                self._add_slot(found)
        return found

    def find(self, key: CounterKey) -> Counter | None:
        """The counter that a call was admitted on; None: it is gone, with its limit."""
        return self._rows.get(key)

    def slots(self, line: Line, window: str) -> list[Counter]:
        """What may still be inside a sliding window that ends now, the oldest first."""
        horizon = horizon_of(window, self.clock.now)
        slots = [slot for slot in self._lines.get(line, ()) if slot.starts_at > horizon]
        return sorted(slots, key=lambda slot: slot.starts_at)

    def taken(self, claim: Claim) -> tuple[int, int]:
        """What has been used, and what is held, in the window that holds now."""
        if not claim.rule.is_sliding:
            counter = self.of(claim)
            return counter.used, counter.held
        slots = self.slots(claim.line, claim.rule.window)
        return sum(slot.used for slot in slots), sum(slot.held for slot in slots)

    def left(self, claim: Claim) -> int:
        """What a new call may take; below zero where the limit was lowered meanwhile."""
        used, held = self.taken(claim)
        return claim.rule.most - used - held

    def changed(self) -> Iterator[Counter]:
        return (row for row in self._rows.values() if row.is_changed)
