"""Moving in: what was said goes to its month, and what it cost to its day, however long ago that was."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Charge, DayOfSpend, Payment
from accounts.services import rollups
from accounts.services.ledger.audit import audit
from chat.models import Thread, ThreadBody
from chat.services import partitions, retention
from chat.services.conversations import session_breaks
from gateway.moving import threads
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.commands.brconnector_world import FEE, Mover, World, set_key


@pytest.fixture
def world(database: None, brconnector: BRConnectorDatabase) -> World:
    made = World(brconnector)
    made.key("alice", total_fee=10 * FEE, month_fee=0)
    return made


@pytest.fixture
def move_in(world: World, capsys: pytest.CaptureFixture[str]) -> Mover:
    return Mover(world.source, capsys)


def add_threads(world: World, *days_ago: float, **values: Any) -> None:
    for days in days_ago:
        moment = world.before(days=days)
        world.thread(f"{days} days ago", "alice", created_at=moment, updated_at=moment, **values)


def kept() -> set[str]:
    return set(ThreadBody.objects.values_list("thread__charge__request_id", flat=True))


def ids(world: World, *days_ago: float) -> set[str]:
    return {f"old/thread/{world.ids[f'{days} days ago']}" for days in days_ago}


@pytest.mark.on_postgresql
def test_what_was_said_goes_to_the_month_of_its_call(world: World, move_in: Mover, own_months: None) -> None:
    add_threads(world, 400, 200, 100, 0)
    move_in("--batch", "2")
    months = {partitions.month_of(moment) for moment in ThreadBody.objects.values_list("created_at", flat=True)}
    assert len(months) >= 4 and months <= set(partitions.months())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM chat_threadbody_rest")
        assert cursor.fetchone()[0] == 0
    assert set(ThreadBody.objects.values_list("prompt", "completion")) == {("hi", "hello")}


def test_what_is_kept_no_more_does_not_come_and_the_rest_goes_at_its_time(
    world: World, move_in: Mover, own_months: None, settings: Any
) -> None:
    settings.HISTORY_DAYS = 100
    add_threads(world, 400, 101, 99, 70, 0)
    reasons = move_in.reasons(move_in())
    old = [world.ids[f"{days} days ago"] for days in (400, 101)]
    assert reasons["eiai_thread: what was said is older than HISTORY_DAYS, and was left out"] == old
    assert kept() == ids(world, 99, 70, 0)
    assert Thread.objects.count() == 5
    retention.prune(before=timezone.now() - timedelta(days=90))
    assert kept() == ids(world, 70, 0)


def test_each_day_counts_what_its_calls_cost(world: World, move_in: Mover, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    with timezone.override("Asia/Shanghai"):
        for number, moment in enumerate(("2026-03-09 15:59", "2026-03-09 16:00", "2026-03-10 15:59")):
            world.thread(f"dated {number}", "alice", created_at=moment, updated_at=moment)
        move_in("--batch", "1", "--time-zone", "UTC")
        days = DayOfSpend.objects.filter(model_name="unknown").order_by("day")
        found = [(day.day.isoformat(), day.calls, day.input_tokens, day.output_tokens, day.fee) for day in days]
        assert found == [("2026-03-09", 1, 10, 20, FEE), ("2026-03-10", 2, 20, 40, 2 * FEE)]


def test_what_is_carried_is_a_days_spend_and_shrinks_as_threads_take_their_part(world: World, move_in: Mover) -> None:
    def carried() -> dict[str, Decimal]:
        days = DayOfSpend.objects.filter(model_name="carried over")
        return {day.day.isoformat(): day.fee for day in days}

    made_at = timezone.localdate(world.now - timedelta(days=400)).isoformat()
    move_in()
    assert carried() == {made_at: 10 * FEE}
    add_threads(world, 5, 4, 3)
    set_key(world, "alice", total_fee=11 * FEE)
    move_in("--batch", "1")
    assert carried() == {made_at: 8 * FEE}
    add_threads(world, *(number / 10 for number in range(8)))
    move_in()
    assert not Charge.objects.filter(endpoint="carried").exists()
    assert carried() == {}


def test_the_ledger_proves_right_after_each_batch(
    world: World, move_in: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks: list[list[str]] = []
    write = threads._write

    def write_and_audit(*arguments: Any) -> None:
        write(*arguments)
        breaks.append([*map(str, audit()), *session_breaks()])

    monkeypatch.setattr(threads, "_write", write_and_audit)
    session = world.add("talk", "session", key="talk", key_id=world.ids["alice"])
    add_threads(world, 300, 200, 50, 2, 1, 0.5, session_id=session)
    move_in("--batch", "1")
    assert breaks == [[]] * 6


def test_days_are_those_that_a_rebuild_finds(world: World, move_in: Mover) -> None:
    add_threads(world, 300, 2, 1, 0.5)
    move_in()
    before = list(DayOfSpend.objects.order_by("day", "model_name").values())
    assert list(rollups.rebuild())
    after = list(DayOfSpend.objects.order_by("day", "model_name").values())
    assert [{**day, "id": 0} for day in after] == [{**day, "id": 0} for day in before]


@pytest.mark.parametrize("moment", ["0001-01-01", "1999-12-31", "2999-01-01", "9999-12-31 23:59:59", "294276-12-31"])
def test_a_time_that_can_not_be_is_the_imports(world: World, move_in: Mover, moment: str) -> None:
    world.thread("odd", "alice", created_at=moment, updated_at=moment)
    world.add("paid", "payment", key_id=world.ids["alice"], fee=1, created_at=moment)
    set_key(world, "alice", created_at=moment, updated_at=moment)
    reasons = move_in.reasons(move_in("--time-zone", "Asia/Shanghai"))
    assert reasons["eiai_thread: its time is missing or can't be; it has the import's"] == [world.ids["odd"]]
    now = timezone.now()
    for model in (Charge, Payment, Thread):
        for row in model._default_manager.all():
            assert now - timedelta(minutes=2) < row.created_at <= now


def test_payments_from_there_keep_their_kinds_and_times(world: World, move_in: Mover) -> None:
    world.add("paid", "payment", key_id=world.ids["alice"], fee=5, created_at=world.before(days=30))
    set_key(world, "alice", balance=3, total_fee=0)
    move_in()
    recharge, correction = Payment.objects.order_by("created_at")
    assert (recharge.kind, recharge.amount) == ("recharge", 5)
    assert recharge.created_at.replace(tzinfo=None) == world.before(days=30)
    assert (correction.kind, correction.amount) == ("correction", 3 - 5)
