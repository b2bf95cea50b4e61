"""A private PostgreSQL for the benchmark and the tests: temporary folder, free port of 127.0.0.1, gone afterwards."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT
from typing import Any, Self

import psycopg

from bench.processes import BenchError, free_port, stop

START_TIMEOUT_SECONDS = 60
# PostgreSQL refuses to run as root; the first of these that exists runs it then.
UNPRIVILEGED_USERS = ("postgres", "nobody")
USER = "weighbridge"
DEBIAN_FOLDER = Path("/usr/lib/postgresql")


class PostgresMissing(BenchError):
    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL's programs initdb and postgres were not found: `apt-get install postgresql` (Debian, Ubuntu) "
            "or `brew install postgresql` brings them."
        )


def find_binaries() -> Path:
    """The folder that holds both programs: where PATH says, else Debian's newest."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(DEBIAN_FOLDER.glob("*/bin"), key=lambda folder: -major_version(folder))
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing


def major_version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def unprivileged() -> dict[str, Any]:
    """The arguments that make subprocess drop root's rights; none where there are none to drop."""
    if os.geteuid() != 0:
        return {}
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in users:
            return {"user": name, "group": users[name].pw_gid, "extra_groups": []}
    raise BenchError("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it.")


class PostgresServer:
    """A fresh server with one superuser and durable default settings, unless `settings` changes some of them."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.settings = dict(settings or {})
        self.binaries = find_binaries()
        self.identity = unprivileged()
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="wb-postgres-"))
        try:
            self.initialise()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # SIGINT is PostgreSQL's fast shutdown: it disconnects whoever is left instead of waiting for them.
        stop(self.process, SIGINT)
        self.remove()

    def initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if user := self.identity.get("user"):
            for path in (self.folder, password_file):
                shutil.chown(path, user)
        command = [str(self.binaries / "initdb"), "--pgdata", str(self.folder / "data"), "--username", USER]
        command += ["--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        # Only the making of the folder goes unsynced; the server itself keeps its durable defaults.
        made = subprocess.run([*command, "--no-sync"], cwd=self.folder, capture_output=True, text=True, **self.identity)
        if made.returncode:
            raise BenchError(f"initdb failed: {made.stderr.strip()}")

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        } | self.settings
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, **self.identity
            )
        try:
            self.wait()
        except BaseException:
            stop(self.process, SIGINT)
            raise

    def wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise BenchError(f"PostgreSQL did not start:\n{log}") from error
                time.sleep(0.05)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
