"""Bodies over real sockets: large, slow, in chunks, broken. Whoever is refused hears why."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway

GOOD = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}).encode()
LARGE = GOOD[:-1] + b', "padding": "' + b"x" * 25_000_000 + b'"}'


@pytest.fixture(scope="module")
def served(fake: FakeOpenAI) -> Iterator[ServedGateway]:
    with ServedGateway(BODY_SECONDS="2") as gateway:
        gateway.add_upstream(fake, "echo")
        yield gateway
        assert gateway.audit() == "The ledger is whole."


@pytest.fixture(scope="module")
def secret(served: ServedGateway) -> str:
    return served.create_key()


def post(served: ServedGateway, secret: str, data: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}"}
    return requests.post(f"{served.url}/v1/chat/completions", data=data, headers=headers, timeout=20)


def pieces(data: bytes) -> Iterator[bytes]:
    """Sent without a Content-Length, in chunks."""
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


def raw(served: ServedGateway, secret: str, head: str, *parts: bytes) -> str:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        start = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n{head}\r\n\r\n"
        client.sendall(start.encode())
        for part in parts:
            client.sendall(part)
        answer = b""
        while b"}}" not in answer and (piece := client.recv(65536)):
            answer += piece
        return answer.decode()


def test_a_large_body_is_a_413_that_its_sender_hears(served: ServedGateway, secret: str) -> None:
    answer = post(served, secret, LARGE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_large_body_in_chunks_too(served: ServedGateway, secret: str) -> None:
    assert post(served, secret, pieces(LARGE)).status_code == 413


def test_a_body_in_chunks_is_a_body(served: ServedGateway, secret: str) -> None:
    assert post(served, secret, pieces(GOOD)).status_code == 200


def test_a_wrong_key_is_told_after_a_large_body(served: ServedGateway) -> None:
    assert post(served, "wb-wrong", LARGE[:15_000_000]).status_code == 401


def test_a_connection_serves_on_after_a_refusal(served: ServedGateway, secret: str) -> None:
    with requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        url = f"{served.url}/v1/chat/completions"
        statuses = [client.post(url, data=data, timeout=20).status_code for data in (b"{", GOOD, LARGE, GOOD)]
    assert statuses == [400, 200, 413, 200]


def test_a_body_that_trickles_in_is_a_408(served: ServedGateway, secret: str) -> None:
    started = time.monotonic()
    answer = raw(served, secret, f"Content-Length: {len(GOOD)}", GOOD[:10])
    assert answer.startswith("HTTP/1.1 408")
    assert '"request_timeout"' in answer
    assert time.monotonic() - started < 5


def test_broken_chunks_are_a_400_in_the_callers_dialect(served: ServedGateway, secret: str) -> None:
    answer = raw(served, secret, "Transfer-Encoding: chunked", b"zz\r\n")
    assert answer.startswith("HTTP/1.1 400")
    assert '"invalid_request_error"' in answer


def test_an_absurd_length_is_refused(served: ServedGateway, secret: str) -> None:
    answer = raw(served, secret, f"Content-Length: {10**23}", b"{}")
    assert answer.startswith(("HTTP/1.1 413", "HTTP/1.1 408"))
