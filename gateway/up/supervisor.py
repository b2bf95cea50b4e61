"""Starts the processes, looks after them, and ends all of them."""

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

from django.conf import settings

from gateway.up import embedded
from gateway.up.guards import address, own_address
from gateway.up.probe import answers
from gateway.up.processes import Child, Keeper, Program

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.1
MODEL_START_SECONDS = 120
WEB_START_SECONDS = 120
MODEL_STOP_SECONDS = 5
WORKER_STOP_SECONDS = 5
# The web server kills its own workers after SHUTDOWN_SECONDS; this is for a web server that does not.
EXTRA_STOP_SECONDS = 5

Say = Callable[[str], None]


def web_program() -> Program:
    arguments = ["-m", "gunicorn", "-c", "gateway/gunicorn.py", "gateway.wsgi:application", "--log-level", "warning"]
    return Program([*arguments, "--bind", address(settings.HOST, settings.PORT)], dict(os.environ))


def worker_program() -> Program:
    """Background tasks, and the checks of the upstreams: one process, since an idle one is 80 MB."""
    arguments = ["manage.py", "work", "--check-every", str(settings.HEALTH_CHECK_SECONDS)]
    return Program(arguments, dict(os.environ))


class Supervisor:
    """Use as a context manager: whatever happens inside, no process is left when it is over."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.signals = 0
        self.web: Child | None = None
        self.model: Keeper | None = None
        self.worker: Keeper | None = None

    def __enter__(self) -> Self:
        for number in ENDING:
            is_nohup = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
            if not is_nohup:
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.web:
            self.web.stop(settings.SHUTDOWN_SECONDS + EXTRA_STOP_SECONDS, self._is_urgent)
        if self.worker:
            self.worker.child.stop(WORKER_STOP_SECONDS, self._is_urgent)
        if self.model:  # after the web server, whose last streams may come from it
            self.model.child.stop(MODEL_STOP_SECONDS, self._is_urgent)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1

    def _is_urgent(self) -> bool:
        """A second Ctrl-C: don't wait for running streams."""
        return self.signals > 1

    @property
    def is_ending(self) -> bool:
        return self.signals > 0

    def start(self, ports: embedded.Ports | None) -> None:
        if ports:
            self.model = Keeper(embedded.program(ports), self._model_ended)
        self.web = Child(web_program())

    def _model_ended(self, code: int) -> None:
        log = settings.VAR_DIR / "embedded-model.log"
        self.say(f"The embedded model ended (code {code}) and is started again; its last words are in {log}.")

    def _worker_ended(self, code: int) -> None:
        self.say(f"The worker for background tasks ended (code {code}) and is started again.")

    def wait_until_ready(self, ports: embedded.Ports | None) -> bool:
        """Whether the web server takes calls. An embedded model that does not start is told, but stops nothing."""
        server = own_address(settings.HOST, settings.PORT)
        if not self._wait(lambda: answers(server), WEB_START_SECONDS):
            return False
        if ports and not self._wait(lambda: embedded.is_ready(ports), MODEL_START_SECONDS) and not self.is_ending:
            self.say("The embedded model is not ready; the gateway runs without it until it is.")
        return not self.is_ending

    def _wait(self, is_done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not is_done():
            if not self._is_running() or time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _is_running(self) -> bool:
        for keeper in (self.model, self.worker):
            if keeper:
                keeper.tend()
        return not self.is_ending and self.web is not None and self.web.code is None

    def run(self) -> int:
        """Until told to end (0) or the web server ends by itself (its code)."""
        if self._is_running():
            self.worker = Keeper(worker_program(), self._worker_ended)
        while self._is_running():
            time.sleep(POLL_SECONDS)
        if self.is_ending:
            self.say("Stopping: running streams may finish; Ctrl-C again stops at once.")
            return os.EX_OK
        code = self.web.code if self.web else None
        self.say(f"The web server ended (code {code}).")
        return code or 1


def write(text: str) -> None:
    """At once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
