"""Limits under races, over real sockets, with two worker processes, on both databases."""

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.conftest import database_url
from tests.served.gateway import HELD, ServedGateway
from tests.served.test_races import burst, call
from tests.served.test_redis import redis_server

__all__ = ["redis_server"]


def limit(gateway: ServedGateway, secret: str, metric: str, most: str, *flags: str) -> str:
    """A limit on that key; answers its name."""
    name = f"{metric} {uuid4().hex[:8]}"
    gateway.manage("set_limit", name, "--key", secret[:10], "--metric", metric, "--most", most, *flags)
    return name


def counters(gateway: ServedGateway, name: str) -> list[tuple[int, int]]:
    """(used, held) of all its windows."""
    of = f"limit_id = (SELECT id FROM accounts_limit WHERE name = '{name}')"
    return gateway.rows(f"SELECT SUM(used), SUM(held) FROM accounts_limitcounter WHERE {of}")


TOTAL, SLIDES = ("--window", "total"), ("--window", "month", "--sliding")


@pytest.mark.parametrize(
    ("window", "metric", "most", "used"),
    [
        (TOTAL, "requests", "50", 50),
        (TOTAL, "cost", "0.5", 5_000_000_000),
        (TOTAL, "output_tokens", "500", 500),
        (SLIDES, "output_tokens", "500", 500),
    ],
)
def test_200_parallel_calls_take_exactly_what_a_limit_allows(
    gateway: ServedGateway, window: tuple[str, ...], metric: str, most: str, used: int
) -> None:
    secret = gateway.create_key()
    name = limit(gateway, secret, metric, most, *window)
    statuses = [answer.status_code for answer in burst(gateway, secret, 200)]
    assert (statuses.count(200), statuses.count(429)) == (50, 150)
    assert counters(gateway, name) == [(used, 0)]
    assert gateway.audit() == "The ledger is whole."


def test_200_parallel_calls_never_use_more_tokens_than_a_limit_allows(gateway: ServedGateway) -> None:
    secret = gateway.create_key()
    name = limit(gateway, secret, "tokens", "1000", "--window", "total")
    statuses = [answer.status_code for answer in burst(gateway, secret, 200)]
    while (last := call(gateway, secret)).status_code == 200:
        statuses.append(200)
    assert "left: " in last.json()["error"]["message"]
    ((used, held),) = counters(gateway, name)
    assert 850 < used <= 1000
    assert (held, set(statuses)) == (0, {200, 429})
    assert gateway.audit() == "The ledger is whole."


def test_no_more_calls_run_at_a_time_than_a_limit_allows(gateway: ServedGateway) -> None:
    secret = gateway.create_key()
    name = limit(gateway, secret, "parallel", "5")
    answers = burst(gateway, secret, 60, model="slow", max_tokens=4)
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "Wait until one of the running calls has ended." in refused.json()["error"]["message"]
    assert counters(gateway, name) == [(0, 0)]
    assert gateway.audit() == "The ledger is whole."


def test_a_minutes_requests_hold_exactly_for_streams_over_all_keys_of_a_group(gateway: ServedGateway) -> None:
    """Everyone's limit is one row for both workers and all keys."""
    secrets = [gateway.create_key() for _ in range(3)]
    gateway.manage("set_limit", "everyone", "--everyone", "--metric", "requests", "--window", "day", "--most", "30")
    try:
        with ThreadPoolExecutor(48) as pool:
            turns = [secrets[number % 3] for number in range(90)]
            statuses = list(pool.map(lambda secret: call(gateway, secret, stream=True).status_code, turns))
        assert statuses.count(200) == 30
        assert gateway.audit() == "The ledger is whole."
    finally:
        gateway.manage("shell", "-v0", "-c", "Limit.objects.filter(name='everyone').delete()")


def test_a_limit_that_is_made_changed_and_removed_meanwhile_holds_for_the_next_call(gateway: ServedGateway) -> None:
    secret = gateway.create_key()
    stop = threading.Event()

    def go_on() -> list[int]:
        statuses = []
        while not stop.is_set():
            statuses.append(call(gateway, secret).status_code)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(go_on) for _ in range(8)]
        name = limit(gateway, secret, "requests", "20", "--window", "total")
        limit(gateway, secret, "cost", "100", "--window", "hour", "--sliding")
        time.sleep(1)
        ((used, held),) = counters(gateway, name)
        assert (used, held) == (20, 0)
        gateway.manage(
            "set_limit", name, "--key", secret[:10], "--metric", "requests", "--window", "total", "--most", "25"
        )
        time.sleep(1)
        assert counters(gateway, name) == [(25, 0)]
        gateway.manage("shell", "-v0", "-c", f"Limit.objects.filter(name='{name}').delete()")
        time.sleep(0.5)
        stop.set()
        statuses = {status for each in running for status in each.result()}
    assert statuses == {200, 429}
    assert call(gateway, secret).status_code == 200
    assert gateway.audit() == "The ledger is whole."


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_9_leaves_nothing_held_of_any_limit(request: pytest.FixtureRequest, fake: FakeOpenAI, kind: str) -> None:
    with ServedGateway(database_url(request, kind), WEB_WORKERS="2") as gateway:
        gateway.add_upstream(fake, "echo", "hang")
        secret = gateway.create_key()
        names = [
            limit(gateway, secret, "parallel", "10"),
            limit(gateway, secret, "requests", "12", "--window", "day"),
            limit(gateway, secret, "tokens", "20000", "--window", "hour", "--sliding"),
            limit(gateway, secret, "cost", "5"),
        ]
        with ThreadPoolExecutor(16) as pool:
            before = len(fake.seen)
            calls = [pool.submit(_cut_off, gateway, secret) for _ in range(16)]
            gateway.wait_for_rows(HELD, [10])
            wait_until(lambda: len(fake.seen) == before + 10 and sum(each.done() for each in calls) == 6)
            gateway.kill()
            refused = [each.result() for each in calls].count(429)
        assert refused == 6
        gateway.start()
        gateway.wait_for_rows(HELD, [0])
        assert [counters(gateway, name)[0][1] for name in names] == [0, 0, 0, 0]
        assert counters(gateway, names[1]) == [(10, 0)]  # they had been sent
        assert gateway.audit() == "The ledger is whole."
        statuses = [call(gateway, secret).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert gateway.audit() == "The ledger is whole."


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _cut_off(gateway: ServedGateway, secret: str) -> int:
    try:
        return call(gateway, secret, model="hang").status_code
    except requests.RequestException:
        return 0


def test_nobody_notices_when_redis_stops(
    redis_server: tuple[subprocess.Popen[bytes], int], request: pytest.FixtureRequest, fake: FakeOpenAI
) -> None:
    """Limits are the database's, with Redis and without: under load, to the last request."""
    process, port = redis_server
    url = database_url(request, "postgresql")
    with ServedGateway(url, WEB_WORKERS="2", REDIS_URL=f"redis://127.0.0.1:{port}/0") as gateway:
        gateway.add_upstream(fake, "echo")
        secret = gateway.create_key()
        names = [
            limit(gateway, secret, "requests", "300", "--window", "total"),
            limit(gateway, secret, "tokens", "1000000", "--window", "minute"),
            limit(gateway, secret, "parallel", "64"),
        ]
        with ThreadPoolExecutor(32) as pool:
            calls = [pool.submit(_timed, gateway, secret) for _ in range(400)]
            while sum(each.done() for each in calls) < 100:
                time.sleep(0.01)
            process.kill()
            process.wait(10)
            answers = [each.result() for each in calls]
        statuses = [status for status, _ in answers]
        assert (statuses.count(200), statuses.count(429)) == (300, 100)
        assert max(seconds for _, seconds in answers) < 5
        assert counters(gateway, names[0]) == [(300, 0)]
        assert gateway.audit() == "The ledger is whole."


def _timed(gateway: ServedGateway, secret: str) -> tuple[int, float]:
    started = time.monotonic()
    status = call(gateway, secret).status_code
    return status, time.monotonic() - started
