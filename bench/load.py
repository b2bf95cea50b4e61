"""The closed-loop load generator: C calls in flight over keep-alive connections until N are answered, one hot key.

`python -m bench.load --url ... --key ... --calls 4000 --in-flight 64 [--stream]` prints one JSON object. It runs as its
own process, so that its CPU is not the gateway's.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from bench.answers import Answer, chat_request, percentile
from bench.upstream import CHUNKS

MAX_TOKENS = 100
# The chunks, and [DONE]: a gateway that loses one is not measured, it is reported.
EVENTS_PER_STREAM = CHUNKS + 1


@dataclass(frozen=True)
class LoadResult:
    """What a run of calls looked like from outside."""

    calls: int
    failures: int
    first_failure: str
    seconds: float
    calls_per_second: float
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    first_byte_p99_ms: float
    reads_per_call: float


@dataclass
class Run:
    """What the connections of one run share."""

    request: bytes
    calls_left: int
    is_streamed: bool
    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    reads: int = 0
    failures: list[str] = field(default_factory=list)

    def take(self) -> bool:
        self.calls_left -= 1
        return self.calls_left >= 0

    def record(self, answer: Answer, started: float, ended: float) -> None:
        complaint = complaint_about(answer, self.is_streamed)
        if complaint:
            self.failures.append(complaint)
        else:
            self.latencies.append((ended - started) * 1000)
            self.first_bytes.append(((answer.first_at or ended) - started) * 1000)
            self.reads += answer.reads

    def result(self, seconds: float) -> LoadResult:
        answered = len(self.latencies)
        return LoadResult(
            calls=answered + len(self.failures),
            failures=len(self.failures),
            first_failure=self.failures[0] if self.failures else "",
            seconds=seconds,
            calls_per_second=answered / seconds,
            p50_ms=percentile(self.latencies, 0.5),
            p99_ms=percentile(self.latencies, 0.99),
            first_byte_p50_ms=percentile(self.first_bytes, 0.5),
            first_byte_p99_ms=percentile(self.first_bytes, 0.99),
            reads_per_call=self.reads / answered if answered else 0.0,
        )


def complaint_about(answer: Answer, is_streamed: bool) -> str:
    if answer.status != 200:
        return f"status {answer.status}: {answer.excerpt.decode(errors='replace')}"
    if not answer.is_complete:
        return "the connection closed before the answer was complete"
    if is_streamed and answer.events < EVENTS_PER_STREAM:
        return f"{answer.events} events in place of {EVENTS_PER_STREAM}"
    return ""


class Caller(asyncio.Protocol):
    """One connection that makes the same call again and again until the run has no more to give."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.call()

    def call(self) -> None:
        if not self.run.take():
            self.answer = None
            self.transport.close()
            return
        self.answer = Answer()
        self.started = time.perf_counter()
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        if answer is None:
            return
        now = time.perf_counter()
        answer.feed(data, now)
        if answer.is_complete:
            self.answer = None
            self.run.record(answer, self.started, now)
            if answer.closes:
                self.transport.close()
            else:
                self.call()

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None:
            self.run.record(self.answer, self.started, time.perf_counter())
        if not self.lost.done():
            self.lost.set_result(None)


async def keep_calling(run: Run, host: str, port: int) -> None:
    """A server may end keep-alive; then the next connection goes on."""
    while run.calls_left > 0:
        _, caller = await asyncio.get_running_loop().create_connection(lambda: Caller(run), host, port)
        await caller.lost


async def load(url: str, key: str, model: str, calls: int, in_flight: int, is_streamed: bool) -> LoadResult:
    address = urlsplit(url)
    run = Run(chat_request(url, key, model, MAX_TOKENS, is_streamed), calls, is_streamed)
    started = time.perf_counter()
    await asyncio.gather(*(keep_calling(run, address.hostname or "", address.port or 80) for _ in range(in_flight)))
    return run.result(time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the whole address of chat/completions, plain http")
    parser.add_argument("--key", default="sk-bench")
    parser.add_argument("--model", default="stub")
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--stream", action="store_true")
    chosen = parser.parse_args()
    result = asyncio.run(load(chosen.url, chosen.key, chosen.model, chosen.calls, chosen.in_flight, chosen.stream))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
