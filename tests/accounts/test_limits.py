"""Limits one by one: windows, whose count it is, what is held and settled, changes in the middle of a call."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils import timezone

from accounts.errors import LimitReached
from accounts.models import (
    Action,
    Charge,
    Limit,
    LimitCounter,
    Metric,
    Subject,
    Window,
)
from accounts.models.limits import NO_START
from accounts.services import limits
from accounts.services.ledger.audit import audit
from accounts.services.ledger.limiting.rules import EVERYONE, load_book
from accounts.services.ledger.limiting.telling import duration
from accounts.services.ledger.limiting.windows import end_of, slot_of, start_of
from accounts.services.quotes import quote
from tests import factories
from tests.accounts.limiting import Clock, Desk, counts, let_in, limit, place

pytestmark = pytest.mark.usefixtures("database")


# Windows


@pytest.mark.parametrize(
    ("window", "zone", "moment", "start", "end"),
    [
        ("second", "UTC", "2026-11-21T12:00:07.9", "2026-11-21T12:00:07", "2026-11-21T12:00:08"),
        ("minute", "UTC", "2026-11-21T12:00:59.9", "2026-11-21T12:00:00", "2026-11-21T12:01:00"),
        ("hour", "Asia/Kolkata", "2026-11-21T12:00:00", "2026-11-21T11:30:00", "2026-11-21T12:30:00"),
        ("day", "Europe/Berlin", "2026-11-21T22:59:59", "2026-11-20T23:00:00", "2026-11-21T23:00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),  # 23 hours
        ("day", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),  # 25 hours
        ("day", "Asia/Beirut", "2026-03-29T12:00:00", "2026-03-28T22:00:00", "2026-03-29T21:00:00"),  # no midnight
        ("hour", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T00:00:00", "2026-10-25T01:00:00"),  # 2 o'clock
        ("hour", "Europe/Berlin", "2026-10-25T01:30:00", "2026-10-25T01:00:00", "2026-10-25T02:00:00"),  # and again
        ("week", "UTC", "2026-11-22T23:59:59", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("week", "America/New_York", "2026-11-23T04:00:00", "2026-11-16T05:00:00", "2026-11-23T05:00:00"),
        ("month", "UTC", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("month", "Pacific/Auckland", "2026-11-30T11:00:00", "2026-11-30T11:00:00", "2026-12-31T11:00:00"),
        ("total", "UTC", "2026-11-21T12:00:00", "1970-01-01T00:00:00", None),
    ],
)
def test_calendar_windows_turn_in_the_configured_zone(
    window: str, zone: str, moment: str, start: str, end: str | None
) -> None:
    with override_settings(TIME_ZONE=zone):
        begun = start_of(window, utc(moment))
        assert begun == utc(start)
        assert end_of(window, begun) == (end and utc(end))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_slots_are_sixtieths_and_of_a_second_tenths() -> None:
    moment = utc("2026-11-21T12:34:56.789")
    assert slot_of("second", moment) == utc("2026-11-21T12:34:56.7")
    assert slot_of("minute", moment) == utc("2026-11-21T12:34:56")
    assert slot_of("hour", moment) == utc("2026-11-21T12:34:00")
    assert slot_of("day", moment) == utc("2026-11-21T12:24:00")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1s"), (12, "12s"), (62.1, "1m3s"), (360, "6m0s"), (7205, "2h0m5s")]
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_new_window_begins_anew(desk: Desk, clock: Clock) -> None:
    limit(3)
    clock.turn(58)
    assert len(let_in(desk, 5)) == 3
    with pytest.raises(LimitReached) as refused:
        desk.admit()
    assert refused.value.retry_after == 2
    clock.turn(2)
    assert len(let_in(desk, 5)) == 3
    assert counts() == [(0, 3), (0, 3)]
    assert audit() == []


def test_a_call_counts_in_the_window_in_which_it_was_let_in(desk: Desk, clock: Clock) -> None:
    limit(100, Metric.TOKENS)
    admitted = desk.admit(prompt_bound=5, output_bound=10)
    clock.turn(61)
    desk.settle(admitted, 5, 7)
    assert counts() == [(12, 0)]
    assert audit() == []


def test_a_sliding_window_does_not_turn_at_once(desk: Desk, clock: Clock) -> None:
    limit(3, is_sliding=True)
    clock.turn(58)
    assert len(let_in(desk, 2)) == 2
    clock.turn(10)
    assert len(let_in(desk, 5)) == 1
    clock.turn(49.9)  # a minute after the first two, but for a moment
    with pytest.raises(LimitReached) as refused:
        desk.admit()
    assert refused.value.retry_after == 2  # when the whole slot has gone
    clock.turn(1.1)
    assert len(let_in(desk, 5)) == 2
    assert audit() == []


def test_two_writers_whose_clocks_differ_count_each_other(desk: Desk, clock: Clock) -> None:
    limit(3, is_sliding=True)
    clock.turn(5)
    assert len(let_in(desk, 2)) == 2
    clock.turn(-5)
    assert len(let_in(desk, 5)) == 1
    assert audit() == []


# Whose


def test_each_has_a_count_of_its_own_where_nobody_is_named(database: None, clock: Clock) -> None:
    limit(1, subject=Subject.KEY, window=Window.TOTAL)
    first, second = (Desk(factories.key(month_quota=None)) for _ in range(2))
    assert [len(let_in(each, 2)) for each in (first, second)] == [1, 1]
    assert set(LimitCounter.objects.values_list("member", flat=True)) == {str(first.key.pk), str(second.key.pk)}


def test_all_keys_of_an_address_share_its_limit_however_it_is_spelt(database: None, clock: Clock) -> None:
    limit(1, subject=Subject.EMAIL, value="Alice@Example.COM ")
    book = load_book()
    assert [claim.rule.name for claim in book.of(Subject.EMAIL, "alice@example.com")] == ["limit requests"]
    assert book.of(Subject.EMAIL, "") == []


def test_nobody_is_no_member() -> None:
    for subject in (Subject.KEY, Subject.GROUP, Subject.EMAIL, Subject.PROVIDER):
        limits.add(name=subject, metric=Metric.REQUESTS, most=1, subject=subject)
    book = load_book()
    assert [book.of(subject, who) for subject, who in ((Subject.GROUP, None), (Subject.EMAIL, ""))] == [[], []]
    assert book.of(Subject.EVERYONE, EVERYONE) == []
    assert [claim.member for claim in book.of(Subject.GROUP, 7)] == ["7"]


def test_a_limit_that_is_switched_off_does_not_count(desk: Desk) -> None:
    limit(0, is_enabled=False)
    desk.admit()
    assert counts() == []


# Rows


@pytest.mark.parametrize(
    "fields",
    [
        {"metric": Metric.COST, "most": Decimal(-1)},
        {"metric": Metric.REQUESTS, "most": -1},
        {"metric": "bananas"},
        {"window": "fortnight"},
        {"window": Window.TOTAL, "is_sliding": True},
        {"subject": Subject.KEY, "value": "x"},
        {"subject": Subject.GROUP, "provider_id": 1},
        {"thresholds": [0]},
        {"thresholds": ["80"]},
        {"thresholds": 80},
        {"name": ""},
        {"notify_url": "nonsense"},
    ],
)
def test_nonsense_is_refused(database: None, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        limit(**fields)
    assert not Limit.objects.exists()


def test_what_a_limit_counts_stays_as_it_is(database: None) -> None:
    row = limit(5)
    row.metric, row.most_cost, row.most_count = Metric.COST, Decimal(1), None
    with pytest.raises(ValidationError, match="can't be changed"):
        row.full_clean()


def test_put_makes_changes_and_replaces(desk: Desk) -> None:
    first = limits.put(name="a", metric=Metric.REQUESTS, window=Window.DAY, most=5, notify_secret="s")
    desk.settle(desk.admit())
    same = limits.put(name="a", metric=Metric.REQUESTS, window=Window.DAY, most=9, action=Action.WARN)
    assert (same.pk, same.most_count, same.action, same.notify_secret) == (first.pk, 9, Action.WARN, "s")
    assert counts() == [(1, 0)]
    other = limits.put(name="a", most=Decimal(2))
    assert (other.pk == first.pk, Limit.objects.get().most_cost) == (False, Decimal(2))
    parallel = limits.put(name="p", metric=Metric.PARALLEL, window=Window.DAY, most=2)
    assert limits.put(name="p", metric=Metric.PARALLEL, window=Window.DAY, most=3).pk == parallel.pk


def test_a_put_that_can_not_be_leaves_what_there_was(database: None) -> None:
    limits.put(name="a", metric=Metric.REQUESTS, most=5)
    with pytest.raises(ValidationError):
        limits.put(name="a", metric=Metric.TOKENS, most=5, notify_url="nonsense")
    assert Limit.objects.get().metric == Metric.REQUESTS


def test_what_is_over_is_pruned_and_what_is_held_is_not(desk: Desk, clock: Clock) -> None:
    limit(50)
    limit(50, Metric.TOKENS, is_sliding=True)
    limit(50, Metric.COST, Window.TOTAL)
    done, running = desk.admit(), desk.admit()
    desk.settle(done)
    clock.turn(86_400 * 5)
    late = desk.admit()
    assert limits.prune() == 0
    desk.settle(running)
    assert limits.prune() == 2
    desk.settle(late)
    assert audit() == []
    assert sorted(counts()) == [(1, 0), (2, 0), (6, 0)]


def test_a_quote_tells_what_a_limit_would_refuse_and_takes_nothing(desk: Desk) -> None:
    limit(2, is_sliding=True)
    limit(30, Metric.TOKENS, Window.TOTAL)
    desk.admit()
    assert (quote(desk.ask(output_bound=100)).output_bound, quote(desk.ask()).refusal) == (27, "")
    desk.admit()
    assert quote(desk.ask()).refusal.startswith(
        "The limit `limit requests` allows 2 requests a minute; left: 0 requests."
    )
    assert sorted(counts()) == [(0, 2), (0, 4)]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"used": 9}, "a limit's used = what its charges count"),
        ({"held": 9}, "a limit's held = what its open charges hold"),
    ],
)
def test_the_audit_finds_a_counter_that_was_tampered_with(desk: Desk, change: dict[str, int], rule: str) -> None:
    limit(10, Metric.TOKENS, Window.TOTAL)
    desk.settle(desk.admit())
    desk.admit()
    assert audit() == []
    LimitCounter.objects.update(**change)
    assert rule in {each.rule for each in audit()}


def test_the_audit_finds_an_entry_that_was_tampered_with(desk: Desk) -> None:
    limit(10, Metric.TOKENS, Window.TOTAL)
    desk.settle(desk.admit())
    charge = Charge.objects.get()
    charge.limits[0]["used"] = 1
    Charge.objects.update(limits=charge.limits)
    LimitCounter.objects.update(used=1)
    assert [each.rule for each in audit()] == ["what counts for limit tokens = what was used"]


def test_the_place_is_told_by_a_deployment() -> None:
    assert place(4, "x").place == (4, "x")
    assert timezone.is_aware(NO_START)
