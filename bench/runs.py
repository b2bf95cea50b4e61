"""The measurements: what is run against a subject and what is read from it. Nothing here knows what the subject is."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.load import LoadResult
from bench.processes import ROOT, BenchError, Memory, Server, cpu_seconds, worker_memory
from bench.streams import STEADY, StreamsResult

IN_FLIGHT = 64
WARM_UP_CALLS = 300
# A call is settled after its last byte has left: its CPU belongs to the run.
AFTERWARDS_SECONDS = 0.5
SETTLING_SECONDS = 3.0
MICROSECONDS = 1_000_000
# Few enough that every subject keeps up and each chunk is relayed by itself: no subject may save work by being late.
PACED_STREAMS = 50

Samples = dict[str, list[float]]
Results = dict[str, Samples]


@dataclass(frozen=True)
class Subject:
    """What is measured: where it answers, and the process whose tree burns the CPU (none where nobody asks for it)."""

    name: str
    url: str
    key: str
    server: Server | None = None

    @property
    def pid(self) -> int:
        assert self.server is not None
        return self.server.pid

    def failure(self, complaint: str) -> BenchError:
        log = f"\nIts log ends:\n{self.server.log_tail()}" if self.server else ""
        return BenchError(f"{self.name}: {complaint}{log}")


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    calls: int
    streamed_calls: int
    single_calls: int
    paced_seconds: float
    rounds: int
    streams: int
    stream_seconds: float


def options(subject: Subject) -> list[str]:
    return ["--url", f"{subject.url}/chat/completions", "--key", subject.key]


def run_calls(subject: Subject, calls: int, in_flight: int, is_streamed: bool) -> LoadResult:
    """One closed-loop run; a single failed call ends the bench."""
    command = [sys.executable, "-m", "bench.load", *options(subject), "--calls", str(calls)]
    command += ["--in-flight", str(in_flight), *(["--stream"] if is_streamed else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"The load generator failed:\n{done.stderr[-3000:]}")
    result = LoadResult(**json.loads(done.stdout))
    if result.failures:
        raise subject.failure(f"{result.failures} of {result.calls} calls failed, first with: {result.first_failure}")
    return result


def measure_cpu(subject: Subject, calls: int, is_streamed: bool, samples: Samples) -> None:
    before = cpu_seconds(subject.pid)
    result = run_calls(subject, calls, IN_FLIGHT, is_streamed)
    time.sleep(AFTERWARDS_SECONDS)
    cpu_ms = (cpu_seconds(subject.pid) - before) * 1000 / calls
    kind = "streamed" if is_streamed else "whole"
    add(
        samples,
        {
            f"{kind}_cpu_ms": cpu_ms,
            f"{kind}_calls_per_second": result.calls_per_second,
            f"{kind}_p50_ms": result.p50_ms,
            f"{kind}_p99_ms": result.p99_ms,
            f"{kind}_first_byte_p50_ms": result.first_byte_p50_ms,
            f"{kind}_reads_per_call": result.reads_per_call,
        },
    )


def add(samples: Samples, values: dict[str, float]) -> None:
    for name, value in values.items():
        samples.setdefault(name, []).append(value)


def measure_added_latency(subject: Subject, direct: Subject, calls: int, samples: Samples) -> None:
    """One call in flight, direct and through the gateway within seconds of each other."""
    for kind, is_streamed in (("whole", False), ("streamed", True)):
        straight = run_calls(direct, calls, 1, is_streamed)
        through = run_calls(subject, calls, 1, is_streamed)
        values = {f"{kind}_added_first_byte_ms": through.first_byte_p50_ms - straight.first_byte_p50_ms}
        values[f"{kind}_added_ms"] = through.p50_ms - straight.p50_ms
        values[f"{kind}_added_p99_ms"] = through.p99_ms - straight.p99_ms
        add(samples, values)


@dataclass(frozen=True)
class StreamsWindow:
    result: StreamsResult
    cpu_seconds: float
    memory: Memory

    @property
    def cpu_us_per_chunk(self) -> float:
        return self.cpu_seconds * MICROSECONDS / (self.result.chunks_per_second * self.result.seconds)


def watch_streams(subject: Subject, streams: int, seconds: float) -> StreamsWindow:
    """The CPU is that of the steady window only, between the two lines that the load generator prints."""
    command = [sys.executable, "-m", "bench.streams", *options(subject)]
    command += ["--streams", str(streams), "--settling", str(SETTLING_SECONDS), "--seconds", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != STEADY:
            raise subject.failure("the stream load generator failed.")
        before = cpu_seconds(subject.pid)
        line = process.stdout.readline()
        spent_seconds = cpu_seconds(subject.pid) - before
        memory = worker_memory(subject.pid)
    result = StreamsResult(**json.loads(line))
    if result.failures:
        raise subject.failure(f"{result.failures} of {streams} streams failed, first with: {result.first_failure}")
    return StreamsWindow(result, spent_seconds, memory)


def measure_paced(subject: Subject, seconds: float, samples: Samples) -> None:
    """What a chunk costs that comes alone, as a vendor's do."""
    window = watch_streams(subject, PACED_STREAMS, seconds)
    add(samples, {"paced_cpu_us": window.cpu_us_per_chunk, "paced_lag_p50_ms": window.result.lag_p50_ms})


def measure_streams(subject: Subject, streams: int, seconds: float, samples: Samples) -> None:
    window = watch_streams(subject, streams, seconds)
    result = window.result
    add(
        samples,
        {
            "open_streams": streams,
            "open_cores": window.cpu_seconds / result.seconds,
            "open_cpu_us": window.cpu_us_per_chunk,
            "open_memory_mb": window.memory.resident,
            "open_proportional_memory_mb": window.memory.proportional,
            "open_first_event_p99_ms": result.first_event_p99_ms,
            "open_behind": result.behind,
            "open_lag_p99_ms": result.lag_p99_ms,
            "open_lag_max_ms": result.lag_max_ms,
        },
    )


def measure(plans: Mapping[Subject, Plan], direct: Subject, results: Results, say: Callable[[str], None]) -> None:
    """Every figure of every subject, round by round: a busy minute of the machine falls on all of them alike."""
    for subject in plans:
        results[subject.name] = {}
        for is_streamed in (False, True):
            run_calls(subject, WARM_UP_CALLS, IN_FLIGHT, is_streamed)
    rounds = max(plan.rounds for plan in plans.values())
    for number in range(1, rounds + 1):
        for subject, plan in plans.items():
            say(f"Round {number} of {rounds}: {subject.name} ...")
            measure_round(subject, direct, plan, results[subject.name])
    for subject, plan in plans.items():
        if plan.streams:
            say(f"{plan.streams} open streams: {subject.name} ...")
            measure_streams(subject, plan.streams, plan.stream_seconds, results[subject.name])


def measure_round(subject: Subject, direct: Subject, plan: Plan, samples: Samples) -> None:
    measure_cpu(subject, plan.calls, False, samples)
    measure_cpu(subject, plan.streamed_calls, True, samples)
    measure_added_latency(subject, direct, plan.single_calls, samples)
    measure_paced(subject, plan.paced_seconds, samples)
    add(samples, {"memory_mb": worker_memory(subject.pid).resident})
