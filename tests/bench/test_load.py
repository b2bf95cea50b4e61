"""The load generator against the stub upstream and against upstreams that misbehave."""

import asyncio
from collections.abc import Callable

import pytest

from bench.answers import Answer, chat_request, percentile
from bench.load import LoadResult, load
from bench.streams import OpenStream, StreamsResult, open_streams, result
from bench.upstream import Upstream


class Scripted(asyncio.Protocol):
    """Answers every request with the same bytes, and closes after them if told to."""

    def __init__(self, reply: bytes, closes: bool = False) -> None:
        self.reply, self.closes = reply, closes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.reply)
        if self.closes:
            self.transport.close()


def run_load(upstream: Callable[[], asyncio.Protocol], calls: int, is_streamed: bool) -> LoadResult:
    async def run() -> LoadResult:
        server = await asyncio.get_running_loop().create_server(upstream, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            return await load(url, "sk-test", "stub", calls, 4, is_streamed)

    return asyncio.run(run())


@pytest.mark.parametrize("is_streamed", [False, True])
def test_every_call_is_answered_and_timed(is_streamed: bool) -> None:
    outcome = run_load(Upstream, 40, is_streamed)
    assert (outcome.calls, outcome.failures) == (40, 0)
    assert 0 < outcome.first_byte_p50_ms <= outcome.p50_ms <= outcome.p99_ms


def test_an_answer_that_is_not_200_is_a_failure_with_its_text() -> None:
    reply = b"HTTP/1.1 429 Too Many\r\nContent-Length: 9\r\n\r\ntoo many!"
    outcome = run_load(lambda: Scripted(reply), 6, False)
    assert (outcome.calls, outcome.failures) == (6, 6)
    assert outcome.first_failure == "status 429: too many!"


def test_a_stream_that_lost_chunks_is_a_failure() -> None:
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    assert run_load(lambda: Scripted(reply), 1, True).first_failure == "1 events in place of 51"


def test_a_connection_cut_in_mid_answer_is_a_failure() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"
    outcome = run_load(lambda: Scripted(reply, closes=True), 1, False)
    assert outcome.first_failure == "the connection closed before the answer was complete"


def test_a_server_without_keep_alive_is_called_on_new_connections() -> None:
    reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    assert run_load(lambda: Scripted(reply, closes=True), 12, False).failures == 0


def test_a_chunked_answer_is_understood_however_it_is_cut() -> None:
    answer = Answer()
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n"
    for index in range(len(wire)):
        assert not answer.is_complete
        answer.feed(wire[index : index + 1], float(index))
    assert answer.is_complete
    assert answer.events == 2


def watched(count: int, seconds: float) -> tuple[StreamsResult, list[int]]:
    """What became of some streams of 9 chunks, and how many chunks each has got."""
    request = chat_request("http://127.0.0.1/v1/chat/completions", "sk-test", "stub-slow", 9, is_streamed=True)

    async def run() -> tuple[StreamsResult, list[int]]:
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            streams = await open_streams(f"http://127.0.0.1:{port}/v1", request, count, settling_seconds=0)
            await asyncio.sleep(seconds)
            outcome = result(streams, seconds)
            for stream in streams:
                stream.transport.close()
        return outcome, [stream.chunks for stream in streams]

    return asyncio.run(run())


def test_slow_streams_keep_their_pace_and_carry_their_time() -> None:
    outcome, chunks = watched(5, 0.5)
    assert (outcome.streams, outcome.failures, outcome.behind) == (5, 0, 0)
    assert all(5 <= count <= 7 for count in chunks)
    assert 0 < outcome.lag_p50_ms < 100


def test_a_stream_that_ends_early_is_a_failure() -> None:
    outcome, _ = watched(1, 1.2)
    assert (outcome.failures, outcome.first_failure) == (1, "the stream ended early")


def test_a_silent_stream_is_behind() -> None:
    stream = OpenStream(b"")
    assert not stream.is_behind(0.9)
    assert stream.is_behind(1.2)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([], 0.5) == 0.0
