"""Upstreams that die under load, over real sockets and several processes: no caller notices, nobody pays twice."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.conftest import database_url
from tests.served.gateway import ServedGateway

CONNECT_SECONDS = 1.0
HELLO = [{"role": "user", "content": "hi"}]


class Cluster:
    """A gateway with three deployments behind one name, each on a server of its own."""

    def __init__(self, gateway: ServedGateway, fakes: list[FakeOpenAI]) -> None:
        self.gateway, self.fakes = gateway, fakes
        for fake in fakes:
            gateway.add_upstream(fake, "echo")
        gateway.manage("shell", "-v0", "-c", f"Provider.objects.update(connect_timeout={CONNECT_SECONDS})")
        self.secret = gateway.create_key()

    def call(self, **fields: Any) -> tuple[float, str]:
        """Seconds, and what went wrong; empty: nothing."""
        started = time.monotonic()
        body = {"model": "echo", "messages": HELLO, "max_tokens": 5, **fields}
        headers = {"Authorization": f"Bearer {self.secret}"}
        url = f"{self.gateway.url}/v1/chat/completions"
        answer = requests.post(url, json=body, headers=headers, timeout=60)
        return time.monotonic() - started, wrong(answer, bool(fields.get("stream")))

    def load(self, calls: int, at_once: int = 16, **fields: Any) -> list[tuple[float, str]]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda _: self.call(**fields), range(calls)))

    def settled(self) -> list[tuple[Any, ...]]:
        return self.gateway.rows("SELECT state, outcome, fee, output_tokens, provider_name FROM accounts_charge")


def wrong(answer: requests.Response, is_stream: bool) -> str:
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text}"
    if is_stream:
        is_whole = answer.text.rstrip().endswith("data: [DONE]") and '"error"' not in answer.text
        return "" if is_whole and answer.text.count("tok4") == 1 else answer.text
    return "" if answer.json()["choices"][0]["message"]["content"] == "tok0 tok1 tok2 tok3 tok4" else answer.text


@pytest.fixture(params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with ExitStack() as stack:
        fakes = [stack.enter_context(FakeOpenAI()) for _ in range(3)]
        gateway = stack.enter_context(ServedGateway(database_url(request, request.param), WEB_WORKERS="2"))
        yield Cluster(gateway, fakes)


def p99(results: list[tuple[float, str]]) -> float:
    return statistics.quantiles((seconds for seconds, _ in results), n=100)[98]


def test_one_of_three_deployments_dies_under_load_and_no_caller_notices(cluster: Cluster) -> None:
    cluster.load(40)
    before = cluster.load(300)
    killer = threading.Timer(0.3, cluster.fakes[0].die)
    killer.start()
    after = cluster.load(600)
    killer.join()
    assert [problem for _, problem in before + after if problem] == []
    assert p99(after) <= p99(before) + CONNECT_SECONDS
    assert cluster.gateway.audit() == "The ledger is whole."
    rows = cluster.settled()
    assert len(rows) == 940
    assert {row[:4] for row in rows} == {("settled", "ok", 50_000_000, 5)}
    assert {row[4] for row in rows} == {f"fake {fake.port} echo" for fake in cluster.fakes}


def test_a_tenth_fails_at_random_under_100_parallel_streams(cluster: Cluster) -> None:
    for fake in cluster.fakes:
        fake.failure_rate = 0.1
    results = cluster.load(400, at_once=100, stream=True)
    assert [problem for _, problem in results if problem] == []
    assert sum(fake.failures for fake in cluster.fakes) >= 10
    assert cluster.gateway.audit() == "The ledger is whole."
    assert {row[:4] for row in cluster.settled()} == {("settled", "ok", 50_000_000, 5)}
    assert len(cluster.settled()) == 400


def test_what_one_process_learns_the_others_know(cluster: Cluster) -> None:
    cluster.fakes[0].die()
    cluster.load(60)
    cluster.gateway.wait_for_rows("SELECT COUNT(*) > 0 FROM providers_rest", [True])
    assert cluster.gateway.rows("SELECT code FROM providers_rest") == [("upstream_unavailable",)]


def test_an_upstream_that_comes_back_is_called_again(cluster: Cluster) -> None:
    dead = cluster.fakes[0]
    dead.die()
    cluster.load(30)
    with FakeOpenAI(dead.key, dead.port) as back:
        deadline = time.monotonic() + 20
        while not back.seen and time.monotonic() < deadline:
            assert [problem for _, problem in cluster.load(10) if problem] == []
            time.sleep(0.3)
        assert back.seen
