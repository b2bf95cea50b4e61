"""The money of keys that move in: figures that agree, figures that don't, and any at random."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import ApiKey, Charge, DayOfSpend, Payment
from accounts.services import rollups
from common.money import to_units
from gateway.moving.books import Books, Counters, Entries, Target, entries
from gateway.moving.carried import Rest
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.commands.brconnector_world import FEE, PRICE_IN, PRICE_OUT, Mover, World, key_here, set_key

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
NOTHING = (Rest(), Rest())


def first(target: Target, payments: int = 0) -> Entries:
    """Of a key that was never here."""
    return entries(target, Books(), payments, NOTHING, Counters(target.month))


class TestEntries:
    def test_a_quota_that_was_used_in_part(self) -> None:
        made = first(Target(total=100, month_fee=30, balance=0, month=NOVEMBER, threads=30))
        assert (made.month.quota, made.month.balance) == (30, 0)
        assert (made.before.quota, made.before.balance) == (70, 0)
        assert made.counters == Counters(NOVEMBER, month_fee=30, balance=0, spent=100)
        assert made.correction == 0

    def test_what_a_months_threads_cost_beyond_its_quota_was_paid_from_the_balance(self) -> None:
        made = first(Target(total=50, month_fee=20, balance=5, month=NOVEMBER, threads=50), payments=35)
        assert (made.month.quota, made.month.balance, made.before.fee) == (20, 30, 0)
        assert (made.counters.balance, made.correction) == (5, 0)

    def test_money_that_is_gone_was_spent_before(self) -> None:
        made = first(Target(total=100, month_fee=0, balance=10, month=NOVEMBER, threads=0), payments=50)
        assert (made.before.quota, made.before.balance, made.correction) == (60, 40, 0)

    def test_money_that_nothing_explains_is_one_correcting_payment(self) -> None:
        assert first(Target(0, 0, balance=10, month=NOVEMBER, threads=0)).correction == 10
        assert first(Target(0, 0, balance=10, month=NOVEMBER, threads=0), payments=25).correction == -15
        never_taken_off = first(Target(total=40, month_fee=0, balance=50, month=NOVEMBER, threads=40), payments=50)
        assert (never_taken_off.correction, never_taken_off.counters.balance) == (40, 50)

    def test_a_month_fee_beyond_the_total_counts(self) -> None:
        made = first(Target(total=5, month_fee=30, balance=0, month=NOVEMBER, threads=0))
        assert (made.counters.spent, made.counters.month_fee) == (30, 30)

    def test_a_new_month_there_turns_the_month_here(self) -> None:
        books = Books(total=100, month_fee=0)
        made = entries(
            Target(total=110, month_fee=10, balance=0, month=DECEMBER, threads=10),
            books,
            0,
            (Rest(), Rest(charge_id=7, quota=20)),
            Counters(NOVEMBER, month_fee=30, spent=100),
        )
        assert made.counters == Counters(DECEMBER, month_fee=10, spent=110)
        assert (made.month.quota, made.before.quota, made.before.has_changed) == (10, 20, False)

    def test_a_month_that_has_passed_here_is_not_turned_back(self) -> None:
        target = Target(total=100, month_fee=30, balance=0, month=NOVEMBER, threads=30)
        made = entries(target, Books(), 0, NOTHING, Counters(DECEMBER, month_fee=3, spent=3))
        assert made.counters == Counters(DECEMBER, month_fee=3, spent=103)

    def test_a_balance_that_was_spent_on_both_sides_ends_at_zero(self) -> None:
        books, counters = Books(payments=50), Counters(NOVEMBER, balance=10, spent=40)
        target = Target(total=0, month_fee=0, balance=5, month=NOVEMBER, threads=0)
        made = entries(target, books, 0, NOTHING, counters)
        assert (made.counters.balance, made.correction, made.debt) == (0, -10, 35)
        again = entries(target, Books(payments=40), 0, NOTHING, made.counters)
        assert (again.counters, again.correction, again.debt) == (made.counters, 0, 35)


def test_a_first_balance_without_a_payment_gets_one_that_says_so(
    database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    World(brconnector).key("gift", balance="3.0000000007")
    Mover(brconnector, capsys)()
    payment = Payment.objects.get()
    assert payment.amount == Decimal("3.0000000007")
    assert payment.note.startswith("Moved in from old: correction")


@pytest.mark.parametrize("seed", range(6))
def test_any_figures_come_over_and_the_books_agree(
    seed: int, database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mover proves the ledger after each run."""
    random, world, move_in = Random(seed), World(brconnector), Mover(brconnector, capsys)
    for number in range(6):
        world.key(f"key {number}", month_quota=random.choice([0, "0.001", 10]))
    for turn in range(3):
        for number in range(6):
            _live(random, world, f"key {number}", turn)
        options = ("--batch", str(random.choice([1, 3, 500])))
        move_in(*options)
        if turn == 0:
            _check_figures(world)
        before = _state()
        assert not move_in(*options)["written"]
        assert _state() == before
        for key in ApiKey.objects.all():
            _use_here(random, key)


def _live(random: Random, world: World, name: str, turn: int) -> None:
    """Some time there: calls, payments, and figures that agree with them or not."""
    ago = timedelta(days=random.choice([0, 20, 40, 80]) // (turn + 1))
    for number in range(random.randrange(6)):
        days = ago.days + random.randrange(40)
        world.thread(f"{name}, {turn}, {number}", name, created_at=world.before(days=days))
    for number in range(random.randrange(3)):
        fee = Decimal(random.randrange(-50, 500)) / 100
        world.add(f"{name}, {turn}, payment {number}", "payment", key_id=world.ids[name], fee=fee)
    query = "SELECT coalesce(sum(fee), 0) FROM eiai_thread WHERE key_id = %s"
    row = world.source.connection.execute(query, [world.ids[name]]).fetchone()
    assert row
    total = row[0] + FEE * random.choice([0, 0, 3, -2])
    set_key(
        world,
        name,
        total_fee=max(total, Decimal(0)),
        month_fee=FEE * random.randrange(5),
        balance=Decimal(random.randrange(-10, 900)) / 100,
        updated_at=world.before(days=ago.days),
    )


def _check_figures(world: World) -> None:
    rows = world.source.connection.execute("SELECT name, balance, month_fee, total_fee FROM eiai_key").fetchall()
    for name, balance, month_fee, total in rows:
        key = key_here(name)
        assert (key.balance, key.month_fee) == (max(balance, 0), month_fee)
        assert key.spent >= total


def _use_here(random: Random, key: ApiKey) -> None:
    """A call that the balance pays, as the ledger would book it."""
    fee = key.balance * random.choice([0, 0, 1])
    if not fee:
        return
    now = timezone.now()
    charge = Charge.objects.create(
        request_id=f"own {key.pk} {random.random()}",
        key=key,
        state="settled",
        outcome="ok",
        usage_source="carried",
        prompt_bound=0,
        output_bound=0,
        hold=0,
        fee=fee,
        balance_fee=fee,
        settled_at=now,
    )
    rollups.add(connection, [charge.pk], now)
    ApiKey.objects.filter(pk=key.pk).update(spent=key.spent + fee, balance=0)


def _state() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (ApiKey, Charge, Payment, DayOfSpend)]


def test_figures_that_agree_come_over_to_the_last_decimal(
    database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(brconnector)
    world.key("exact", month_quota="0.0005", balance="9.9998400001", total_fee=2 * FEE, month_fee="0.0005")
    world.add("paid", "payment", key_id=world.ids["exact"], fee=10)
    world.thread("one", "exact"), world.thread("two", "exact")
    Mover(brconnector, capsys)()
    key = key_here("exact")
    assert (key.spent, key.month_fee, key.balance) == (2 * FEE, Decimal("0.0005"), Decimal("9.9998400001"))
    two = Charge.objects.get(request_id=f"old/thread/{world.ids['two']}")
    assert (two.quota_fee, two.balance_fee) == (Decimal("0.00017"), Decimal("0.00016"))
    correction = Payment.objects.get(note__contains="correction")
    assert to_units(correction.amount) == 1
    assert two.price_in == PRICE_IN * 1_000_000
    assert two.price_out == PRICE_OUT * 1_000_000
