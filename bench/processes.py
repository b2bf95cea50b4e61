"""Processes under measurement: start them, wait for them, read their CPU and memory from /proc, stop them by pid."""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_SECONDS = 90
STOP_TIMEOUT_SECONDS = 30
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MEGABYTE_IN_KILOBYTES = 1024


class BenchError(Exception):
    """The bench cannot go on, in one sentence for its reader."""


def say(text: str) -> None:
    """Beside the figures, which may be piped elsewhere."""
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def allow_open_files(count: int) -> None:
    """Each stream through a gateway is two sockets, and the usual limit of 1,024 files would end the run half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed and `ulimit -Hn` allows {hard}: choose fewer --streams.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


class Server:
    """A child process with a log file, from its start until the block is left."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        self.environment = environment

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        stop(self.process)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"`{' '.join(self.command)}` did not start:\n{self.log_tail()}")
            time.sleep(0.1)

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def stop(process: subprocess.Popen[bytes], polite: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(polite)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class StubUpstream(Server):
    """The stub in its own process; `url` is what a provider's base URL would be."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        super().__init__([sys.executable, "-m", "bench.upstream", "--port", str(self.port)], directory / "upstream.log")

    def __enter__(self) -> Self:
        super().__enter__()
        self.wait_until(lambda: answers_ok(self.port, "/v1/models"))
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@dataclass(frozen=True)
class Memory:
    """Of one process, in megabytes: `proportional` counts a page shared with the master by its share."""

    resident: float
    proportional: float


def process_tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, []))
    return tree


def stat_fields(pid: int) -> list[str]:
    """/proc/<pid>/stat from the state on (field 3 of proc(5) is item 0); empty when the process is gone."""
    try:
        # The command's name stands in brackets and may hold blanks and brackets itself.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of the process tree so far, children that have ended included."""
    ticks = 0
    for member in process_tree(pid):
        fields = stat_fields(member)
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS_PER_SECOND


def memory_of(pid: int) -> Memory:
    values: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        values[name] = int(value) / MEGABYTE_IN_KILOBYTES
    return Memory(resident=values["Rss:"], proportional=values["Pss:"])


def worker_memory(pid: int) -> Memory:
    """The largest process of the tree: the one worker that does the work."""
    return max((memory_of(member) for member in process_tree(pid)), key=lambda memory: memory.resident)
