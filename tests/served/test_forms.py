"""Forms over real sockets, on both databases: large, slow, in chunks, cut; and senders that leave."""

import socket
import time
from collections.abc import Iterator

import pytest
import requests

from tests.fakes.kinds import FakeKinds
from tests.served.conftest import database_url
from tests.served.gateway import ServedGateway

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256)) * 4000
HEAD = (
    b'--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\nears\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
)
TAIL = b"\r\n--edge--\r\n"
FORM = HEAD + WAVE + TAIL
FORM_TYPE = "multipart/form-data; boundary=edge"
CHARGES = "SELECT state, outcome FROM accounts_charge ORDER BY id"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeKinds]:
    with FakeKinds() as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, fake: FakeKinds) -> Iterator[ServedGateway]:
    with ServedGateway(database_url(request, request.param), BODY_SECONDS="2") as gateway:
        gateway.manage("add_provider", "fake", "--base-url", fake.base_url, "--key", fake.key)
        gateway.manage("add_model", "ears", "--provider", "fake", "--kind", "transcription", "--price-in", "1")
        yield gateway
        assert gateway.audit() == "The ledger is whole."


@pytest.fixture(scope="module")
def secret(served: ServedGateway) -> str:
    return served.create_key("--quota", "50")


def post(served: ServedGateway, secret: str, data: object, timeout: float = 20) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": FORM_TYPE}
    return requests.post(f"{served.url}/v1/audio/transcriptions", data=data, headers=headers, timeout=timeout)


def pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 70_001):
        yield data[start : start + 70_001]


def begun(served: ServedGateway, secret: str, sent: bytes, announced: int) -> socket.socket:
    """A connection on which that much of a form has been sent."""
    client = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: {FORM_TYPE}\r\nContent-Length: {announced}\r\n\r\n"
    )
    client.sendall(head.encode() + sent)
    return client


def heard(client: socket.socket) -> bytes:
    """An error's head and body, which may come apart."""
    answer = b""
    while b"}}" not in answer and (piece := client.recv(65536)):
        answer += piece
    return answer


def test_every_byte_of_a_form_in_chunks_arrives(served: ServedGateway, secret: str, fake: FakeKinds) -> None:
    assert post(served, secret, pieces(FORM)).json() == {"text": f"{len(WAVE)} bytes of sound"}
    assert fake.seen[-1].body["file"] == WAVE
    assert fake.violations == []


def test_a_form_that_is_too_large_is_a_413_that_its_sender_hears(served: ServedGateway, secret: str) -> None:
    large = HEAD + bytes(25_000_000) + TAIL
    for data in (large, pieces(large)):
        answer = post(served, secret, data)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_form_that_trickles_in_is_a_408(served: ServedGateway, secret: str) -> None:
    with begun(served, secret, HEAD, len(FORM)) as client:
        answer = heard(client)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"request_timeout"' in answer


def test_a_form_that_is_cut_costs_nothing(served: ServedGateway, secret: str, fake: FakeKinds) -> None:
    fake.forget()
    before = served.rows(CHARGES)
    with begun(served, secret, FORM[:500_000], len(FORM)) as client:
        client.shutdown(socket.SHUT_WR)
        assert heard(client).startswith(b"HTTP/1.1 400")
    assert (served.rows(CHARGES), fake.seen) == (before, [])


def test_who_leaves_while_his_recording_is_heard_stops_the_upstream(
    served: ServedGateway, secret: str, fake: FakeKinds
) -> None:
    fake.forget()
    fake.reply("ears", b"heard ", b"nothing", seconds_between=8)
    client = begun(served, secret, FORM, len(FORM))
    assert fake.wait_until("seen")
    time.sleep(0.2)
    client.close()
    assert fake.wait_until("closed_early")
    deadline = time.monotonic() + 5
    while served.rows(CHARGES)[-1][0] == "held" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert served.rows(CHARGES)[-1] == ("settled", "client_closed")
    fake.forget()
