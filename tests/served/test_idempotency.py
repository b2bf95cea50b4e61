"""Idempotency-Key over real sockets, with two worker processes, on both databases; and as the official SDK sends it."""

import os
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import openai
import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import HELD, ServedGateway

HELLO = [{"role": "user", "content": "hi"}]
BODY = {"messages": HELLO, "max_tokens": 10}
FEE = 100_000_000  # 10 tokens at 1000 USD per million


@pytest.fixture(scope="module", autouse=True)
def _the_books_are_right(gateway: ServedGateway) -> Iterator[None]:
    yield
    gateway.wait_for_rows(HELD, [0])
    assert gateway.audit() == "The ledger is whole."


@pytest.fixture
def secret(gateway: ServedGateway) -> str:
    """A key that can pay."""
    return gateway.create_key("--quota", "100")


def call(gateway: ServedGateway, secret: str, key: str, model: str = "echo", **fields: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    url = f"{gateway.url}/v1/chat/completions"
    return requests.post(url, json={**BODY, "model": model, **fields}, headers=headers, timeout=60)


def charges(gateway: ServedGateway, secret: str) -> list[tuple[str, str, int]]:
    return gateway.rows(
        "SELECT c.state, c.outcome, c.fee FROM accounts_charge c JOIN accounts_apikey k ON k.id = c.key_id "
        f"WHERE k.prefix = '{secret[:10]}' ORDER BY c.id"
    )


def asked_of(fake: FakeOpenAI) -> int:
    return len([each for each in fake.seen if each.path.endswith("/chat/completions")])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["echo", "slow"])
def test_fifty_at_once_are_one_call_and_one_charge(
    gateway: ServedGateway, fake: FakeOpenAI, secret: str, model: str, stream: bool
) -> None:
    before, key = asked_of(fake), str(uuid4())
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: call(gateway, secret, key, model, stream=stream), range(50)))
    found = Counter(answer.status_code for answer in answers)
    assert set(found) <= {200, 409}
    assert found[200] >= 1
    texts = {answer.text for answer in answers if answer.status_code == 200}
    assert len(texts) == 1
    firsts = [each for each in answers if each.status_code == 200 and "idempotent-replayed" not in each.headers]
    assert len(firsts) == 1
    assert call(gateway, secret, key, model, stream=stream).text in texts
    assert asked_of(fake) == before + 1
    assert charges(gateway, secret) == [("settled", "ok", FEE)]


def test_each_of_many_keys_is_one_charge_whoever_comes_first(
    gateway: ServedGateway, fake: FakeOpenAI, secret: str
) -> None:
    before, keys = asked_of(fake), [f"{uuid4()}" for _ in range(20)]
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda key: call(gateway, secret, key), keys * 10))
    assert asked_of(fake) == before + len(keys)
    assert charges(gateway, secret) == [("settled", "ok", FEE)] * len(keys)


def test_retries_until_there_is_an_answer_are_charged_once(gateway: ServedGateway, secret: str) -> None:
    """As a client does it that is told to wait."""
    key = str(uuid4())

    def persist(_: int) -> str:
        while (answer := call(gateway, secret, key, "slow")).status_code == 409:
            time.sleep(0.1)
        return answer.text

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(persist, range(20)))) == 1
    assert charges(gateway, secret) == [("settled", "ok", FEE)]


def begun(gateway: ServedGateway, secret: str, key: str, model: str) -> socket.socket:
    """A client that reads until the first event is there."""
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "hi"}], "stream": true}' % model.encode()
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    seen = b""
    while b"tok" not in seen:
        piece = client.recv(4096)
        assert piece, seen
        seen += piece
    return client


def test_who_left_in_the_middle_calls_anew_and_pays_anew(gateway: ServedGateway, secret: str) -> None:
    key = str(uuid4())
    begun(gateway, secret, key, "slow-forever").close()
    gateway.wait_for_rows(HELD, [0])
    again = call(gateway, secret, key)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (200, False)
    assert [outcome for _, outcome, _ in charges(gateway, secret)] == ["client_closed", "ok"]


def test_a_call_that_was_killed_does_not_hold_its_key_for_a_day(gateway: ServedGateway, secret: str) -> None:
    key = str(uuid4())
    with begun(gateway, secret, key, "slow-forever"):
        for pid in gateway.worker_pids():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (again := persistently(gateway, secret, key)) is None or again.status_code == 409:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (200, False)
    gateway.wait_for_rows(HELD, [0])
    assert [outcome for _, outcome, _ in charges(gateway, secret)] == ["server_stopped", "ok"]
    assert call(gateway, secret, key).headers["idempotent-replayed"] == "true"


def persistently(gateway: ServedGateway, secret: str, key: str) -> requests.Response | None:
    """None while nobody listens."""
    try:
        return call(gateway, secret, key)
    except requests.RequestException:
        return None


@pytest.mark.parametrize("stream", [False, True])
def test_kill_9_at_any_moment_charges_no_delivered_answer_twice(
    gateway: ServedGateway, fake: FakeOpenAI, secret: str, stream: bool
) -> None:
    """Clients retry each key until they have a whole answer, while the workers are killed around them."""
    keys = [str(uuid4()) for _ in range(30)]

    def persist(key: str) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                answer = call(gateway, secret, key, "slow", stream=stream)
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.status_code == 200 and (answer.text.rstrip().endswith("data: [DONE]") or not stream):
                return answer.text
            time.sleep(0.1)
        raise AssertionError("no answer")

    with ThreadPoolExecutor(30) as pool:
        running = [pool.submit(persist, key) for key in keys]
        for _ in range(3):
            time.sleep(0.4)
            for pid in gateway.worker_pids():
                os.kill(pid, signal.SIGKILL)
        texts = [each.result() for each in running]
    gateway.wait_for_rows(HELD, [0])
    assert ["tok9" in text for text in texts] == [True] * len(keys)
    outcomes = Counter(outcome for _, outcome, _ in charges(gateway, secret))
    assert outcomes["ok"] == len(keys), outcomes
    kept = gateway.rows("SELECT request_id FROM chat_idempotentcall WHERE status IS NOT NULL")
    paid = gateway.rows("SELECT request_id FROM accounts_charge WHERE outcome = 'ok'")
    assert {row[0] for row in kept} <= {row[0] for row in paid}
    before = asked_of(fake)
    assert [call(gateway, secret, key, "slow", stream=stream).text for key in keys] == texts
    assert asked_of(fake) == before


@pytest.mark.parametrize("gateway", ["sqlite"], indirect=True)  # no other database has one lock for all
def test_who_waits_for_sqlites_lock_keeps_nobody_else_waiting(gateway: ServedGateway, secret: str) -> None:
    assert call(gateway, secret, str(uuid4())).status_code == 200
    other = sqlite3.connect(gateway.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(call, gateway, secret, str(uuid4())) for _ in range(8)]
        time.sleep(0.2)
        seconds = [requests.get(f"{gateway.url}/health", timeout=5).elapsed.total_seconds() for _ in range(20)]
        assert not any(each.done() for each in waiting)
        other.execute("ROLLBACK")
        assert [each.result().status_code for each in waiting] == [200] * 8
    assert max(seconds) < 1, seconds


class TestSDK:
    @pytest.fixture
    def sdk(self, gateway: ServedGateway, secret: str) -> Iterator[openai.OpenAI]:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=2, timeout=20) as client:
            yield client

    def test_it_sends_a_key_that_it_is_given(self, gateway: ServedGateway, secret: str, sdk: openai.OpenAI) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        first, again = (
            sdk.chat.completions.with_raw_response.create(model="echo", messages=HELLO, extra_headers=headers)  # type: ignore[arg-type]  # plain dicts
            for _ in range(2)
        )
        assert again.parse() == first.parse()
        assert again.headers["idempotent-replayed"] == "true"
        assert len(charges(gateway, secret)) == 1

    def test_it_reads_a_stream_again(self, gateway: ServedGateway, secret: str, sdk: openai.OpenAI) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        chunks = [
            list(sdk.chat.completions.create(model="echo", messages=HELLO, stream=True, extra_headers=headers))  # type: ignore[call-overload]  # plain dicts
            for _ in range(2)
        ]
        assert chunks[0] == chunks[1]
        assert len(chunks[0]) > 5
        assert len(charges(gateway, secret)) == 1

    def test_it_waits_for_the_first_answer(self, gateway: ServedGateway, secret: str, sdk: openai.OpenAI) -> None:
        """It comes back after the seconds that a 409 says."""
        headers = {"Idempotency-Key": str(uuid4())}

        def ask(_: int) -> str:
            answer = sdk.chat.completions.create(model="slow", messages=HELLO, extra_headers=headers)  # type: ignore[arg-type]  # plain dicts
            return str(answer.choices[0].message.content)

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(ask, range(4)))) == 1
        assert len(charges(gateway, secret)) == 1

    def test_it_says_that_a_key_was_used_for_something_else(self, sdk: openai.OpenAI) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        sdk.chat.completions.create(model="echo", messages=HELLO, extra_headers=headers)  # type: ignore[arg-type]  # plain dicts
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            sdk.chat.completions.create(model="echo", messages=HELLO, max_tokens=2, extra_headers=headers)  # type: ignore[arg-type]  # plain dicts
        assert refused.value.code == "idempotency_key_reused"
