"""The processes that `up` starts: each leads its own process group, and none survives."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.secrets import BASE_DIR

TETHER = Path(__file__).with_name("tether.py")
POLL_SECONDS = 0.05
STEADY_SECONDS = 60  # a process that ran this long gets a fresh back-off
LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Program:
    """What to run with this Python. Without a log file it writes to where `up` writes."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path | None = None


class Child:
    """A running program. Its own process group: a Ctrl-C in the terminal reaches `up` alone, which ends it in order."""

    def __init__(self, program: Program) -> None:
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
        log = program.log.open("ab") if program.log else None
        try:
            self.process = subprocess.Popen(
                [*tether, sys.executable, *program.arguments],
                cwd=BASE_DIR,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                process_group=0,
            )
        finally:
            if log:
                log.close()

    @property
    def code(self) -> int | None:
        """How it ended, as a shell says it: 128 + signal for a killed one. None: it runs."""
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code

    def stop(self, seconds: float, is_urgent: Callable[[], bool]) -> None:
        """Ask it to end; kill what is left of its group after `seconds`, or as soon as it is urgent."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline and not is_urgent():
            time.sleep(POLL_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Keeper:
    """Keeps a program running: started again whenever it ends, ever more slowly, and told only once."""

    def __init__(self, program: Program, on_first_end: Callable[[int], None]) -> None:
        self.program = program
        self.on_first_end = on_first_end
        self.failures = 0
        self.was_told = False
        self.start()

    def start(self) -> None:
        self.child = Child(self.program)
        self.started = time.monotonic()
        self.next_start: float | None = None

    def tend(self) -> None:
        """To be called every now and then."""
        code = self.child.code
        if code is None:
            return
        if self.next_start is None:
            self._plan_next_start(code)
        elif time.monotonic() >= self.next_start:
            self.start()

    def _plan_next_start(self, code: int) -> None:
        is_steady = time.monotonic() - self.started > STEADY_SECONDS
        self.failures = 0 if is_steady else self.failures + 1
        self.next_start = time.monotonic() + min(2**self.failures, LONGEST_WAIT_SECONDS)
        if not self.was_told:
            self.was_told = True
            self.on_first_end(code)
