"""The counters that a batch works on. No database here: the batch brings the rows under lock and takes them back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from accounts.services.ledger.limiting.rules import Claim
from accounts.services.ledger.limiting.windows import Clock

CounterKey = tuple[int, str, datetime]  # limit, member, start of the window or of the slot
Line = tuple[int, str]  # limit, member


@dataclass(slots=True)
class Span:
    """A sliding window that ends now: the slots that may still be inside, and what they come to together."""

    slots: "list[Counter]" = field(default_factory=list)
    used: int = 0
    held: int = 0

    def take_in(self, slot: "Counter") -> None:
        self.slots.append(slot)
        self.used += slot.used
        self.held += slot.held
        slot.span = self


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
    span: Span | None = None

    @property
    def key(self) -> CounterKey:
        return self.limit_id, self.member, self.starts_at

    @property
    def taken(self) -> int:
        return self.used + self.held

    def add(self, *, used: int = 0, held: int = 0) -> None:
        self.used += used
        self.held += held
        self.is_changed = True  # by nothing, too: a call that holds nothing may yet use something
        if self.span is not None:
            self.span.used += used
            self.span.held += held


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
        self._spans: dict[Line, Span] = {}
        for slot in sliding:
            self.span((slot.limit_id, slot.member)).take_in(self._rows.setdefault(slot.key, slot))

    def span(self, line: Line) -> Span:
        """The sliding window of that line."""
        found = self._spans.get(line)
        if found is None:
            found = self._spans[line] = Span()
        return found

    def of(self, claim: Claim) -> Counter:
        """The counter of this moment; a new one where nothing has been counted yet."""
        start = self.clock.start_of(claim.rule.window, claim.rule.is_sliding)
        key = (*claim.line, start)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = Counter(*key)
            if claim.rule.is_sliding:
                self.span(claim.line).take_in(found)
        return found

    def find(self, key: CounterKey) -> Counter | None:
        """The counter that a call was admitted on; None: it is gone, with its limit."""
        return self._rows.get(key)

    def taken(self, claim: Claim) -> tuple[int, int]:
        """What has been used, and what is held, in the window that holds now."""
        found = self.span(claim.line) if claim.rule.is_sliding else self.of(claim)
        return found.used, found.held

    def left(self, claim: Claim) -> int:
        """What a new call may take; below zero where the limit was lowered meanwhile."""
        used, held = self.taken(claim)
        return claim.rule.most - used - held

    def changed(self) -> Iterator[Counter]:
        return (row for row in self._rows.values() if row.is_changed)
