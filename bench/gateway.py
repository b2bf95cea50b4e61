"""The gateway under measurement: new database, one provider, two models, a key, served by gunicorn as in production."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.postgres import PostgresServer
from bench.processes import ROOT, BenchError, Server, answers_ok, free_port
from bench.runs import Subject

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
MODELS = ("stub", "stub-slow")
PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "DJANGO_SETTINGS_MODULE")


@contextmanager
def database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of a fresh database, and its server for as long as the block lasts."""
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'bench.sqlite3'}"
    else:
        with PostgresServer() as server:
            yield server.url


# Far beyond what a run uses: they are counted, and let everything in.
COUNTED = ("--metric requests --window minute", "--metric tokens --window hour", "--metric cost --window day")
LIMITS = {"none": (), "calendar": COUNTED, "sliding": tuple(f"{options} --sliding" for options in COUNTED)}


def environment(database_url: str, directory: Path) -> dict[str, str]:
    """Nothing of the caller's own settings: two people's figures should differ by their machines only."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return kept | {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(directory),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "API_KEY_PEPPER": secrets.token_urlsafe(32),
        "ALLOWED_HOSTS": "127.0.0.1",
        "WEB_WORKERS": "1",
        "LOG_LEVEL": "WARNING",
    }


class Manager:
    """`manage.py` with one environment."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    def run(self, command_line: str) -> str:
        command = [sys.executable, "manage.py", *command_line.split()]
        done = subprocess.run(command, cwd=ROOT, env=self.variables, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"`manage.py {command_line}` failed:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def provision(self, upstream_url: str, limits: str) -> str:
        """One provider, its models and a key that may use them, with three limits of that sort; answers the key."""
        self.run("migrate --verbosity 0")
        self.run(f"add_provider bench --requester openai --base-url {upstream_url} --key sk-bench --json")
        for model in MODELS:
            served = f"--provider bench --upstream-name {model} --price-in 1 --price-out 2 --max-output 4096"
            self.run(f"add_model {model} {served} --json")
        issued = self.run("create_key bench --quota 1000000 --all-models --json")
        key: str = json.loads(issued)["key"]
        for number, options in enumerate(LIMITS[limits]):
            self.run(f"set_limit {number} --key bench {options} --most 800000000 --json")
        return key


@contextmanager
def serving(kind: str, upstream_url: str, limits: str = "none") -> Iterator[Subject]:
    """One worker on a fresh database. Its ledger is audited when it has stopped: a fast wrong bill is no result."""
    with tempfile.TemporaryDirectory(prefix="wb-bench-") as name:
        directory = Path(name)
        with database(kind, directory) as database_url:
            manager = Manager(environment(database_url, directory))
            key = manager.provision(upstream_url, limits)
            port = free_port()
            with gunicorn(port, manager.variables, directory) as server:
                yield Subject(DATABASES[kind], f"http://127.0.0.1:{port}/v1", key, server)
            manager.run("audit_ledger")


@contextmanager
def gunicorn(port: int, variables: dict[str, str], directory: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "gunicorn", "-c", "gateway/gunicorn.py", "gateway.wsgi:application"]
    with Server([*command, "--bind", f"127.0.0.1:{port}"], directory / "gunicorn.log", variables) as server:
        server.wait_until(lambda: answers_ok(port, "/health"))
        yield server
