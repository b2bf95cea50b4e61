import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
import responses

from providers.requesters.egress import Timeouts, Transport, Upstream
from providers.requesters.errors import BadAnswer, Timeout, Truncated, Unavailable
from tests.fakes.openai import FakeOpenAI
from tests.requesters.conftest import PATIENT, QUICK

BODY = b'{"model": "%s"}'


def post(transport: Transport, fake: FakeOpenAI, model: str, timeouts: Timeouts = PATIENT) -> Upstream:
    headers = {"Authorization": f"Bearer {fake.key}", "Content-Type": "application/json"}
    body = BODY % model.encode()
    return transport.send("POST", f"{fake.base_url}/chat/completions", headers, body, timeouts)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A raw server for what http.server is too polite to do. One thread per connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                answer(connection)
            except OSError:
                pass

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def drip(connection: socket.socket, head: bytes = b"") -> None:
    connection.sendall(head)
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


# What works


def test_it_sends_and_reads(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {"ok": True})
    upstream = post(transport, openai, "mine")
    assert upstream.status == 200
    assert upstream.headers["content-TYPE"] == "application/json"
    assert upstream.read() == b'{"ok": true}'
    assert openai.seen[0].headers["Content-Length"] == str(len(BODY % b"mine"))
    assert openai.seen[0].headers["Host"] == f"127.0.0.1:{openai.port}"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_framing_is_read_to_its_end(transport: Transport, openai: FakeOpenAI, framing: str) -> None:
    openai.reply("mine", b"one ", b"two ", b"three", framing=framing)
    assert post(transport, openai, "mine").read() == b"one two three"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_gzip_is_decoded(transport: Transport, openai: FakeOpenAI, framing: str) -> None:
    packed = gzip.compress(b"payload " * 50_000)
    openai.reply("mine", packed[:100], packed[100:], framing=framing, headers={"Content-Encoding": "gzip"})
    assert post(transport, openai, "mine").read() == b"payload " * 50_000


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_chunks_arrive_one_by_one(transport: Transport, openai: FakeOpenAI, framing: str) -> None:
    openai.reply("mine", b"one", b"two", b"three", framing=framing, seconds_between=0.05)
    assert list(post(transport, openai, "mine").chunks()) == [b"one", b"two", b"three"]


def test_a_large_body_goes_out_whole(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {})
    filler = "x" * 3_000_000
    body = b'{"model": "mine", "filler": "%s"}' % filler.encode()
    headers = {"Content-Type": "application/json"}
    transport.send("POST", f"{openai.base_url}/chat/completions", headers, body, PATIENT).read()
    assert openai.seen[0].body["filler"] == filler


def test_connections_are_reused(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {})
    for _ in range(5):
        post(transport, openai, "mine").read()
    assert openai.connections == 1


def test_a_connection_with_unread_bytes_is_not_reused(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", b"x" * 1000)
    upstream = post(transport, openai, "mine")
    upstream.close()
    upstream.close()
    post(transport, openai, "mine").read()
    assert openai.connections == 2


def test_a_connection_closed_in_the_meantime_is_replaced_before_use(transport: Transport) -> None:
    answered = threading.Event()

    def answer_once(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        answered.set()

    with server(answer_once) as url:
        for _ in range(3):
            assert transport.send("POST", url, {}, b"{}", PATIENT).read() == b"ok"
            answered.wait(1)
            time.sleep(0.05)


def test_the_responses_library_works() -> None:
    with responses.RequestsMock() as mock:
        mock.post("https://api.vendor.example/v1/x", json={"ok": 1}, status=418, headers={"X-Id": "7"})
        upstream = Transport(allow_private=False).send(
            "POST", "https://api.vendor.example/v1/x", {"Authorization": "Bearer k"}, b"{}", Timeouts()
        )
        assert (upstream.status, upstream.headers["x-id"], upstream.read()) == (418, "7", b'{"ok": 1}')
        assert mock.calls[0].request.headers["Authorization"] == "Bearer k"
        assert mock.calls[0].request.body == b"{}"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.ConnectTimeout(), Timeout),
        (requests.ReadTimeout(), Timeout),
        (requests.ConnectionError(), Unavailable),
    ],
)
def test_exceptions_of_requests_are_mapped(raised: Exception, expected: type[Exception]) -> None:
    with responses.RequestsMock() as mock, pytest.raises(expected):
        mock.post("https://api.vendor.example/v1/x", body=raised)
        Transport(allow_private=False).send("POST", "https://api.vendor.example/v1/x", {}, b"{}", Timeouts())


# What does not


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_stays_here(
    transport: Transport, openai: FakeOpenAI, status: int
) -> None:
    with FakeOpenAI() as elsewhere:
        openai.reply("mine", status=status, headers={"Location": f"{elsewhere.base_url}/chat/completions"})
        with pytest.raises(BadAnswer, match="redirect") as caught:
            post(transport, openai, "mine")
        assert caught.value.upstream_status == status
        assert elsewhere.seen == []


def test_a_cookie_does_not_travel_to_the_next_caller(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", b"{}", headers={"Set-Cookie": "session=alice; Path=/"})
    for _ in range(2):
        post(transport, openai, "mine").read()
    assert all("Cookie" not in request.headers for request in openai.seen)


def test_the_environment_plays_no_part(
    transport: Transport, openai: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    openai.reply_json("mine", {})
    assert post(transport, openai, "mine").status == 200


def test_nobody_there_is_unavailable(transport: Transport) -> None:
    with pytest.raises(Unavailable, match="refuses connections") as caught:
        transport.send("POST", "http://127.0.0.1:1/v1", {}, b"{}", PATIENT)
    assert caught.value.retryable


def test_an_unknown_name_is_unavailable(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unavailable, match="resolved"):
        transport.send("POST", "http://nowhere.example/v1", {}, b"{}", PATIENT)


def test_a_connection_lost_before_the_answer_is_never_sent_again(transport: Transport) -> None:
    """Not even on a kept-alive connection: the vendor may have begun, and charged for, the first."""
    requests_seen: list[bytes] = []

    def answer_once(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        requests_seen.append(connection.recv(65536))

    with server(answer_once) as url:
        assert transport.send("POST", url, {}, b"{}", PATIENT).read() == b"ok"
        with pytest.raises(Unavailable, match="without an answer"):
            transport.send("POST", url, {}, b"{}", PATIENT)
    assert len(requests_seen) == 1


def test_not_http_is_a_bad_answer(transport: Transport) -> None:
    with (
        server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as url,
        pytest.raises(BadAnswer, match="HTTP"),
    ):
        transport.send("POST", url, {}, b"{}", PATIENT)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_body_is_truncated(transport: Transport, openai: FakeOpenAI, framing: str) -> None:
    openai.reply("mine", b"half", framing=framing, is_complete=False)
    with pytest.raises(Truncated):
        post(transport, openai, "mine").read()


def test_broken_gzip_is_a_bad_answer(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", b"this is no gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadAnswer, match="encoding"):
        post(transport, openai, "mine").read()


def test_a_body_beyond_the_bound_is_refused(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", b"x" * 300_000)
    with pytest.raises(BadAnswer, match="larger than 100000"):
        post(transport, openai, "mine").read(100_000)


def test_a_small_gzip_that_grows_beyond_the_bound_is_refused(transport: Transport, openai: FakeOpenAI) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    openai.reply("mine", bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadAnswer, match="larger"):
        post(transport, openai, "mine").read(1_000_000)


def test_a_malformed_header_does_not_show_the_key(transport: Transport, openai: FakeOpenAI) -> None:
    with pytest.raises(Unavailable) as caught:
        transport.send("POST", openai.base_url, {"Authorization": "Bearer sk-canary\r\nX: y"}, b"{}", PATIENT)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_half_a_request_does_not_travel_to_the_next_caller(transport: Transport, openai: FakeOpenAI) -> None:
    headers = {"Authorization": "Bearer sk-canary", "X-Whose": "the first one's", "X-Bad": "a\r\nb"}
    with pytest.raises(Unavailable, match="malformed"):
        transport.send("POST", f"{openai.base_url}/chat/completions", headers, b"{}", PATIENT)
    post(transport, openai, "echo").read()
    seen = openai.seen[-1].headers
    assert seen["Authorization"] == f"Bearer {openai.key}" and "X-Whose" not in seen


# The four timers


def test_connecting_times_out(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # A full queue: the kernel ignores what comes now.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Timeout, match=r"connect timeout after 0\.3 seconds") as caught:
            transport.send("POST", url, {}, b"{}", Timeouts(connect=0.3))
        for filler in fillers:
            filler.close()
    assert (caught.value.status, caught.value.retryable) == (504, True)


def test_the_first_byte_times_out(transport: Transport) -> None:
    with server(lambda connection: time.sleep(3)) as url, pytest.raises(Timeout, match=r"first byte .* 0\.4 seconds"):
        transport.send("POST", url, {}, b"{}", QUICK)


def test_headers_that_drip_do_not_outlast_the_first_byte_timeout(transport: Transport) -> None:
    started = time.monotonic()
    with (
        server(lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: ")) as url,
        pytest.raises(Timeout, match="first byte"),
    ):
        transport.send("POST", url, {}, b"{}", QUICK)
    assert time.monotonic() - started < 2


def test_silence_in_the_body_times_out(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", b"one", b"two", framing="chunked", seconds_between=3)
    chunks = post(transport, openai, "mine", QUICK).chunks()
    assert next(chunks) == b"one"
    with pytest.raises(Timeout, match=r"idle timeout after 0\.4 seconds"):
        next(chunks)
    assert openai.wait_until("closed_early")


@pytest.mark.parametrize("head", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n"])
def test_a_body_that_drips_does_not_outlast_the_total(transport: Transport, head: bytes) -> None:
    timeouts = Timeouts(connect=1, first_byte=1, idle=0.5, total=0.8)
    started = time.monotonic()
    # In the chunked case the drip is an endless chunk size, read a byte at a time by http.client.
    with (
        server(lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\n" + head)) as url,
        pytest.raises(Timeout, match=r"total timeout after 0\.8 seconds"),
    ):
        transport.send("POST", url, {}, b"{}", timeouts).read()
    assert time.monotonic() - started < 2


def test_idle_starts_anew_with_each_read(transport: Transport, openai: FakeOpenAI) -> None:
    openai.reply("mine", *[b"x"] * 8, framing="chunked", seconds_between=0.1)
    assert post(transport, openai, "mine", QUICK).read() == b"x" * 8
