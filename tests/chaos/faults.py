"""What may happen to a gateway and to its database."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from bench.postgres import PostgresServer
from tests.chaos.edits import Clerk
from tests.served.gateway import ServedGateway

LONGEST_FREEZE_SECONDS = 1.5
LONGEST_LOCK_SECONDS = 3.0


class Faults:
    """One fault after the other; `done` counts them by name."""

    def __init__(self, gateway: ServedGateway, clerk: Clerk, server: PostgresServer | None, seed: str) -> None:
        self.gateway, self.clerk, self.server = gateway, clerk, server
        self.chance = random.Random(seed)
        self.done: dict[str, int] = {}
        self._next: list[str] = []

    @property
    def kinds(self) -> dict[str, Callable[["Faults"], None]]:
        """All that may happen here."""
        return {**FAULTS, **(OF_SQLITE if self.server is None else OF_POSTGRESQL)}

    def any_one(self) -> None:
        """All kinds come in turn, each time in another order."""
        if not self._next:
            self._next = list(self.kinds)
            self.chance.shuffle(self._next)
        name = self._next.pop()
        self.kinds[name](self)
        self.done[name] = self.done.get(name, 0) + 1

    # The gateway

    def kill_worker(self) -> None:
        self._signal_worker(signal.SIGKILL)

    def freeze_worker(self) -> None:
        pid = self._signal_worker(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.1, LONGEST_FREEZE_SECONDS))
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _signal_worker(self, number: signal.Signals) -> int:
        pids = self.gateway.worker_pids()
        pid = self.chance.choice(pids) if pids else 0
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    def restart(self) -> None:
        self.gateway.stop()
        self.gateway.start()

    def kill_gateway(self) -> None:
        self.gateway.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.gateway.start()

    def kill_clerk(self) -> None:
        self.clerk.kill()

    # The database

    def hold_lock(self) -> None:
        """Another process writes, and takes its time."""
        path = self.gateway.database_url.removeprefix("sqlite:///")
        connection = sqlite3.connect(path, timeout=20, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(self.chance.uniform(0.2, LONGEST_LOCK_SECONDS))
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def crash_server(self) -> None:
        """As `pg_ctl stop -m immediate`: nothing is tidied up, and the next start recovers from its log."""
        assert self.server is not None
        self.server.process.send_signal(signal.SIGQUIT)
        self.server.process.wait(30)
        time.sleep(self.chance.uniform(0, 1.5))
        self.server.start()

    def kill_backend(self) -> None:
        """kill -9 of the process that serves one connection: the server drops all others, and recovers."""
        pids = _backends(self.server.pid if self.server else 0)
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(pids), signal.SIGKILL)
            self._wait_for_server()

    def terminate_all(self) -> None:
        with suppress(psycopg.Error), self._connected() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def _wait_for_server(self) -> None:
        assert self.server is not None
        time.sleep(0.1)
        self.server.wait()

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        assert self.server is not None
        return psycopg.connect(self.server.url, connect_timeout=5, autocommit=True)


def _backends(postmaster: int) -> list[int]:
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [int(pid) for pid in children if b"weighbridge" in _command_line(pid)]


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


FAULTS: dict[str, Callable[[Faults], None]] = {
    "kill -9 of a worker": Faults.kill_worker,
    "a worker frozen": Faults.freeze_worker,
    "SIGTERM and a new start": Faults.restart,
    "kill -9 of all and a new start": Faults.kill_gateway,
    "kill -9 of the clerk": Faults.kill_clerk,
}
OF_SQLITE: dict[str, Callable[[Faults], None]] = {"write lock held": Faults.hold_lock}
OF_POSTGRESQL: dict[str, Callable[[Faults], None]] = {
    "server crashed": Faults.crash_server,
    "kill -9 of a backend": Faults.kill_backend,
    "all connections ended": Faults.terminate_all,
}
