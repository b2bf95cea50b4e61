"""`manage.py up` as a user runs it: its own process, its own folder, none of the tests' settings."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 20
NOT_INHERITED = ("VAR_DIR", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "API_KEY_PEPPER", "DATABASE_URL", "REDIS_URL")
NOT_INHERITED += ("DJANGO_SETTINGS_MODULE", "STATIC_ROOT", "PORT", "HOST", "EMBEDDED_MODEL")
TABLES = ("accounts_user", "accounts_apikey", "providers_provider", "providers_aimodel")


def environment(var: Path, port: int, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {**inherited, "VAR_DIR": str(var), "PORT": str(port), **more}


class Up:
    """A running `up`; as a context manager it is stopped at the end."""

    def __init__(self, var: Path, port: int, **more: str) -> None:
        self.var = var
        self.port = port
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment(var, port, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(STOP_SECONDS)  # ends when the last process that holds the pipe is gone

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            self.lines.extend(self.process.stdout)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def secrets(self) -> dict[str, Any]:
        return dict(json.loads((self.var / "first-run.json").read_text()))

    @property
    def curl(self) -> str:
        return next(line for line in self.lines if line.startswith("curl "))

    def wait_for(self, text: str) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while text not in self.output:
            assert self.process.poll() is None and time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return self

    def wait_until_ready(self) -> Self:
        return self.wait_for("\nWeighbridge is running.").wait_for("  Models ")

    def wait_until_pasteable(self) -> Self:
        return self.wait_for("\ncurl ").wait_for("}'\n")

    def children(self) -> list[int]:
        """Every process below `up`."""
        found, new = [], [self.process.pid]
        while new:
            listing = Path(f"/proc/{new[0]}/task/{new[0]}/children").read_text()
            new = [*new[1:], *map(int, listing.split())]
            found += map(int, listing.split())
        return found

    def rows(self) -> dict[str, int]:
        return {table: self.count(table) for table in TABLES}

    def count(self, table: str) -> int:
        connection = sqlite3.connect(self.var / "weighbridge.sqlite3")
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def refused(var: Path, port: int, **more: str) -> str:
    """What an `up` that does not start says."""
    done = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=environment(var, port, **more),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1 and not done.stdout, done
    return done.stderr


def are_gone(pids: list[int], seconds: float = STOP_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_alive(pid: int) -> bool:
    """A zombie that nobody has collected yet is as good as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
