"""A real gateway for tests: gunicorn as production runs it, on a free port, over a database of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg
import requests

from accounts.services.ledger.worker import identity_of
from bench.processes import free_port
from tests.fakes.server import FakeVendor
from tests.served import databases
from tests.served.databases import ROOT
from tests.served.desk import Desk

__all__ = ["HELD", "ROOT", "ServedGateway"]

HELD = "SELECT COUNT(*) FROM accounts_charge WHERE state = 'held'"


class ServedGateway:
    """Start it with `with`; `stop()` and `kill()` act on the real processes.

    `database_url`: of a database that is migrated; without one, it is an SQLite file of the gateway's own."""

    def __init__(self, database_url: str = "", **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-served-"))
        self.database_url = database_url or databases.copy_to(self.folder / "served.sqlite3")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.folder / "gunicorn.log"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "gateway.settings",
            "DATABASE_URL": self.database_url,
            "VAR_DIR": str(self.folder),
            "BIND": f"127.0.0.1:{self.port}",
            "SHUTDOWN_SECONDS": "5",
            **environment,
        }
        self.desk = Desk(self.environment)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.desk.close()

    def start(self) -> None:
        (self.folder / "static").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "gunicorn", "-c", "gateway/gunicorn.py", "gateway.wsgi:application"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_until_up()

    def wait_until_up(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError(f"the gateway did not come up:\n{self.log.read_text()}")

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def kill(self) -> None:
        """kill -9 for the master and every worker: nobody gets to tidy up. All are dead when it returns."""
        assert self.process is not None
        workers = self.worker_pids()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        while any(map(_is_alive, workers)):
            time.sleep(0.01)

    def worker_pids(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = self.desk.run(*arguments)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def audit(self) -> str:
        """What `audit_ledger` says; it must exit 0."""
        result = self.manage("audit_ledger", check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.strip()

    def add_upstream(self, upstream: FakeVendor, *names: str, **prices: str) -> None:
        """A provider for the fake, and a model for each of its behaviours. What makes a provider rest needs its own."""
        name = f"fake {upstream.port} {names[0]}"
        self.manage("add_provider", name, "--base-url", f"{upstream.origin}/v1", "--key", upstream.key)
        options = {"price_in": "0", "price_out": "1000", "max_output": "100", **prices}
        flags = [text for field, value in options.items() for text in (f"--{field.replace('_', '-')}", value)]
        for model in names:
            self.manage("add_model", model, "--provider", name, *flags)

    def create_key(self, *flags: str) -> str:
        shown = self.manage("create_key", "tester", "--all-models", "--json", *flags).stdout
        return str(json.loads(shown)["key"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the database directly, as an auditor from outside would."""
        if self.database_url.startswith("sqlite"):
            import sqlite3

            connection = sqlite3.connect(self.database_url.removeprefix("sqlite:///"))
            try:
                return connection.execute(query).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.database_url.replace("postgres://", "postgresql://")) as postgresql:
            return postgresql.execute(query.encode()).fetchall()

    def wait_for_rows(self, query: str, wanted: Any, seconds: float = 10) -> None:
        """Wait until the query's first column reads `wanted`."""
        deadline = time.monotonic() + seconds
        while (found := [row[0] for row in self.rows(query)]) != wanted:
            assert time.monotonic() < deadline, f"{query}: {found}, expected {wanted}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        identity_of(pid)
    except OSError:
        return False
    return True
