"""Each fault of an upstream, over a real socket, with another deployment that is well; and oddities that are none."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import Charge
from providers.models import Provider
from providers.services import board_sync
from providers.services.board import board
from tests import factories
from tests.fakes.server import FakeVendor
from tests.routing.conftest import Routes, last_charge

QUICK = {"connect_timeout": 0.5, "first_byte_timeout": 0.6, "idle_timeout": 0.6, "retries": 0}
JSON = dict[str, Any]


def chunk(text: str = "", finish: str | None = None) -> JSON:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "choices": [choice]}


def data(payload: Any) -> bytes:
    return b"data: " + (payload if isinstance(payload, bytes) else json.dumps(payload).encode()) + b"\n\n"


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
WHOLE = [data(chunk("Hello")), data(chunk(finish="stop")), data(USAGE), data(b"[DONE]")]
EVENTS = {"Content-Type": "text/event-stream"}


class RawServer:
    """Says just these bytes to whoever connects, then does as told."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self.server.getsockname()[1]}/v1"
        self._behave = behave
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self._kept.append(connection)
            threading.Thread(target=self._behave, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self.server.close()
        for connection in self._kept:
            connection.close()


def refuse_to_speak(connection: socket.socket) -> None:
    connection.recv(65536)  # and never a word


def reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip_headers(connection: socket.socket) -> None:
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" * 20:
        try:
            connection.send(bytes([byte]))
        except OSError:
            return
        threading.Event().wait(0.05)


def half_a_chunk(connection: socket.socket) -> None:
    connection.recv(65536)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head + b"40\r\ndata: {")
    connection.close()


def not_http(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"220 smtp.example ESMTP\r\n")
    connection.close()


RAW = {each.__name__: each for each in (refuse_to_speak, reset, drip_headers, half_a_chunk, not_http)}


@pytest.fixture(params=sorted(RAW))
def raw(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    server = RawServer(RAW[request.param])
    yield server
    server.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_misbehaves_on_the_wire_is_passed_over(routes: Routes, raw: RawServer, stream: bool) -> None:
    bad = Provider.objects.create(name="bad", requester="openai-compatible", base_url=raw.base_url, **QUICK)
    factories.model(bad, priority=0)
    routes.deployment("good", priority=1)
    assert_good(routes, stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_port_where_nobody_listens_is_passed_over(routes: Routes, stream: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bad = Provider.objects.create(name="bad", requester="openai-compatible", base_url=f"http://127.0.0.1:{port}/v1")
    factories.model(bad, priority=0)
    routes.deployment("good", priority=1)
    assert_good(routes, stream)


FAULTS: dict[str, Callable[[FakeVendor], None]] = {
    "429": lambda fake: fake.mishap(429),
    "429 with retry-after": lambda fake: fake.mishap(429, Retry_After="9"),
    "500": lambda fake: fake.mishap(500),
    "html": lambda fake: fake.reply("echo", b"<html>", headers={"Content-Type": "text/html"}),
    "an error inside a 200": lambda fake: fake.reply_json("echo", {"error": {"message": "x", "code": "server_error"}}),
    "an error as the first event": lambda fake: fake.reply_events("echo", {"error": {"message": "overloaded"}}),
    "an empty stream": lambda fake: fake.reply("echo", framing="chunked", headers=EVENTS),
    "cut before the first word": lambda fake: fake.reply_events("echo", chunk(), is_complete=False),
    "a slow body": lambda fake: fake.reply(
        "echo", *[b": x\n\n"] * 40, framing="chunked", headers=EVENTS, seconds_between=2
    ),
    "not json": lambda fake: fake.reply_events("echo", b"data: nonsense\n\n"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("stream", [False, True])
def test_what_another_deployment_can_serve_no_caller_sees(routes: Routes, fault: str, stream: bool) -> None:
    routes.deployment("bad", priority=0, provider=QUICK)
    routes.deployment("good", priority=1)
    FAULTS[fault](routes.fakes["bad"])
    assert_good(routes, stream)
    assert routes.calls("bad") == 1


def assert_good(routes: Routes, stream: bool) -> None:
    answer = routes.chat(stream=stream, max_tokens=3)
    assert answer.status_code == 200, answer.content
    text = answer.getvalue().decode() if stream else answer.content.decode()
    assert "tok0" in text
    assert '"error"' not in text
    assert answer.headers["x-weighbridge-route"].endswith("@good")
    charge = Charge.objects.get()
    assert (charge.provider_name, charge.outcome, charge.output_tokens) == ("good", "ok", 3)


LONG = "x" * 100_000
ODDITIES: dict[str, tuple[list[bytes], JSON]] = {
    "a line of more than 64 KB": ([data(chunk(LONG)), *WHOLE[1:]], {"framing": "chunked"}),
    "CRLF": ([event.replace(b"\n", b"\r\n") for event in WHOLE], {"framing": "chunked"}),
    "data over several lines": (
        [b'data: {"choices": [{"index": 0,\ndata:  "delta": {"content": "Hello"}}]}\n\n', *WHOLE[1:]],
        {"framing": "chunked"},
    ),
    "comments": ([b": hi\n\n", WHOLE[0], b": still here\n\n", *WHOLE[1:]], {"framing": "chunked"}),
    "no space after the colon": ([event.replace(b"data: ", b"data:") for event in WHOLE], {"framing": "chunked"}),
    "cut anywhere": ([bytes([byte]) for byte in b"".join(WHOLE)], {"framing": "chunked"}),
    "no chunking": (WHOLE, {"framing": "close"}),
    "a length": (WHOLE, {"framing": "length"}),
    "gzip": (
        [gzip.compress(b"".join(WHOLE))],
        {"framing": "chunked", "headers": {**EVENTS, "Content-Encoding": "gzip"}},
    ),
    "[DONE] missing": (WHOLE[:-1], {"framing": "chunked"}),
    "the finish twice": ([*WHOLE[:2], data(chunk(finish="stop")), *WHOLE[2:]], {"framing": "chunked"}),
    "usage twice": ([*WHOLE[:3], data(USAGE), WHOLE[3]], {"framing": "chunked"}),
    "events before a word": ([data(chunk())] * 30 + WHOLE, {"framing": "chunked"}),
}


@pytest.mark.parametrize("oddity", sorted(ODDITIES))
def test_what_is_only_odd_is_answered(routes: Routes, oddity: str) -> None:
    routes.deployment("odd")
    pieces, options = ODDITIES[oddity]
    routes.fakes["odd"].reply("echo", *pieces, **{"headers": EVENTS, **options})
    answer = routes.chat(stream=True)
    text = answer.getvalue().decode()
    answer.close()
    assert '"error"' not in text, text[:500]
    assert text.endswith("data: [DONE]\n\n")
    said = "".join(
        choice["delta"].get("content", "")
        for frame in text.split("\n\n")
        if frame.startswith("data: {") and not frame.startswith("data: {\n")
        for choice in json.loads("".join(line.removeprefix("data: ") for line in frame.split("\n")))["choices"]
    )
    assert said in ("Hello", LONG)
    charge = Charge.objects.get()
    assert (charge.state, charge.usage_source, charge.input_tokens, charge.output_tokens) == (
        "settled",
        "reported",
        3,
        2,
    )


@pytest.mark.parametrize("choices", [5, [5], [{"message": {"tool_calls": [5]}}], [{"message": "text"}]])
def test_an_answer_of_an_unknown_shape_is_passed_over_and_free(routes: Routes, choices: object) -> None:
    routes.deployment("a", priority=0)
    used = {"prompt_tokens": 1000, "completion_tokens": 1000}
    routes.fakes["a"].reply_json("echo", {"choices": choices, "usage": used})
    assert routes.chat().status_code == 502
    assert (last_charge().state, last_charge().fee) == ("released", 0)
    routes.deployment("b", priority=1)
    assert routes.served_by() == "b"


def test_rests_of_rows_that_are_gone_hold_nobody_up(routes: Routes) -> None:
    model, other = routes.deployment("a"), routes.deployment("b", "other")
    routes.fakes["a"].mishap(500)
    routes.fakes["b"].mishap(500)
    assert [routes.chat().status_code, routes.chat("other").status_code] == [502, 502]
    model.delete()
    board_sync.Exchange(board()).run()
    assert set(board().rests) == {(other.pk, None)}
    assert not board().unwritten
    other.provider.delete()
    board_sync.Exchange(board()).run()
    assert not board().rests
