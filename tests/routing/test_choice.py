"""Who comes first among deployments that all could answer."""

import time
from collections import Counter
from decimal import Decimal

import pytest

from accounts.services import keys
from chat.services import snapshot
from providers.models import Load, ProviderKey, Strategy
from providers.services import board_sync
from providers.services.board import Board, board
from tests import factories
from tests.routing.conftest import Routes, pass_time

CALLS = 60


def shares(routes: Routes, calls: int = CALLS, **fields: object) -> Counter[str]:
    return Counter(routes.served_by(max_tokens=1, **fields) for _ in range(calls))


def test_weights_share_the_calls(routes: Routes) -> None:
    routes.deployment("a", weight=3)
    routes.deployment("b", weight=1)
    counted = shares(routes, 120)
    assert 70 <= counted["a"] <= 108  # 90 expected; four standard deviations are 19
    assert counted["a"] + counted["b"] == 120


def test_weight_0_is_the_last_resort(routes: Routes) -> None:
    routes.deployment("a", weight=0)
    routes.deployment("b", weight=1)
    assert shares(routes, 20) == {"b": 20}
    routes.fakes["b"].mishap(500)
    assert routes.served_by() == "a"


def test_priority_comes_before_everything(routes: Routes) -> None:
    routes.deployment("a", priority=1, weight=100, strategy=Strategy.LOWEST_COST, price_in=0, price_out=0)
    routes.deployment("b", priority=0, weight=1)
    assert shares(routes, 10) == {"b": 10}


def test_the_cheapest_first(routes: Routes) -> None:
    for name, price in (("a", 3), ("b", 1), ("c", 2)):
        routes.deployment(name, strategy=Strategy.LOWEST_COST, price_out=Decimal(price))
    assert shares(routes, 10) == {"b": 10}


def test_what_has_no_price_is_not_the_cheapest(routes: Routes) -> None:
    routes.deployment("a", strategy=Strategy.LOWEST_COST, price_in=None, price_out=None)
    routes.deployment("b", strategy=Strategy.LOWEST_COST, price_out=Decimal(5000))
    assert shares(routes, 5) == {"b": 5}


def test_the_quickest_first_once_everybody_was_asked(routes: Routes) -> None:
    routes.deployment("a", upstream_name="slow", strategy=Strategy.LOWEST_LATENCY)
    routes.deployment("b", strategy=Strategy.LOWEST_LATENCY)
    counted = shares(routes, 12)
    assert counted["a"] == 1
    assert counted["b"] == 11


def test_the_least_busy_first(routes: Routes) -> None:
    busy = routes.deployment("a", strategy=Strategy.LEAST_BUSY)
    routes.deployment("b", strategy=Strategy.LEAST_BUSY)
    routes.served_by()
    board().traffic_of_model(busy.pk).running = 3
    assert shares(routes, 10) == {"b": 10}


def test_what_other_processes_send_counts_as_busy(routes: Routes) -> None:
    busy = routes.deployment("a", strategy=Strategy.LEAST_BUSY)
    routes.deployment("b", strategy=Strategy.LEAST_BUSY)
    shares(routes, 8)
    other = Board()
    other.shared.add(busy.pk)
    other.traffic_of_model(busy.pk).running = 5
    board_sync.Exchange(other).run()
    assert Load.objects.filter(model=busy, running=5).exists()
    board_sync.Exchange(board()).run()
    assert shares(routes, 10) == {"b": 10}


def test_a_session_keeps_to_its_deployment(routes: Routes) -> None:
    for name in ("a", "b", "c"):
        routes.deployment(name, strategy=Strategy.STICKY)
    homes = {
        session: {routes.served_by(headers={"session-id": session}) for _ in range(4)}
        for session in map(str, range(12))
    }
    assert all(len(home) == 1 for home in homes.values())
    assert len({next(iter(home)) for home in homes.values()}) == 3  # and not all sessions to the same one


def test_a_session_moves_only_while_its_deployment_rests(routes: Routes) -> None:
    for name in ("a", "b"):
        routes.deployment(name, strategy=Strategy.STICKY)
    session = {"session-id": "s"}
    home = routes.served_by(headers=session)
    routes.fakes[home].mishap(500)
    assert routes.served_by(headers=session) != home
    for subject in list(board().rests):
        pass_time(subject)
    assert routes.served_by(headers=session) == home


def test_a_providers_keys_share_the_calls_by_weight(routes: Routes) -> None:
    provider = routes.upstream("a")
    factories.model(provider)
    fake = routes.fakes["a"]
    fake.other_keys.add("sk-fake-second")
    ProviderKey.objects.create(provider=provider, name="second", secret="sk-fake-second", weight=3)
    shares(routes, 80)
    used = Counter(each.headers["Authorization"] for each in fake.seen)
    assert 42 <= used["Bearer sk-fake-second"] <= 76  # 60 expected
    assert sum(used.values()) == 80


# Ceilings


def test_calls_beyond_a_ceiling_go_elsewhere(routes: Routes) -> None:
    routes.deployment("a", priority=0, max_rpm=3)
    routes.deployment("b", priority=1)
    _early_in_a_minute()
    assert [routes.served_by() for _ in range(5)] == ["a"] * 3 + ["b"] * 2


def test_when_all_are_at_their_ceiling_the_caller_is_told_when_to_come_back(routes: Routes) -> None:
    routes.deployment("a", max_rpm=1)
    _early_in_a_minute()
    routes.served_by()
    answer = routes.chat()
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert routes.calls("a") == 1


def test_tokens_count_by_what_was_used(routes: Routes) -> None:
    routes.deployment("a", max_tpm=300, priority=0)
    routes.deployment("b", priority=1)
    _early_in_a_minute()
    # 250 expected beside the prompt, 10 and 1 used: the next one fits again.
    assert [routes.served_by(max_tokens=250) for _ in range(3)] == ["a"] * 3
    assert routes.served_by(max_tokens=290) == "b"


def test_a_call_larger_than_the_ceiling_is_not_told_to_wait(routes: Routes) -> None:
    routes.deployment("a", max_tpm=100)
    answer = routes.chat(max_tokens=200)
    assert answer.status_code == 502
    assert "retry-after" not in answer.headers
    assert "at most 100 tokens" in answer.json()["error"]["message"]


def test_a_minute_that_is_over_takes_nothing_from_the_next(routes: Routes) -> None:
    model = routes.deployment("a", max_tpm=1000)
    target = snapshot.fresh().named(keys.caller_of(routes.key.key), "llm", "echo")[0]
    minute = board().begin(target, 500)
    board().end(target, minute - 1, 500, 10)  # it had begun a minute ago
    assert board().traffic_of_model(model.pk).tokens == 500


def test_parallel_calls_are_counted_while_they_run(routes: Routes) -> None:
    routes.deployment("a", max_parallel=1, priority=0)
    routes.deployment("b", priority=1)
    first = routes.chat(stream=True)
    assert routes.served_by() == "b"
    assert first.getvalue()
    first.close()
    assert routes.served_by() == "a"


def test_what_other_processes_send_counts_for_the_ceiling(routes: Routes) -> None:
    model = routes.deployment("a", max_rpm=5, priority=0)
    routes.deployment("b", priority=1)
    _early_in_a_minute()
    routes.served_by()
    other = Board()
    other.shared.add(model.pk)
    other.traffic_of_model(model.pk).requests = 4
    board_sync.Exchange(other).run()
    board_sync.Exchange(board()).run()
    assert routes.served_by() == "b"


def _early_in_a_minute() -> None:
    """A ceiling a minute is counted by the clock's minutes: don't begin in the last seconds of one."""
    left = 60 - time.time() % 60
    if left < 8:
        time.sleep(left + 0.1)


# Hedging


def test_a_second_deployment_is_asked_when_the_first_is_slower_than_usual(routes: Routes) -> None:
    usual = routes.deployment("a", upstream_name="hang", priority=0, is_hedged=True)
    routes.deployment("b", priority=1)
    board().traffic_of_model(usual.pk).first_bytes_ms.extend([50] * 30)
    started = time.monotonic()
    answer = routes.chat(max_tokens=2)
    assert answer.status_code == 200
    assert answer.headers["x-weighbridge-route"].endswith("@b")
    assert time.monotonic() - started < 3
    assert routes.fakes["a"].wait_until("closed_early")  # the loser is told to stop
    assert routes.key.key.charges.count() == 1
    assert routes.key.key.charges.get().provider_name == "b"


def test_one_slow_answer_is_not_held_against_a_deployment_for_ever(routes: Routes) -> None:
    slow = routes.deployment("a", strategy=Strategy.LOWEST_LATENCY)
    routes.deployment("b", strategy=Strategy.LOWEST_LATENCY)
    shares(routes, 4)
    traffic = board().traffic_of_model(slow.pk)
    traffic.latency_ms = 60_000
    assert shares(routes, 6) == {"b": 6}
    traffic.answered_at -= 600
    assert shares(routes, 1) == {"a": 1}
    assert traffic.latency_ms < 10_000
    traffic.answered_at -= 600
    traffic.running = 1  # somebody else is finding out
    assert shares(routes, 3) == {"b": 3}


def test_nobody_is_hedged_before_it_is_known_what_is_usual(routes: Routes) -> None:
    routes.deployment("a", upstream_name="slow", priority=0, is_hedged=True)
    routes.deployment("b", priority=1)
    assert routes.served_by() == "a"
    assert routes.calls("b") == 0


def test_a_hedged_stream_comes_from_one_deployment_alone(routes: Routes) -> None:
    usual = routes.deployment("a", upstream_name="hang", priority=0, is_hedged=True)
    routes.deployment("b", priority=1)
    board().traffic_of_model(usual.pk).first_bytes_ms.extend([50] * 30)
    text = routes.chat(stream=True, max_tokens=4).getvalue().decode()
    assert [text.count(f"tok{index}") for index in range(4)] == [1] * 4


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_runs_any_more_when_a_call_is_over(routes: Routes, stream: bool) -> None:
    model = routes.deployment("a")
    answer = routes.chat(stream=stream)
    assert b"".join(answer) if stream else answer.content
    answer.close()
    assert board().traffic_of_model(model.pk).running == 0
