"""What is held of limits and what is counted in the end, whatever happens in the middle of a call."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.errors import InsufficientQuota, LimitReached, StaleResolution
from accounts.models import (
    Action,
    ApiKey,
    Charge,
    LimitCounter,
    LimitNotice,
    Metric,
    Outcome,
    Subject,
    UsageSource,
    Window,
    Worker,
)
from accounts.models.limits import NO_START
from accounts.services import limits
from accounts.services.ledger import sweep
from accounts.services.ledger.audit import audit
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.limiting.rules import load_book
from accounts.services.ledger.worker import identity
from common.money import to_usd
from providers.models import Provider
from tests import factories
from tests.accounts.limiting import NOON, Clock, Desk, counts, limit, option

pytestmark = pytest.mark.usefixtures("database")


# Holding and settling


@pytest.mark.parametrize(
    ("metric", "held", "used"),
    [
        (Metric.REQUESTS, 1, 1),
        (Metric.PARALLEL, 1, 0),
        (Metric.INPUT_TOKENS, 30, 11),
        (Metric.OUTPUT_TOKENS, 20, 7),
        (Metric.TOKENS, 50, 18),
        (Metric.COST, 50, 18),
    ],
)
def test_what_each_metric_holds_and_counts(desk: Desk, metric: str, held: int, used: int) -> None:
    limit(1000, metric, Window.TOTAL)
    admitted = desk.admit(prompt_bound=30, output_bound=20)
    assert counts() == [(0, held)]
    desk.settle(admitted, 11, 7)
    assert counts() == [(used, 0)]
    assert audit() == []


@pytest.mark.parametrize(
    ("outcome", "requests"),
    [(Outcome.UPSTREAM_ERROR, 1), (Outcome.BAD_REQUEST, 1), (Outcome.GATEWAY_ERROR, 0), (Outcome.SERVER_STOPPED, 0)],
)
def test_an_admitted_call_counts_as_a_request_unless_it_was_never_sent(
    desk: Desk, outcome: Outcome, requests: int
) -> None:
    limit(1000, Metric.TOKENS, Window.TOTAL)
    limit(5, window=Window.TOTAL)
    desk.release(desk.admit(), outcome)
    assert sorted(counts()) == [(0, 0), (requests, 0)]
    assert audit() == []


def test_more_than_was_held_counts_up_to_the_limit_and_the_rest_is_written_down(desk: Desk) -> None:
    limit(100, Metric.TOKENS, Window.TOTAL)
    first, second = desk.admit(prompt_bound=10, output_bound=10), desk.admit(prompt_bound=10, output_bound=50)
    desk.settle(first, 10, 200)
    assert counts() == [(40, 60)]
    (entry,) = Charge.objects.get(request_id=first.request_id).limits
    assert (entry["used"], entry["over"], entry["used_after"]) == (40, 170, 40)
    desk.settle(second, 10, 50)
    assert counts() == [(100, 0)]
    assert audit() == []


def test_a_call_that_holds_nothing_may_yet_use_something(desk: Desk) -> None:
    limit(5, Metric.OUTPUT_TOKENS, Window.TOTAL)
    desk.settle(desk.admit(output_bound=0), 1, 9)
    assert counts() == [(5, 0)]
    assert audit() == []


def test_a_fee_never_passes_a_limit_of_cost(desk: Desk) -> None:
    limit(30, Metric.COST, Window.TOTAL)
    settled = desk.settle(desk.admit(prompt_bound=10, output_bound=10), 10, 200)
    assert (settled.fee, settled.shortfall) == (30, 180)
    assert counts() == [(30, 0)]
    assert audit() == []


def test_of_a_window_that_slides_a_call_gets_no_more_than_it_held(desk: Desk) -> None:
    limit(30, Metric.COST, is_sliding=True)
    settled = desk.settle(desk.admit(prompt_bound=10, output_bound=10), 10, 200)
    assert (settled.fee, settled.shortfall) == (20, 190)
    assert audit() == []


@pytest.mark.parametrize("action", [Action.WARN, Action.OBSERVE])
def test_a_limit_that_does_not_block_counts_beyond_itself(desk: Desk, action: str) -> None:
    limit(10, Metric.TOKENS, Window.TOTAL, action=action)
    for _ in range(2):
        desk.settle(desk.admit(prompt_bound=10, output_bound=10), 10, 10)
    assert counts() == [(40, 0)]
    assert audit() == []


def test_an_answer_is_cut_to_the_least_that_all_limits_and_the_key_cover(database: None, clock: Clock) -> None:
    limit(40, Metric.OUTPUT_TOKENS, Window.TOTAL)
    limit(30, Metric.TOKENS, Window.TOTAL)
    limit(25, Metric.COST, Window.TOTAL)
    rich, poor = (Desk(factories.key(month_quota=to_usd(quota))) for quota in (1000, 19))
    admitted = poor.admit(prompt_bound=10, output_bound=100)
    assert (admitted.output_bound, admitted.is_limited, admitted.caps_tokens) == (9, True, True)
    poor.release(admitted)
    assert rich.admit(prompt_bound=10, output_bound=100).output_bound == 15
    with pytest.raises(LimitReached):
        rich.admit(prompt_bound=10, output_bound=100)


def test_what_can_not_be_cut_is_refused_whole(desk: Desk) -> None:
    limit(20, Metric.TOKENS, Window.TOTAL)
    with pytest.raises(LimitReached, match="this call may use 110 tokens"):
        desk.admit(prompt_bound=10, output_bound=100, can_lower_output=False)
    assert counts() in ([], [(0, 0)])


def test_each_of_several_answers_is_cut_alike(desk: Desk) -> None:
    limit(20, Metric.TOKENS, Window.TOTAL)
    assert desk.admit(prompt_bound=3, output_bound=30, choices=3).output_bound == 15
    with pytest.raises(LimitReached):
        desk.admit(prompt_bound=0, output_bound=30, choices=3)


def test_a_refusal_takes_nothing_of_any_limit(desk: Desk) -> None:
    limit(100, Metric.TOKENS, Window.TOTAL)
    limit(0, window=Window.TOTAL)
    with pytest.raises(LimitReached):
        desk.admit()
    assert not LimitCounter.objects.exclude(used=0, held=0).exists()
    assert ApiKey.objects.get().held == 0


def test_money_is_asked_for_before_limits(database: None, clock: Clock) -> None:
    limit(0)
    with pytest.raises(InsufficientQuota):
        Desk(factories.key(month_quota=Decimal(0))).admit()


# Places


def test_places_without_room_are_left_out_and_only_the_others_are_held(desk: Desk) -> None:
    first, second = (Provider.objects.create(name=name, base_url="http://127.0.0.1:9") for name in "ab")
    limit(0, subject=Subject.PROVIDER, provider=first)
    limit(5, Metric.TOKENS, Window.TOTAL, subject=Subject.PROVIDER)
    book = load_book()
    options = (option(book, first.pk), option(book, second.pk), option(book, second.pk, "n", is_first=False))
    admitted = desk.admit(options=options, deployment=options[0].deployment)
    assert [each.deployment.place for each in admitted.options] == [(second.pk, "m"), (second.pk, "n")]
    charge = Charge.objects.get()
    assert (charge.provider_id, [entry["member"] for entry in charge.limits]) == (second.pk, [str(second.pk)])
    desk.settle(admitted, 1, 1)
    assert counts(member=str(second.pk)) == [(2, 0)]
    assert audit() == []


def test_the_first_place_that_takes_a_shorter_answer_is_taken_when_none_takes_it_whole(desk: Desk) -> None:
    for number, most in ((1, 0), (2, 4), (3, 7)):
        Provider.objects.create(pk=number, name=str(number), base_url="http://127.0.0.1:9")
        limits.add(
            name=str(number), metric=Metric.OUTPUT_TOKENS, window=Window.DAY, most=most,
            subject=Subject.PROVIDER, provider_id=number,
        )  # fmt: skip
    book = load_book()
    admitted = desk.admit(options=tuple(option(book, number) for number in (1, 2, 3)), output_bound=10)
    assert ([each.deployment.provider_id for each in admitted.options], admitted.output_bound) == ([2], 4)


def test_a_place_that_is_only_for_failures_is_no_place_to_begin(desk: Desk) -> None:
    Provider.objects.create(pk=1, name="1", base_url="http://127.0.0.1:9")
    limit(0, subject=Subject.PROVIDER, provider_id=1)
    book = load_book()
    with pytest.raises(LimitReached):
        desk.admit(options=(option(book, 1), option(book, 2, is_first=False)))


# In the middle of a call


def test_a_limit_removed_meanwhile_does_not_stop_a_settlement(desk: Desk) -> None:
    row = limit(100, Metric.TOKENS, Window.TOTAL)
    first, second = desk.admit(), desk.admit()
    row.delete()
    assert desk.settle(first).fee == 2
    assert limits.prune() == 0  # somebody still holds it
    assert desk.settle(second).fee == 2
    assert limits.prune() == 1
    (entry,) = Charge.objects.get(request_id=first.request_id).limits
    assert (entry["name"], entry["used"]) == ("limit tokens", 2)
    assert audit() == []


def test_a_counter_that_is_gone_is_not_made_again(desk: Desk) -> None:
    row = limit(100, Metric.TOKENS, Window.TOTAL)
    admitted = desk.admit()
    desk.settle(admitted, outcome=Outcome.SERVER_STOPPED, usage_source=UsageSource.ESTIMATED)
    row.delete()
    limits.prune()
    assert desk.settle(admitted, 5, 5).fee == 10  # the process that a sweep took for dead lives
    assert not LimitCounter.objects.exclude(starts_at=NO_START, used=0).exists()
    assert audit() == []


@pytest.mark.parametrize("most", [5, 1000])
def test_a_limit_changed_meanwhile_settles_within_what_was_held(desk: Desk, most: int) -> None:
    row = limit(20, Metric.TOKENS, Window.TOTAL)
    admitted = desk.admit(prompt_bound=5, output_bound=10)
    row.most_count = most
    row.save()
    if most > 20:
        desk.admit(prompt_bound=5, output_bound=900)
    desk.settle(admitted, 5, 10)
    assert LimitCounter.objects.get().used == 15
    assert audit() == []


def test_an_edit_makes_calls_that_were_resolved_before_stale(desk: Desk) -> None:
    asked = desk.ask()
    limit(0)
    with pytest.raises(StaleResolution):
        desk.admit(asked)
    assert not LimitCounter.objects.exists()


def test_a_guess_of_the_sweep_is_undone_by_the_truth(desk: Desk) -> None:
    limit(100, Metric.TOKENS, Window.TOTAL)
    limit(100, Metric.COST, is_sliding=True)
    limit(3)
    admitted = desk.admit(prompt_bound=20, output_bound=20)
    desk.settle(admitted, 20, 1, outcome=Outcome.SERVER_STOPPED, usage_source=UsageSource.ESTIMATED)
    assert sorted(counts()) == [(1, 0), (21, 0), (21, 0)]
    assert audit() == []
    settled = desk.settle(admitted, 10, 5)
    assert sorted(counts()) == [(1, 0), (15, 0), (15, 0)]
    assert settled.fee == 15
    assert audit() == []


def test_a_dead_process_is_swept_from_what_its_charges_remember(desk: Desk) -> None:
    row = limit(1000, Metric.TOKENS, Window.TOTAL)
    limit(5, Metric.PARALLEL, Window.TOTAL)
    boot, namespace, _, _ = identity().rsplit("/", 3)
    Worker.objects.update(identity=f"{boot}/{namespace}/4194304/1")
    desk.admit(prompt_bound=40, output_bound=20)
    row.delete()
    assert sweep.sweep() == sweep.Swept(settled=1, released=0)
    assert sorted(counts()) == [(0, 0), (10, 0)]
    assert audit() == []


def test_settling_twice_counts_once(desk: Desk) -> None:
    limit(100, Metric.TOKENS, Window.TOTAL)
    admitted = desk.admit()
    desk.settle(admitted, 3, 4)
    desk.settle(admitted, 30, 40)
    assert counts() == [(7, 0)]


def test_one_batch_decides_in_the_order_of_arrival(desk: Desk) -> None:
    limit(2)
    limit(4, Metric.TOKENS, Window.TOTAL)
    results = Batch(connection, desk.worker.uuid).run([desk.ask() for _ in range(4)])
    assert [type(result).__name__ for result in results] == ["Admitted", "Admitted", "LimitReached", "LimitReached"]
    assert [result.headers.get("x-ratelimit-remaining-requests") for result in results] == ["1", "0", "0", "0"]  # type: ignore[union-attr]


# Notices


def test_each_threshold_is_noted_once_in_each_window(desk: Desk, clock: Clock) -> None:
    limit(10, Metric.TOKENS, thresholds=[50, 80, 100], action=Action.WARN)
    for _ in range(2):
        for _ in range(6):
            desk.settle(desk.admit(), 1, 1)
        clock.turn(60)
    noted = [(each.percent, each.used, each.starts_at) for each in LimitNotice.objects.order_by("id")]
    minute = NOON + timedelta(minutes=1)
    assert noted == [(50, 6, NOON), (80, 8, NOON), (100, 10, NOON), (50, 6, minute), (80, 8, minute), (100, 10, minute)]


def test_one_call_may_reach_several_thresholds(desk: Desk) -> None:
    limit(10, Metric.TOKENS, is_sliding=True, thresholds=[50, 80, 100])
    desk.settle(desk.admit(prompt_bound=5, output_bound=5), 5, 4)
    assert list(LimitNotice.objects.values_list("percent", "used")) == [(80, 9), (50, 9)]


def test_of_parallel_calls_what_is_held_counts_and_once_a_day(desk: Desk, clock: Clock) -> None:
    limit(2, Metric.PARALLEL, thresholds=[100], action=Action.WARN)
    for _ in range(2):
        for admitted in (desk.admit(), desk.admit()):
            desk.settle(admitted)
    assert LimitNotice.objects.count() == 1
    clock.turn(86_400)
    desk.admit()
    desk.admit()
    assert LimitNotice.objects.count() == 2
