"""Long silences and callers that leave: comments keep the way open, and a provider's policy says who reads on."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway
from tests.served.test_faults import LAST, RawClient

COMMENT = b": keep-alive\n\n"


@pytest.fixture(scope="module")
def served(fake: FakeOpenAI) -> Iterator[tuple[ServedGateway, str]]:
    with ServedGateway(STREAM_KEEPALIVE_SECONDS="1") as gateway:
        gateway.add_upstream(fake, "echo", "slow", "late", "late-error", "pause", "slow-forever", "hang")
        yield gateway, gateway.create_key("--quota", "100")
        assert gateway.audit() == "The ledger is whole."


def body_of(raw: bytes) -> bytes:
    """A chunked answer's body, with every chunk's length checked."""
    rest = raw.partition(b"\r\n\r\n")[2]
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", raw
        body += rest[:length]
        rest = rest[length + 2 :]
        if length == 0:
            break
    return body


def test_a_stream_whose_first_word_is_late_begins_with_comments(served: tuple[ServedGateway, str]) -> None:
    client = RawClient(served, "late", stream=True)
    started = time.monotonic()
    head = client.read_until(COMMENT)
    assert time.monotonic() - started < 2.9  # the first word takes five seconds
    raw = head + client.read_until(b"\r\n0\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 200 OK")
    body = body_of(raw)
    assert body.startswith(COMMENT * 2)
    events = [frame for frame in body.replace(COMMENT, b"").split(b"\n\n") if frame]
    assert events[-1] == b"data: [DONE]"
    assert json.loads(events[0][6:])["choices"][0]["delta"]["content"].startswith("tok0")
    served[0].wait_for_rows("SELECT outcome " + LAST, ["ok"])


def test_a_stream_that_begins_with_comments_says_what_is_left_of_limits(served: tuple[ServedGateway, str]) -> None:
    gateway, secret = served
    limit = ("--key", secret[:10], "--metric", "requests", "--window", "total", "--most", "1000")
    gateway.manage("set_limit", "rate", *limit)
    head = RawClient(served, "late", stream=True).read_until(COMMENT).lower()
    assert b"x-ratelimit-remaining-requests: 999" in head


def test_what_fails_after_the_comments_is_an_error_event(served: tuple[ServedGateway, str]) -> None:
    client = RawClient(served, "late-error", stream=True)
    body = body_of(client.read_until(b"\r\n0\r\n\r\n"))
    events = [frame for frame in body.replace(COMMENT, b"").split(b"\n\n") if frame]
    assert json.loads(events[0][6:])["error"]["code"] == "upstream_unavailable"
    assert events[-1] == b"data: [DONE]"
    served[0].wait_for_rows("SELECT state " + LAST, ["released"])


def test_a_silence_in_the_middle_is_filled_with_comments(served: tuple[ServedGateway, str]) -> None:
    client = RawClient(served, "pause", stream=True)
    body = body_of(client.read_until(b"\r\n0\r\n\r\n"))
    assert not body.startswith(COMMENT)
    assert body.count(COMMENT) >= 2  # four seconds of silence
    assert b"data: [DONE]" in body
    frames = [frame for frame in body.replace(COMMENT, b"").split(b"\n\n") if frame]
    assert all(frame.startswith(b"data: ") for frame in frames)


def test_a_stream_that_flows_has_no_comments(served: tuple[ServedGateway, str]) -> None:
    client = RawClient(served, "slow", stream=True)
    assert COMMENT not in client.read_until(b"\r\n0\r\n\r\n")


def test_who_leaves_while_waiting_for_the_first_word_cancels_the_upstream(
    served: tuple[ServedGateway, str], fake: FakeOpenAI
) -> None:
    fake.count_anew()
    client = RawClient(served, "hang", stream=True)
    client.read_until(COMMENT)
    client.leave()
    assert fake.wait_until("closed_early", seconds=6)
    served[0].wait_for_rows("SELECT outcome " + LAST, ["client_closed"])


def drain(gateway: ServedGateway, policy: str) -> None:
    gateway.manage("shell", "-v0", "-c", f"Provider.objects.update(on_disconnect='{policy}')")


def test_a_provider_that_drains_is_read_to_its_end(served: tuple[ServedGateway, str], fake: FakeOpenAI) -> None:
    gateway = served[0]
    drain(gateway, "drain")
    fake.count_anew()
    client = RawClient(served, "slow", stream=True, max_tokens=10)
    client.read_until(b"data: ")
    client.leave()
    gateway.wait_for_rows("SELECT outcome, usage_source " + LAST, ["client_closed"])
    source, tokens = gateway.rows("SELECT usage_source, output_tokens " + LAST)[0]
    assert (source, tokens, fake.closed_early) == ("reported", 10, 0)
    drain(gateway, "cancel")


def test_a_whole_answer_is_drained_too(served: tuple[ServedGateway, str], fake: FakeOpenAI) -> None:
    gateway = served[0]
    drain(gateway, "drain")
    client = RawClient(served, "late", max_tokens=10)  # 5 s: it still runs when the client leaves
    gateway.wait_for_rows("SELECT state " + LAST, ["held"])
    client.leave()
    gateway.wait_for_rows("SELECT outcome " + LAST, ["client_closed"])
    assert gateway.rows("SELECT usage_source, output_tokens " + LAST)[0] == ("reported", 10)
    drain(gateway, "cancel")
