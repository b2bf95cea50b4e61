"""Workers tell of limits that are reached: each notice once, whatever happens to them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml

from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook import SECRET, Receiver
from tests.served.gateway import ServedGateway
from tests.served.workers.working import Tasks, Worker, execute

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(200)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as fake:
        yield fake
        assert not fake.violations


def declare(gateway: ServedGateway, receiver: Receiver, count: int = 1, **fields: Any) -> None:
    """Limits of all requests, in place of those that there are."""
    (gateway.folder / "hook").write_text(SECRET)
    told = {"notify_url": receiver.url, "secret": f"file:{gateway.folder / 'hook'}"}
    usual = {"subject": "everyone", "metric": "requests", "window": "total", "most_count": 1, **told, **fields}
    file = gateway.folder / "limits.yaml"
    rows = [{"name": f"{time.monotonic()} {number}", **usual} for number in range(count)]
    file.write_text(yaml.safe_dump({"version": 1, "limits": rows}))
    gateway.manage("import_config", str(file), "--prune")


def call(gateway: ServedGateway, tasks: Tasks) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    answer = requests.post(f"{gateway.url}/v1/chat/completions", headers=tasks.headers, json=body, timeout=30)
    assert answer.status_code == 200, answer.text


def wait_until(gateway: ServedGateway, query: str, wanted: int, seconds: float = 30) -> None:
    gateway.wait_for_rows(query, [wanted], seconds)


@pytest.fixture(scope="module")
def echo(gateway: ServedGateway) -> Iterator[None]:
    with FakeOpenAI() as fake:
        gateway.add_upstream(fake, "echo")
        yield


def test_what_calls_reach_is_told_by_the_worker(
    gateway: ServedGateway, tasks: Tasks, receiver: Receiver, echo: None
) -> None:
    declare(gateway, receiver, most_count=4, action="warn", thresholds=[50, 100, 150])
    with Worker(gateway):
        for _ in range(5):
            call(gateway, tasks)
        wait_until(gateway, "SELECT count(*) FROM accounts_limitnotice WHERE told_at IS NOT NULL", 2)
        time.sleep(3)  # another look
    assert sorted((body["percent"], body["used"]) for body in receiver.bodies) == [(50, 2), (100, 4)]
    assert len(receiver.ids) == 2


def test_of_two_workers_one_tells_each(gateway: ServedGateway, tasks: Tasks, receiver: Receiver, echo: None) -> None:
    receiver.seconds = 0.3
    declare(gateway, receiver, 10)
    call(gateway, tasks)
    with Worker(gateway), Worker(gateway):
        wait_until(gateway, "SELECT count(*) FROM accounts_limitnotice WHERE told_at IS NOT NULL", 20)
    assert len(receiver.ids) == len(set(receiver.ids)) == 20
    assert gateway.rows("SELECT DISTINCT attempts FROM accounts_limitnotice") == [(1,)]


def test_a_worker_that_is_killed_while_it_tells_leaves_nothing_untold(
    gateway: ServedGateway, tasks: Tasks, receiver: Receiver, echo: None
) -> None:
    receiver.seconds = 1
    declare(gateway, receiver, 3, thresholds=[100])
    call(gateway, tasks)
    with Worker(gateway) as worker:
        deadline = time.monotonic() + 30
        while len(receiver.accepted) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.kill()
    execute(gateway, "UPDATE accounts_limitnotice SET due_at = created_at WHERE due_at IS NOT NULL")
    with Worker(gateway):
        wait_until(gateway, "SELECT count(*) FROM accounts_limitnotice WHERE told_at IS NOT NULL", 3)
    assert len(receiver.accepted) == 3
    assert len(receiver.replays) <= 1
