"""Bots of a real gateway and a real worker: replays, how soon they answer, kill -9, and imports beside them."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.fakes import feishu
from tests.fakes.feishu import FakeFeishu, encrypted, message_event
from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway
from tests.served.workers.working import SlowLister, Tasks, Worker, declare, execute

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(300)]

JSON = dict[str, Any]

KEY = "an-encrypt-key"
ADDRESS = "/bot/feishu/helper/webhook/event"
OPEN = "SELECT count(*) FROM common_job WHERE kind = 'bot-answer' AND state IN ('queued', 'running')"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="module")
def platform() -> Iterator[FakeFeishu]:
    with FakeFeishu() as fake:
        yield fake


@pytest.fixture(scope="module", autouse=True)
def _bot(gateway: ServedGateway, tasks: Tasks, upstream: FakeOpenAI, platform: FakeFeishu) -> None:
    gateway.add_upstream(upstream, "echo", "slow")
    config = platform.config(tasks.headers["X-API-Key"], encryptKey=KEY)
    for name, model in (("helper", "echo"), ("slow", "slow")):
        body = {"name": name, "config": {**config, "modelId": model}}
        answer = requests.post(f"{gateway.url}/admin/bot/feishu/save", headers=tasks.headers, json=body, timeout=30)
        assert answer.status_code == 200, answer.text


@pytest.fixture(autouse=True)
def _afresh(platform: FakeFeishu) -> Iterator[None]:
    platform.cards.clear()
    yield
    assert not platform.violations


def tell(gateway: ServedGateway, id: str, bot: str = "helper", **fields: Any) -> requests.Response:
    raw = json.dumps(encrypted(message_event(id=id, **fields), KEY)).encode()
    headers = {"Content-Type": "application/json", **feishu.signed(raw, KEY)}
    return requests.post(f"{gateway.url}/bot/feishu/{bot}/webhook/event", raw, headers=headers, timeout=30)


def charges(gateway: ServedGateway) -> int:
    return int(gateway.rows("SELECT count(*) FROM accounts_charge")[0][0])


def wait_for(shown: Any, seconds: float = PATIENCE_SECONDS) -> float:
    """How long it took."""
    started = time.monotonic()
    while not shown():
        assert time.monotonic() - started < seconds
        time.sleep(0.01)
    return time.monotonic() - started


def test_an_event_replayed_fifty_times_at_once_is_answered_once_and_paid_once(
    gateway: ServedGateway, platform: FakeFeishu
) -> None:
    before = charges(gateway)
    raw = json.dumps(encrypted(message_event(id="ev_fifty"), KEY)).encode()
    headers = {"Content-Type": "application/json", **feishu.signed(raw, KEY)}

    def replay(_: int) -> tuple[int, JSON, float]:
        answer = requests.post(f"{gateway.url}{ADDRESS}", raw, headers=headers, timeout=30)
        return answer.status_code, answer.json(), answer.elapsed.total_seconds()

    with Worker(gateway), ThreadPoolExecutor(50) as at_once:
        answers = list(at_once.map(replay, range(50)))
        gateway.wait_for_rows(OPEN, [0])
        answers += [replay(0) for _ in range(3)]
        time.sleep(0.5)
        gateway.wait_for_rows(OPEN, [0])
    assert [answer[:2] for answer in answers] == [(200, {})] * 53
    assert len(platform.cards) == 1
    assert charges(gateway) == before + 1
    gateway.audit()


def test_the_gateway_answers_at_once_and_the_bot_soon_after(gateway: ServedGateway, platform: FakeFeishu) -> None:
    with Worker(gateway):
        tell(gateway, "ev_warm")
        wait_for(lambda: platform.cards)
        took, begun = [], []
        for number in range(4):
            answer = tell(gateway, f"ev_soon_{number}")
            took.append(answer.elapsed.total_seconds())
            begun.append(wait_for(lambda number=number: len(platform.cards) == number + 2))
        gateway.wait_for_rows(OPEN, [0])
    assert max(took) < 1
    assert sorted(begun)[1] < 1


def test_chats_wait_neither_for_each_other_nor_for_what_takes_long(
    gateway: ServedGateway, tasks: Tasks, platform: FakeFeishu
) -> None:
    with SlowLister("seer", seconds=6) as lister:
        declare(gateway, lister, "a slow one")
        execute(gateway, "UPDATE providers_provider SET is_enabled = true")
        execute(gateway, "UPDATE common_configversion SET number = number + 1")
        id = tasks.start("provider/check")
        with Worker(gateway):
            wait_for(lambda: tasks.row(id, "state") == ("running",))
            for number in range(4):
                tell(gateway, f"ev_both_{number}", bot="slow")
            wait_for(lambda: len(platform.cards) == 4, 4)
            wait_for(lambda: any(len(card) > 1 for card in platform.cards.values()), 4)
            assert tasks.row(id, "state") == ("running",)
            tasks.wait_for_end(id)
            gateway.wait_for_rows(OPEN, [0], 20)
    shown = tasks.ask("GET", "system/tasks").json()["data"]["tasks"]
    assert {task["kind"] for task in shown} == {"provider-check"}


def test_an_answer_that_a_killed_worker_left_is_given_by_another(gateway: ServedGateway, platform: FakeFeishu) -> None:
    before = charges(gateway)
    with Worker(gateway) as worker:
        tell(gateway, "ev_killed", bot="slow")
        wait_for(lambda: any(len(card) > 1 for card in platform.cards.values()))
        worker.kill()
    assert "tok9" not in platform.answers[0]["text"]
    with Worker(gateway):
        wait_for(lambda: platform.answers[0]["text"].endswith("tok9"))
        gateway.wait_for_rows(OPEN, [0])
    assert len(platform.cards) == 1
    assert charges(gateway) == before + 2  # what the first one had said is paid as well, and stands by itself
    gateway.manage("sweep_holds")
    gateway.audit()


def test_a_worker_that_is_told_to_end_hands_its_answers_back(gateway: ServedGateway, platform: FakeFeishu) -> None:
    with Worker(gateway) as worker:
        tell(gateway, "ev_ended", bot="slow")
        wait_for(lambda: any(len(card) > 1 for card in platform.cards.values()))
        worker.send(signal.SIGTERM)
        assert worker.process.wait(10) == 0
    assert gateway.rows("SELECT count(*) FROM accounts_charge WHERE state = 'held'") == [(0,)]
    with Worker(gateway):
        gateway.wait_for_rows(OPEN, [0], 20)
    assert platform.answers[0]["text"].endswith("tok9")
