"""What goes wrong on the way: the caller hears it, the upstream is let go, the ledger stays whole. Real sockets."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.conftest import MODELS, database_url
from tests.served.gateway import HELD, ServedGateway

LAST = "FROM accounts_charge ORDER BY id DESC LIMIT 1"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, fake: FakeOpenAI) -> Iterator[tuple[ServedGateway, str]]:
    """A gateway with one worker, and a key with plenty."""
    with ServedGateway(database_url(request, request.param), SHUTDOWN_SECONDS="4") as gateway:
        gateway.add_upstream(fake, *MODELS, price_in="1")
        gateway.manage(
            "shell", "-v0", "-c", "Provider.objects.update(first_byte_timeout=1, idle_timeout=1, total_timeout=30)"
        )
        yield gateway, gateway.create_key("--quota", "100")


@pytest.fixture(autouse=True)
def _ledger_stays_whole(served: tuple[ServedGateway, str], fake: FakeOpenAI) -> Iterator[None]:
    fake.count_anew()
    yield
    gateway, _ = served
    gateway.wait_for_rows(HELD, [0])
    assert gateway.rows("SELECT SUM(held) FROM accounts_apikey") == [(0,)]
    assert gateway.audit() == "The ledger is whole."


def post(served: tuple[ServedGateway, str], model: str, **fields: Any) -> requests.Response:
    gateway, secret = served
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
    headers = {"Authorization": f"Bearer {secret}"}
    return requests.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30, stream=True)


class RawClient:
    """A client that can leave whenever it likes."""

    def __init__(self, served: tuple[ServedGateway, str], model: str, **fields: Any) -> None:
        gateway, secret = served
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        self.socket.sendall(head.encode() + body)

    def read_until(self, text: bytes) -> bytes:
        data = b""
        while text not in data:
            piece = self.socket.recv(4096)
            assert piece, data
            data += piece
        return data

    def leave(self) -> None:
        self.socket.close()


def charge(gateway: ServedGateway, columns: str) -> tuple[Any, ...]:
    return gateway.rows(f"SELECT {columns} {LAST}")[0]


def test_an_upstream_that_never_answers_is_a_504_and_free(served: tuple[ServedGateway, str], fake: FakeOpenAI) -> None:
    answer = post(served, "hang")
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "upstream_timeout"
    assert fake.wait_until("closed_early")
    assert charge(served[0], "state, outcome, fee") == ("released", "upstream_error", 0)


def test_a_stream_that_falls_silent_ends_with_an_error_event_and_is_billed_for_what_came(
    served: tuple[ServedGateway, str], fake: FakeOpenAI
) -> None:
    answer = post(served, "hang-midstream", stream=True)
    assert answer.status_code == 200
    events = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-2][6:])["error"]["code"] == "upstream_timeout"
    assert events[-1] == "data: [DONE]"
    assert fake.wait_until("closed_early")
    state, outcome, source, fee = charge(served[0], "state, outcome, usage_source, fee")
    assert (state, outcome, source) == ("settled", "upstream_error", "estimated")
    assert fee > 0


def test_a_stream_that_is_cut_ends_with_an_error_event(served: tuple[ServedGateway, str]) -> None:
    answer = post(served, "cut", stream=True)
    events = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-2][6:])["error"]["code"] == "upstream_bad_answer"
    assert charge(served[0], "outcome, usage_source") == ("upstream_error", "estimated")


def test_a_client_that_leaves_before_the_first_byte_cancels_the_upstream(
    served: tuple[ServedGateway, str], fake: FakeOpenAI
) -> None:
    gateway, _ = served
    gateway.manage("shell", "-v0", "-c", "Provider.objects.update(first_byte_timeout=20)")
    client = RawClient(served, "hang")
    gateway.wait_for_rows("SELECT state " + LAST, ["held"])
    time.sleep(0.2)
    client.leave()
    assert fake.wait_until("closed_early", seconds=3)
    gateway.wait_for_rows("SELECT outcome " + LAST, ["client_closed"])
    gateway.manage("shell", "-v0", "-c", "Provider.objects.update(first_byte_timeout=1)")
    state, source, prompt, answer_tokens = charge(gateway, "state, usage_source, input_tokens, output_tokens")
    assert (state, source, answer_tokens) == ("settled", "estimated", 0)
    assert prompt > 0


def test_a_client_that_leaves_mid_stream_pays_for_what_it_got(
    served: tuple[ServedGateway, str], fake: FakeOpenAI
) -> None:
    client = RawClient(served, "slow-forever", stream=True)
    client.read_until(b"data: ")
    time.sleep(0.3)
    client.leave()
    assert fake.wait_until("closed_early", seconds=5)
    served[0].wait_for_rows("SELECT outcome " + LAST, ["client_closed"])
    source, tokens, fee = charge(served[0], "usage_source, output_tokens, fee")
    assert source == "estimated"
    assert tokens > 0
    assert fee > 0


def test_a_client_that_leaves_after_the_last_event_pays_the_reported_price(
    served: tuple[ServedGateway, str],
) -> None:
    client = RawClient(served, "echo", stream=True, max_tokens=5)
    client.read_until(b"[DONE]")
    client.leave()
    served[0].wait_for_rows("SELECT outcome " + LAST, ["ok"])
    assert charge(served[0], "usage_source, output_tokens") == ("reported", 5)


def test_a_client_that_stops_reading_holds_nothing_up(served: tuple[ServedGateway, str]) -> None:
    slow = RawClient(served, "slow-forever", stream=True)
    assert post(served, "echo").status_code == 200
    slow.leave()


def test_sigterm_lets_running_streams_finish_and_takes_no_new_calls(served: tuple[ServedGateway, str]) -> None:
    gateway, _ = served
    seen: list[str] = []

    def read() -> None:
        seen.append(post(served, "slow", stream=True, max_tokens=10).text)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    gateway.wait_for_rows(HELD, [8])
    gateway.stop()
    for reader in readers:
        reader.join(10)
    assert [text.rstrip().endswith("data: [DONE]") for text in seen] == [True] * 8
    assert not any('"error"' in text for text in seen)
    assert gateway.rows(HELD) == [(0,)]
    gateway.start()


def test_a_stream_that_outlasts_the_shutdown_is_settled_all_the_same(served: tuple[ServedGateway, str]) -> None:
    gateway, _ = served
    client = RawClient(served, "slow-forever", stream=True)
    client.read_until(b"data: ")
    gateway.stop()
    client.leave()
    gateway.start()
    gateway.wait_for_rows("SELECT state " + LAST, ["settled"])
    assert charge(gateway, "output_tokens")[0] > 0


def test_kill_9_loses_no_hold_and_the_next_start_settles_them(served: tuple[ServedGateway, str]) -> None:
    gateway, _ = served
    clients = [RawClient(served, "slow-forever", stream=True) for _ in range(10)]
    for client in clients:
        client.read_until(b"data: ")
    time.sleep(0.5)
    gateway.kill()
    assert gateway.rows(HELD) == [(10,)]
    gateway.start()
    gateway.wait_for_rows(HELD, [0])
    swept = gateway.rows(
        "SELECT outcome, usage_source, output_tokens, fee FROM accounts_charge ORDER BY id DESC LIMIT 10"
    )
    assert {row[:2] for row in swept} == {("server_stopped", "estimated")}
    assert all(tokens >= 5 and fee > 0 for _, _, tokens, fee in swept)


def test_sweep_holds_settles_what_a_killed_worker_left_while_the_others_serve(
    served: tuple[ServedGateway, str],
) -> None:
    gateway, _ = served
    client = RawClient(served, "slow-forever", stream=True)
    client.read_until(b"data: ")
    gateway.kill()
    shown = json.loads(gateway.manage("sweep_holds", "--json").stdout)
    assert shown == {"settled": 1, "released": 0}
    assert json.loads(gateway.manage("sweep_holds", "--json").stdout) == {"settled": 0, "released": 0}
    gateway.start()
