"""No sequence of calls passes a limit, and every counter is what its charges come to, whatever happens in between."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.errors import LimitReached
from accounts.models import (
    Action,
    Charge,
    Limit,
    LimitCounter,
    Metric,
    Outcome,
    State,
    Subject,
    UsageSource,
    Window,
)
from accounts.services import limits
from accounts.services.ledger.audit import audit
from accounts.services.ledger.limiting.rules import load_book
from accounts.services.ledger.types import Admitted
from common.money import to_usd
from tests import factories
from tests.accounts.limiting import NOON, Clock, Desk, begin_anew, made_up, option

TOKENS = st.integers(0, 12)

kinds = st.fixed_dictionaries(
    {
        "subject": st.sampled_from([Subject.EVERYONE, Subject.KEY, Subject.PROVIDER]),
        "metric": st.sampled_from(Metric.values),
        "window": st.sampled_from([Window.SECOND, Window.MINUTE, Window.DAY, Window.TOTAL]),
        "is_sliding": st.booleans(),
        "most": st.integers(0, 30),
        "action": st.sampled_from([Action.BLOCK, Action.BLOCK, Action.BLOCK, Action.WARN]),
    }
)
steps = st.one_of(
    st.tuples(st.just("admit"), st.fixed_dictionaries({
        "prompt_bound": TOKENS, "output_bound": TOKENS, "choices": st.integers(1, 3), "can_lower_output": st.booleans(),
        "who": st.integers(0, 1), "places": st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True),
    })),
    st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 20), st.integers(0, 20), st.integers(1, 3)),
    st.tuples(st.just("release"), st.integers(0, 5), st.sampled_from([Outcome.UPSTREAM_ERROR, Outcome.GATEWAY_ERROR])),
    st.tuples(st.just("sweep"), st.integers(0, 5), TOKENS),
    st.tuples(st.just("tick"), st.sampled_from([0.05, 0.3, 1, 7, 59, 61, 86_400])),
    st.tuples(st.just("edit"), st.integers(0, 3), st.integers(0, 30)),
)  # fmt: skip


@dataclass
class Run:
    """The calls that are open, and those that a sweep has guessed."""

    clock: Clock
    desks: list[Desk]
    open: list[tuple[Desk, Admitted]] = field(default_factory=list)
    guessed: list[tuple[Desk, Admitted]] = field(default_factory=list)

    def admit(self, asked: dict[str, Any]) -> None:
        fields = dict(asked)
        desk, places = self.desks[fields.pop("who")], fields.pop("places")
        call = desk.ask(**fields)
        book = load_book()
        options = tuple(option(book, number) for number in places)
        try:
            admitted = desk.admit(desk.ask(**fields, options=options, deployment=options[0].deployment))
        except LimitReached:
            return
        assert admitted.output_bound <= call.output_bound
        self.open.append((desk, admitted))

    def settle(self, number: int, prompt: int, output: int, provider: int) -> None:
        """By one of the places that are left; what a sweep took for dead may still have its say."""
        waiting = self.open + self.guessed
        if not waiting:
            return
        desk, admitted = waiting[number % len(waiting)]
        (self.open if (desk, admitted) in self.open else self.guessed).remove((desk, admitted))
        left = [each.deployment for each in admitted.options]
        desk.settle(admitted, prompt, output, deployment=left[provider % len(left)] if left else None)

    def release(self, number: int, outcome: Outcome) -> None:
        if self.open:
            desk, admitted = self.open.pop(number % len(self.open))
            desk.release(admitted, outcome)

    def sweep(self, number: int, prompt: int) -> None:
        if self.open:
            desk, admitted = self.open.pop(number % len(self.open))
            estimated = UsageSource.ESTIMATED
            desk.settle(admitted, prompt, 0, outcome=Outcome.SERVER_STOPPED, usage_source=estimated)
            self.guessed.append((desk, admitted))

    def tick(self, seconds: float) -> None:
        self.clock.turn(seconds)

    def edit(self, number: int, most: int) -> None:
        """Raised, lowered, or below what is used by now."""
        rows = list(Limit.objects.order_by("pk"))
        row = rows[number % len(rows)]
        row.most_cost, row.most_count = (to_usd(most), None) if row.metric == Metric.COST else (None, most)
        row.save()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(kinds=st.lists(kinds, min_size=1, max_size=4), steps=st.lists(steps, min_size=4, max_size=25))
def test_no_sequence_of_calls_passes_a_limit(
    database: None, monkeypatch: pytest.MonkeyPatch, kinds: list[dict[str, Any]], steps: list[tuple[Any, ...]]
) -> None:
    begin_anew()
    clock = Clock(monkeypatch, NOON)
    for number, kind in enumerate(kinds):
        made_up(f"limit {number}", **kind)
    run = Run(clock, [Desk(factories.key(month_quota=None)) for _ in range(2)])
    for name, *arguments in steps:
        act: Callable[..., None] = getattr(run, name)
        act(*arguments)
        assert audit() == []
    while run.open:
        run.release(0, Outcome.UPSTREAM_ERROR)
    assert audit() == []
    assert not LimitCounter.objects.exclude(held=0).exists()


# In slots of the window: a second's are tenths, a minute's seconds.
ticks = st.sampled_from([0, 0.3, 0.5, 1, 3.7, 30, 55.5, 59, 59.5, 59.9, 60, 61])
moves = st.one_of(
    st.tuples(st.just("admit"), st.integers(1, 6)),
    st.tuples(st.just("end"), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("sweep"), st.integers(0, 3)),
    st.tuples(st.just("tick"), ticks),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@example(moves=[("tick", 0.5), ("admit", 6), ("tick", 59.9), ("admit", 6)], start=0.0)
@given(moves=st.lists(moves, min_size=5, max_size=30), start=st.floats(0, 2))
def test_no_moment_has_more_behind_it_than_a_sliding_limit(
    database: None, monkeypatch: pytest.MonkeyPatch, moves: list[tuple[Any, ...]], start: float
) -> None:
    """To the microsecond, not to the slot: what was let in within any minute, at what it has come to by now."""
    begin_anew()
    clock = Clock(monkeypatch, NOON + timedelta(seconds=start))
    limits.add(name="sliding", metric=Metric.OUTPUT_TOKENS, window=Window.MINUTE, is_sliding=True, most=10)
    desk = Desk(factories.key(month_quota=None))
    calls: list[tuple[datetime, Admitted, str]] = []
    for move, *arguments in moves:
        if move == "tick":
            clock.turn(arguments[0])
        elif move == "admit":
            with suppress(LimitReached):
                calls.append((clock.now, desk.admit(output_bound=arguments[0]), "open"))
        elif calls:
            number = arguments[0] % len(calls)
            begun, admitted, state = calls[number]
            if move == "sweep" and state == "open":
                estimated = {"outcome": Outcome.SERVER_STOPPED, "usage_source": UsageSource.ESTIMATED}
                desk.settle(admitted, 0, 1, **estimated)
                calls[number] = (begun, admitted, "guessed")
            elif move == "end" and state != "over":
                desk.settle(admitted, 0, arguments[1])
                calls[number] = (begun, admitted, "over")
        for end, *_ in calls:
            inside = [admitted for begun, admitted, _ in calls if end - timedelta(minutes=1) < begun <= end]
            assert sum(map(counted, inside)) <= 10


def counted(admitted: Admitted) -> int:
    charge = Charge.objects.get(request_id=admitted.request_id)
    (entry,) = charge.limits
    return int(entry["held"] if charge.state == State.HELD else entry["used"])
