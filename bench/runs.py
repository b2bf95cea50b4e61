"""The measurements: what is run against a subject and what is read from it. Nothing here knows what the subject is."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.load import LoadResult
from bench.processes import ROOT, BenchError, Memory, cpu_seconds, worker_memory
from bench.streams import STEADY, StreamsResult

IN_FLIGHT = 64
WARM_UP_CALLS = 300
# A call is settled after its last byte has left: its CPU belongs to the run.
AFTERWARDS_SECONDS = 0.5
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Subject:
    """What is measured: where it answers, and the process whose tree burns the CPU (0 when nobody asks for it)."""

    name: str
    url: str
    key: str
    pid: int


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    calls: int
    streamed_calls: int
    single_calls: int
    repeats: int
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
        raise BenchError(
            f"{subject.name}: {result.failures} of {result.calls} calls failed, the first with: {result.first_failure}"
        )
    return result


def measure_cpu(subject: Subject, calls: int, is_streamed: bool, samples: dict[str, list[float]]) -> None:
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


def add(samples: dict[str, list[float]], values: dict[str, float]) -> None:
    for name, value in values.items():
        samples.setdefault(name, []).append(value)


def measure_added_latency(subject: Subject, direct: Subject, calls: int, samples: dict[str, list[float]]) -> None:
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


def watch_streams(subject: Subject, streams: int, seconds: float) -> StreamsWindow:
    """The CPU is that of the steady window only, between the two lines that the load generator prints."""
    command = [sys.executable, "-m", "bench.streams", *options(subject)]
    command += ["--streams", str(streams), "--seconds", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != STEADY:
            raise BenchError(f"{subject.name}: the stream load generator failed.")
        before = cpu_seconds(subject.pid)
        line = process.stdout.readline()
        spent_seconds = cpu_seconds(subject.pid) - before
        memory = worker_memory(subject.pid)
    return StreamsWindow(StreamsResult(**json.loads(line)), spent_seconds, memory)


def measure_streams(subject: Subject, streams: int, seconds: float, samples: dict[str, list[float]]) -> None:
    window = watch_streams(subject, streams, seconds)
    result = window.result
    if result.failures:
        raise BenchError(
            f"{subject.name}: {result.failures} of {streams} streams failed, the first with: {result.first_failure}"
        )
    add(
        samples,
        {
            "open_streams": streams,
            "open_cores": window.cpu_seconds / result.seconds,
            "open_cpu_us_per_chunk": window.cpu_seconds * MICROSECONDS / (result.chunks_per_second * result.seconds),
            "open_memory_mb": window.memory.resident,
            "open_proportional_memory_mb": window.memory.proportional,
            "open_behind": result.behind,
            "open_lag_p99_ms": result.lag_p99_ms,
            "open_lag_max_ms": result.lag_max_ms,
        },
    )


def measure(subject: Subject, direct: Subject, plan: Plan) -> dict[str, list[float]]:
    """Every figure of one subject. Repeats alternate: a busy minute of the machine does not fall on one figure."""
    samples: dict[str, list[float]] = {}
    for is_streamed in (False, True):
        run_calls(subject, WARM_UP_CALLS, IN_FLIGHT, is_streamed)
    for _ in range(plan.repeats):
        measure_cpu(subject, plan.calls, False, samples)
        measure_cpu(subject, plan.streamed_calls, True, samples)
        measure_added_latency(subject, direct, plan.single_calls, samples)
    if plan.streams:
        measure_streams(subject, plan.streams, plan.stream_seconds, samples)
    return samples
