"""Proves the counters of limits: each is recomputed from the charges that counted on it."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from accounts.models import Action, Charge, Limit, LimitCounter, Metric, State, Subject
from accounts.models.limits import NO_START
from accounts.services.ledger.limiting.counters import CounterKey
from accounts.services.ledger.limiting.deciding import Entry, key_of
from accounts.services.ledger.limiting.windows import LENGTHS

Found = tuple[str, int, int, int]  # rule, row's id, what stands there, what should
CHARGES = Charge._meta.db_table
COLUMNS = (
    "id, state, limits, fee, input_tokens + cached_read_tokens + cached_write_tokens, output_tokens, "
    "provider_id, model_name"
)
AT_ONCE = 2000


@dataclass(slots=True)
class Sum:
    """What the charges on one counter come to. `most`: the largest that the limit was, None once it did not block."""

    used: int = 0
    held: int = 0
    most: int | None = 0
    window: str = ""

    def add(self, entry: Entry, is_held: bool) -> None:
        self.window = entry["window"]
        self.used += 0 if is_held else entry["used"]
        self.held += entry["held"] if is_held else 0
        blocks = entry["action"] == Action.BLOCK and self.most is not None
        self.most = max(self.most or 0, entry["most"]) if blocks else None


@dataclass(frozen=True, slots=True)
class Slot:
    """A counter of a sliding limit."""

    starts_at: datetime
    row_id: int
    taken: int
    sum: Sum


def breaks() -> Iterator[Found]:
    """Rows that break an invariant of limits. To be read at one moment."""
    sums: dict[CounterKey, Sum] = defaultdict(Sum)
    with connection.chunked_cursor() as cursor:
        # As text, a list without limits is the shortest there is.
        cursor.execute(f"SELECT {COLUMNS} FROM {CHARGES} WHERE LENGTH(CAST(limits AS text)) > 2")
        while rows := cursor.fetchmany(AT_ONCE):
            for row_id, state, limits, *facts in rows:
                for entry in orjson.loads(limits):
                    sums[key_of(entry)].add(entry, state == State.HELD)
                    yield from _entry(row_id, state, entry, facts)
    yield from _counters(sums)


def _entry(row_id: int, state: str, entry: Entry, facts: list[Any]) -> Iterator[Found]:
    """What one charge says of one limit."""
    taken = entry["used_before"] + entry["held_before"] + entry["held"]
    if entry["action"] == Action.BLOCK and taken > entry["most"]:
        yield f"used + held <= most of {entry['name']}, when admitted", row_id, taken, entry["most"]
    real = None if state == State.HELD else _real(entry, *facts)
    if real is not None and entry["used"] + entry["over"] != real:
        yield f"what counts for {entry['name']} = what was used", row_id, entry["used"] + entry["over"], real


def _real(entry: Entry, fee: int, prompt: int, output: int, provider_id: int | None, model_name: str) -> int | None:
    """Recomputed from the charge; None: not told by it."""
    subject, whose = entry["of"] or ("", "")
    if subject == Subject.PROVIDER and provider_id is None:
        return None  # it is gone
    if subject and whose != (str(provider_id) if subject == Subject.PROVIDER else model_name):
        return 0
    by_metric = {
        Metric.COST: fee,
        Metric.INPUT_TOKENS: prompt,
        Metric.OUTPUT_TOKENS: output,
        Metric.TOKENS: prompt + output,
    }
    return by_metric.get(Metric(entry["metric"]))


def _counters(sums: dict[CounterKey, Sum]) -> Iterator[Found]:
    sliding = set(Limit.objects.filter(is_sliding=True).values_list("pk", flat=True))
    lines: dict[tuple[int, str], list[Slot]] = defaultdict(list)
    known = LimitCounter.objects.filter(limit_id__in=Limit.objects.values("pk"))
    for row in known.values_list("id", "limit_id", "member", "starts_at", "used", "held").iterator(AT_ONCE):
        row_id, limit_id, member, starts_at, used, held = row
        found = sums.pop((limit_id, member, starts_at), Sum())
        if used != found.used:
            yield "a limit's used = what its charges count", row_id, used, found.used
        if held != found.held:
            yield "a limit's held = what its open charges hold", row_id, held, found.held
        if found.most is not None and used + held > found.most:
            yield "a limit's used + held <= most", row_id, used + held, found.most
        if limit_id in sliding and starts_at > NO_START and found.window:
            lines[(limit_id, member)].append(Slot(starts_at, row_id, used + held, found))
    for slots in lines.values():
        yield from _sliding(sorted(slots, key=lambda slot: slot.starts_at))
    existing = set(Limit.objects.values_list("pk", flat=True))
    for (limit_id, _, _), found in sums.items():
        if found.held and limit_id in existing:
            yield "a limit's held = what its open charges hold", limit_id, 0, found.held


def _sliding(slots: list[Slot]) -> Iterator[Found]:
    """No stretch of the window's length comes to more than the limit."""
    inside: deque[Slot] = deque()
    for slot in slots:
        inside.append(slot)
        while inside[0].starts_at <= slot.starts_at - LENGTHS[slot.sum.window]:
            inside.popleft()
        mosts = [each.sum.most for each in inside]
        taken, most = sum(each.taken for each in inside), max(each or 0 for each in mosts)
        if None not in mosts and taken > most:
            yield "used + held <= most in any window that slides", slot.row_id, taken, most
