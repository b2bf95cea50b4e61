"""Real workers beside a real gateway, and tasks started and watched as a client does it."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

import psycopg
import requests

from tests.fakes.lister import FakeLister, ListerHandler
from tests.served.gateway import ROOT, ServedGateway

SILENCE = "1.5"  # seconds
END_SECONDS = 60


class Worker:
    """`manage.py work` as its own process; as a context manager it is killed at the end."""

    def __init__(self, gateway: ServedGateway, *flags: str) -> None:
        self.log = gateway.folder / "worker.log"
        command = [sys.executable, "manage.py", "work", "--silence", SILENCE, *flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=gateway.environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        said = self.log.read_text()
        assert "Traceback" not in said and "database is locked" not in said, said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def send(self, number: int) -> None:
        self.process.send_signal(number)


class Tasks:
    """A client of the service API."""

    def __init__(self, gateway: ServedGateway) -> None:
        self.gateway = gateway
        self.headers = {"X-API-Key": gateway.create_key("--role", "admin")}

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = f"{self.gateway.url}/api/v1/{path}"
        return requests.request(method, url, headers=self.headers, json=body, timeout=30)

    def start(self, path: str, body: Any = None) -> int:
        answer = self.ask("POST", path, body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["data"]["task_id"])

    def task(self, id: int) -> dict[str, Any]:
        return dict(self.ask("GET", f"system/tasks/{id}").json()["data"])

    def cancel(self, id: int) -> requests.Response:
        return self.ask("POST", f"system/tasks/{id}/cancel")

    def file(self, id: int) -> str:
        answer = self.ask("GET", f"system/tasks/{id}/file")
        assert answer.status_code == 200, answer.text
        return answer.content.decode()

    def wait(self, id: int, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + END_SECONDS
        while not until(task := self.task(id)):
            assert time.monotonic() < deadline, task
            time.sleep(0.02)
        return task

    def wait_for_progress(self, id: int, least: int = 1) -> dict[str, Any]:
        """Until it has done something, and not all."""
        task = self.wait(id, lambda task: task["progress"]["done"] >= least or task["status"] != "running")
        assert task["status"] == "running", f"too quick to be disturbed: {task}"
        return task

    def wait_for_end(self, id: int) -> dict[str, Any]:
        return self.wait(id, lambda task: task["status"] != "running")

    def row(self, id: int, *columns: str) -> tuple[Any, ...]:
        return self.gateway.rows(f"SELECT {', '.join(columns)} FROM common_job WHERE id = {id}")[0]


class SlowLister(FakeLister):
    """Takes its time for each list."""

    def __init__(self, *entries: Any, seconds: float) -> None:
        super().__init__(*entries)
        self.seconds = seconds

    class handler(ListerHandler):
        def respond(self, body: Any) -> None:
            time.sleep(self.fake.seconds)  # type: ignore[attr-defined]
            super().respond(body)


def declare(gateway: ServedGateway, upstream: FakeLister, *names: str) -> None:
    """Providers of the fake, all at once; others are switched off."""
    file = gateway.folder / "providers.yaml"
    keys = f"[{{name: default, secret: 'file:{gateway.folder / 'secret'}'}}]"
    (gateway.folder / "secret").write_text(upstream.key)
    lines = [f"- {{name: {name}, base_url: '{upstream.origin}/v1', keys: {keys}}}" for name in names]
    file.write_text("\n".join(["version: 1", "providers:", *lines, ""]))
    gateway.manage("import_config", str(file))
    mine = ", ".join(f"'{name}'" for name in names)
    execute(gateway, f"UPDATE providers_provider SET is_enabled = (name IN ({mine}))")


def execute(gateway: ServedGateway, statement: str) -> None:
    if gateway.database_url.startswith("sqlite"):
        with sqlite3.connect(gateway.database_url.removeprefix("sqlite:///"), timeout=30) as connection:
            connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(gateway.database_url.replace("postgres://", "postgresql://")) as postgresql:
        postgresql.execute(statement.encode())


# A UUID out of a number, in either database's form.
UUID_OF = {"sqlite": "printf('%032x', n)", "postgres": "lpad(to_hex(n), 32, '0')::uuid"}


def multiply_charges(gateway: ServedGateway, count: int) -> None:
    """Copies of the one charge there is."""
    kind = gateway.database_url.partition(":")[0]
    columns = [name for name in _columns(gateway, kind) if name not in ("id", "uuid", "request_id")]
    names = ", ".join(columns)
    execute(
        gateway,
        f"INSERT INTO accounts_charge (uuid, request_id, {names}) "
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"SELECT {UUID_OF[kind]}, 'req_' || n, {names} FROM accounts_charge, numbers",
    )


def _columns(gateway: ServedGateway, kind: str) -> list[str]:
    queries = {
        "sqlite": "SELECT name FROM pragma_table_info('accounts_charge')",
        "postgres": "SELECT column_name FROM information_schema.columns WHERE table_name = 'accounts_charge'",
    }
    return [row[0] for row in gateway.rows(queries[kind])]
