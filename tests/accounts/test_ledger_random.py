"""Whatever a ledger goes through, nobody overspends and every sum is right: batches that mix several keys' calls,
transactions that are undone, answers to COMMIT that are lost, processes that die and are swept twice, or were alive."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import (
    ApiKey,
    Charge,
    Limit,
    LimitCounter,
    Metric,
    Outcome,
    Payment,
    State,
    Subject,
    UsageSource,
    Window,
)
from accounts.services import keys, limits, payments
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from accounts.services.ledger.batch import Batch, Request
from accounts.services.ledger.limiting.windows import start_of
from accounts.services.ledger.types import Admission, Admitted, Settlement, Tokens
from common.money import to_units, to_usd
from tests import factories
from tests.accounts.limiting import NOON, Clock, Desk, begin_anew, made_up

pytestmark = pytest.mark.usefixtures("database")

AMOUNT = st.integers(0, 15)
NUMBER = st.integers(0, 7)

kinds = st.fixed_dictionaries(
    {
        "subject": st.sampled_from([Subject.EVERYONE, Subject.KEY, Subject.EMAIL, Subject.TAG]),
        "metric": st.sampled_from(Metric.values),
        "window": st.sampled_from([Window.MINUTE, Window.DAY, Window.TOTAL]),
        "is_sliding": st.booleans(),
        "most": st.integers(0, 40),
    }
)
requests = st.one_of(
    st.tuples(st.just("admit"), st.integers(0, 2), AMOUNT, st.integers(1, 15), st.booleans()),
    st.tuples(st.just("settle"), NUMBER, AMOUNT, st.integers(0, 25)),
    st.tuples(st.just("release"), NUMBER, st.sampled_from([Outcome.UPSTREAM_ERROR, Outcome.GATEWAY_ERROR])),
    st.tuples(st.just("sweep"), NUMBER, AMOUNT),
)
endings = st.sampled_from(["committed", "committed", "committed", "undone", "answer lost"])
steps = st.one_of(
    st.tuples(st.just("batch"), st.lists(requests, min_size=1, max_size=5), endings),
    st.tuples(st.just("batch"), st.lists(requests, min_size=1, max_size=5), endings),
    st.tuples(st.just("process_dies")),
    st.tuples(st.just("pay"), st.integers(0, 2), st.integers(-20, 30)),
    st.tuples(st.just("refund"), NUMBER),
    st.tuples(st.just("quota"), st.integers(1, 2), st.integers(0, 60)),
    st.tuples(st.just("tick"), st.sampled_from([0.4, 1, 30, 61, 86_400, 31 * 86_400])),
)


@dataclass
class World:
    """Three keys, of which the first has no limit, and every call that was ever let in."""

    clock: Clock
    desks: list[Desk]
    calls: list[Admitted] = field(default_factory=list)
    quotas: dict[int, int] = field(default_factory=dict)  # the largest that each key had

    def batch(self, wanted: list[tuple[Any, ...]], ending: str) -> None:
        asked = [request for each in wanted if (request := self._request(*each))]
        if not asked:
            return
        if ending == "undone":
            with suppress(Undone), transaction.atomic():
                self._run(asked)
                raise Undone
            return
        results = self._run(asked)
        if ending == "answer lost":  # settlements come again, and what was let in is let go
            again: list[Request] = [each for each in asked if isinstance(each, Settlement)]
            lost = [each for each in results if isinstance(each, Admitted)]
            again += [Settlement(each.request_id, each.key_id, Outcome.GATEWAY_ERROR) for each in lost]
            self._run(again) if again else None
        else:
            self.calls += [each for each in results if isinstance(each, Admitted)]

    def _run(self, asked: list[Request]) -> list[Any]:
        return Batch(connection, self.desks[0].worker.uuid).run(asked)

    def _request(self, name: str, *arguments: Any) -> Request | None:
        make: Callable[..., Request | None] = getattr(self, f"_{name}")
        return make(*arguments)

    def _admit(self, who: int, prompt: int, output: int, can_lower: bool) -> Admission:
        return self.desks[who].ask(prompt_bound=prompt, output_bound=output, can_lower_output=can_lower)

    def _settle(self, number: int, prompt: int, output: int) -> Settlement | None:
        """Also of calls that are over, or that a sweep has guessed."""
        return self._end(number, Outcome.OK, UsageSource.REPORTED, Tokens(prompt, output=output))

    def _release(self, number: int, outcome: Outcome) -> Settlement | None:
        return self._end(number, outcome, UsageSource.NONE, Tokens())

    def _sweep(self, number: int, prompt: int) -> Settlement | None:
        return self._end(number, Outcome.SERVER_STOPPED, UsageSource.ESTIMATED, Tokens(prompt))

    def _end(self, number: int, outcome: Outcome, source: UsageSource, tokens: Tokens) -> Settlement | None:
        latest = self.calls[-8:]
        if not latest:
            return None
        call = latest[number % len(latest)]
        return Settlement(call.request_id, call.key_id, outcome, None, tokens, source)

    def process_dies(self) -> None:
        """Two others find it at the same moment: both have read what it held before either settles."""
        held = list(Charge.objects.filter(state=State.HELD).order_by("pk"))
        found: list[Request] = [
            Settlement(each.request_id, each.key_id, Outcome.SERVER_STOPPED, None, Tokens(1), UsageSource.ESTIMATED)
            for each in held
        ]
        for _ in range(2):
            self._run(found) if found else None
        assert not Charge.objects.filter(state=State.HELD).exists()

    def pay(self, who: int, amount: int) -> None:
        with suppress(ValidationError):
            payments.correct(key=self.desks[who].key, amount=to_usd(amount), note="because")

    def refund(self, number: int) -> None:
        charges = list(Charge.objects.filter(balance_fee__gt=0).order_by("-pk")[:8])
        if charges:
            with suppress(ValidationError):
                payments.refund(charge=charges[number % len(charges)], note="sorry")

    def quota(self, who: int, units: int) -> None:
        key = self.desks[who].key
        keys.change(key=ApiKey.objects.get(pk=key.pk), month_quota=to_usd(units))
        self.quotas[key.pk] = max(self.quotas[key.pk], units)

    def tick(self, seconds: float) -> None:
        self.clock.turn(seconds)

    # What must be so

    def check(self) -> None:
        assert audit() == []
        for key_id, quota in self.quotas.items():
            self._check_money(key_id, quota)
        for limit in Limit.objects.all():
            if not limit.is_sliding and limit.metric != Metric.PARALLEL:
                self._check_limit(limit)

    def _check_money(self, key_id: int, quota: int) -> None:
        charges = Charge.objects.filter(key=key_id, state=State.SETTLED)
        months: dict[Any, int] = defaultdict(int)
        for charge in charges:
            months[charge.month] += to_units(charge.quota_fee)
        assert max(months.values(), default=0) <= quota
        paid = sum(to_units(each.amount) for each in Payment.objects.filter(key=key_id))
        assert sum(to_units(charge.balance_fee) for charge in charges) <= paid
        key = ApiKey.objects.get(pk=key_id)
        assert to_units(key.balance) == paid - sum(to_units(charge.balance_fee) for charge in charges)

    def _check_limit(self, limit: Limit) -> None:
        """From the charges alone: held ones at what they may come to, others at what they came to."""
        windows: dict[tuple[datetime, str], int] = defaultdict(int)
        for charge in Charge.objects.select_related("key"):
            for member in self._members(limit, charge):
                windows[(start_of(limit.window, charge.created_at), member)] += _counted(limit, charge)
        assert max(windows.values(), default=0) <= limit.most

    def _members(self, limit: Limit, charge: Charge) -> list[str]:
        return {
            Subject.EVERYONE: [""],
            Subject.KEY: [str(charge.key_id)],
            Subject.EMAIL: [charge.key.email] if charge.key.email else [],
            Subject.TAG: charge.tags,
        }[Subject(limit.subject)]


class Undone(Exception):
    """The transaction is rolled back."""


def _counted(limit: Limit, charge: Charge) -> int:
    is_held = charge.state == State.HELD
    prompt, output = charge.input_tokens, charge.output_tokens
    if is_held:
        prompt, output = charge.prompt_bound, charge.output_bound
    never_sent = charge.state == State.RELEASED and charge.outcome in (Outcome.GATEWAY_ERROR, Outcome.SERVER_STOPPED)
    beyond = sum(entry["over"] for entry in charge.limits if entry["limit"] == limit.pk)
    amounts = {
        Metric.COST: to_units(charge.hold if is_held else charge.fee) + beyond,
        Metric.REQUESTS: 0 if never_sent else 1,
        Metric.INPUT_TOKENS: prompt,
        Metric.OUTPUT_TOKENS: output,
        Metric.TOKENS: prompt + output,
    }
    return amounts[Metric(limit.metric)] - beyond


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(kinds=st.lists(kinds, max_size=3), steps=st.lists(steps, min_size=5, max_size=25))
def test_nobody_overspends_whatever_happens(
    clock: Clock, kinds: list[dict[str, Any]], steps: list[tuple[Any, ...]]
) -> None:
    begin_anew()
    clock.now = NOON
    for number, kind in enumerate(kinds):
        made_up(f"limit {number}", **kind)
    world = World(clock, [Desk(key, ("night",)) for key in three_keys()])
    world.quotas = {desk.key.pk: to_units(desk.key.month_quota) for desk in world.desks[1:]}
    for name, *arguments in steps:
        act: Callable[..., None] = getattr(world, name)
        act(*arguments)
        world.check()
    world.process_dies()
    world.check()
    assert not LimitCounter.objects.exclude(held=0).exists()
    assert not ApiKey.objects.exclude(held=0).exists()


def three_keys() -> list[IssuedKey]:
    team = {"email": "team@example.com"}
    amounts = ((None, 0, team), (Decimal(to_usd(40)), 0, team), (Decimal(to_usd(10)), 30, {}))
    return [factories.key(month_quota=quota, balance=to_usd(balance), **more) for quota, balance, more in amounts]


def test_two_sweeps_at_once_count_a_call_once(clock: Clock) -> None:
    """Both have read that it is held; the second one's guess takes nothing back of what the first one counted."""
    limits.add(name="a day's", metric=Metric.OUTPUT_TOKENS, window=Window.DAY, most=10)
    desk = Desk(factories.key(month_quota=None))
    admitted = desk.admit(output_bound=4)
    guess = {"outcome": Outcome.SERVER_STOPPED, "usage_source": UsageSource.ESTIMATED}
    assert [desk.settle(admitted, 0, 3, **guess).charge_id > 0 for _ in range(2)] == [True, False]
    assert LimitCounter.objects.get().used == 3
    assert audit() == []
