"""The open-stream load: N streams of 10 chunks a second, all held open for S seconds, each watched for lateness.

`python -m bench.streams --url ... --key ... --streams 1000 --seconds 20` prints a line when all are open and
steady, and a line of JSON when the window is over, before the streams are closed: these are the moments to
sample the gateway's CPU.
"""

import argparse
import asyncio
import json
import re
import time
from array import array
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from bench.answers import Answer, chat_request, percentile
from bench.upstream import SECONDS_PER_SLOW_CHUNK

OPENED_PER_SECOND = 200
OPENING_TIMEOUT_SECONDS = 60
# A reader notices a second; a lag that grows passes it soon.
BEHIND_SECONDS = 1.0
# The upstream stamps each chunk with the machine-wide monotonic clock, which this process shares.
STAMP = re.compile(rb"@(\d{10}\.\d{6})")
STEADY = "steady"


@dataclass(frozen=True)
class StreamsResult:
    """What a window of open streams looked like from outside."""

    streams: int
    failures: int
    first_failure: str
    seconds: float
    chunks_per_second: float
    first_event_p99_ms: float
    behind: int
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float


class OpenStream(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answer = Answer()
        self.is_lost = False
        self.start_window()

    def start_window(self) -> None:
        self.chunks_before = self.answer.events
        self.lags = array("d")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.started = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.answer.feed(data, now)
        # The first stamp of a read is that of its oldest chunk: a read of several counts as late as the latest.
        stamp = STAMP.search(data)
        if stamp:
            self.lags.append(now - float(stamp[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    @property
    def first_event_ms(self) -> float:
        """How long it took to open, while those before it were already running."""
        return ((self.answer.first_at or time.monotonic()) - self.started) * 1000

    @property
    def chunks(self) -> int:
        return self.answer.events - self.chunks_before

    @property
    def failure(self) -> str:
        if self.answer.status not in (0, 200):
            return f"status {self.answer.status}: {self.answer.excerpt.decode(errors='replace')}"
        return "the stream ended early" if self.is_lost or self.answer.is_complete else ""

    def is_behind(self, seconds: float) -> bool:
        missing = seconds / SECONDS_PER_SLOW_CHUNK - self.chunks
        return missing * SECONDS_PER_SLOW_CHUNK > BEHIND_SECONDS or max(self.lags, default=0.0) > BEHIND_SECONDS


async def open_streams(url: str, request: bytes, count: int, settling_seconds: float) -> list[OpenStream]:
    """Opened over some seconds, as traffic does: the cost of opening is the other runs' subject."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 80
    loop = asyncio.get_running_loop()
    streams: list[OpenStream] = []
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: OpenStream(request), host, port)
        streams.append(stream)
        await asyncio.sleep(1 / OPENED_PER_SECOND)
    deadline = loop.time() + OPENING_TIMEOUT_SECONDS
    while loop.time() < deadline and any(not (stream.answer.events or stream.failure) for stream in streams):
        await asyncio.sleep(0.1)
    await asyncio.sleep(settling_seconds)
    return streams


def result(streams: list[OpenStream], seconds: float) -> StreamsResult:
    failures = [stream.failure for stream in streams if stream.failure]
    lags = [lag * 1000 for stream in streams for lag in stream.lags]
    return StreamsResult(
        streams=len(streams),
        failures=len(failures),
        first_failure=failures[0] if failures else "",
        seconds=seconds,
        chunks_per_second=sum(stream.chunks for stream in streams) / seconds,
        first_event_p99_ms=percentile([stream.first_event_ms for stream in streams], 0.99),
        behind=sum(stream.is_behind(seconds) for stream in streams),
        lag_p50_ms=percentile(lags, 0.5),
        lag_p99_ms=percentile(lags, 0.99),
        lag_max_ms=max(lags, default=0.0),
    )


async def watch(url: str, key: str, model: str, count: int, settling_seconds: float, seconds: float) -> None:
    longest_seconds = count / OPENED_PER_SECOND * 3 + OPENING_TIMEOUT_SECONDS + settling_seconds + seconds
    request = chat_request(url, key, model, int(longest_seconds / SECONDS_PER_SLOW_CHUNK), is_streamed=True)
    streams = await open_streams(url, request, count, settling_seconds)
    for stream in streams:
        stream.start_window()
    started = time.monotonic()
    print(STEADY, flush=True)
    await asyncio.sleep(seconds)
    elapsed_seconds = time.monotonic() - started
    print(json.dumps(asdict(result(streams, elapsed_seconds))), flush=True)
    for stream in streams:
        stream.transport.close()
    await asyncio.sleep(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the whole address of chat/completions, plain http")
    parser.add_argument("--key", default="sk-bench")
    parser.add_argument("--model", default="stub-slow")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--settling", type=float, default=3, help="seconds between the last opening and the window")
    parser.add_argument("--seconds", type=float, default=20, help="the window's length")
    chosen = parser.parse_args()
    asyncio.run(watch(chosen.url, chosen.key, chosen.model, chosen.streams, chosen.settling, chosen.seconds))


if __name__ == "__main__":
    main()
