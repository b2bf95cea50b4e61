"""Moving in from BRConnector: thousands of threads, processes that are killed, and a gateway that serves meanwhile.

By hand, with as many threads as one likes: THREADS=100000 pytest -s --timeout 600 <this file> -k thousand
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from django.core.management import call_command

from accounts.models import Charge
from accounts.services.ledger.audit import audit
from bench.postgres import PostgresServer
from chat.models import Thread
from chat.services.conversations import session_breaks
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ROOT, ServedGateway

THREADS = int(os.environ.get("THREADS", "2000"))
MOST_SECONDS = 60
LONGEST_WAIT_SECONDS = 3


def test_thousands_of_threads_come_over_and_the_books_agree(
    database: None, capsys: pytest.CaptureFixture[str], brconnector: BRConnectorDatabase
) -> None:
    brconnector.add_threads(THREADS)
    call_command("import_brconnector", "--dsn", brconnector.url, "--json")
    shown = json.loads(capsys.readouterr().out)
    print(f"{THREADS} threads in {shown['seconds']} s")
    assert shown["counts"]["eiai_thread"] == {"added": THREADS, "already_here": 0, "left_out": 0}
    assert shown["seconds"] < MOST_SECONDS
    assert not shown["did_not_fit"]
    assert audit() == []
    assert session_breaks() == []
    assert Thread.objects.count() == Charge.objects.count() == THREADS  # nothing is left on trust


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, brconnector_server: PostgresServer) -> Iterator[ServedGateway]:
    """A gateway with a database of its own, not started yet."""
    url = ""
    if request.param == "postgresql":
        name = f"ours_{uuid4().hex[:12]}"
        with psycopg.connect(brconnector_server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = brconnector_server.url.rsplit("/", 1)[0] + f"/{name}"
    gateway = ServedGateway(url)
    gateway.manage("migrate", "-v0")
    yield gateway
    if gateway.process:
        gateway.kill()


def start(served: ServedGateway, source: BRConnectorDatabase, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "import_brconnector", "--dsn", "-", "--json", *options]
    process = subprocess.Popen(
        command, cwd=ROOT, env=served.environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(source.url + "\n")
    process.stdin.flush()
    return process


def ended(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return json.loads(out)["counts"]


def count(served: ServedGateway, table: str) -> int:
    return int(served.rows(f"SELECT count(*) FROM {table}")[0][0])


def test_a_killed_import_goes_on_where_it_was(served: ServedGateway, brconnector: BRConnectorDatabase) -> None:
    brconnector.add_threads(2000)
    reached = 0
    for goal in (1, 700):
        process = start(served, brconnector, "--batch", "20")
        while process.poll() is None and count(served, "chat_thread") < goal:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert reached < count(served, "chat_thread") < 2000
        reached = count(served, "chat_thread")
        served.audit()
        assert served.rows("SELECT sum(spent) FROM accounts_apikey")[0][0] == 2000 * 3_300_000
    counts = ended(start(served, brconnector))
    assert counts["eiai_thread"] == {"added": 2000 - reached, "already_here": reached, "left_out": 0}
    served.audit()
    assert count(served, "chat_thread") == count(served, "accounts_charge") == 2000
    assert not any(table["added"] for table in ended(start(served, brconnector)).values())


def test_calls_go_on_while_it_runs(
    served: ServedGateway, brconnector: BRConnectorDatabase, upstream: FakeOpenAI
) -> None:
    brconnector.add_threads(4000)
    served.add_upstream(upstream, "echo")
    secret = served.create_key()
    served.start()
    process = start(served, brconnector)
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    headers, seconds = {"Authorization": f"Bearer {secret}"}, []
    while process.poll() is None:
        began = time.monotonic()
        answer = requests.post(f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=20)
        assert answer.status_code == 200
        seconds.append(time.monotonic() - began)
    assert ended(process)["eiai_thread"]["added"] == 4000
    print(f"{len(seconds)} calls, the longest {max(seconds):.2f} s")
    assert len(seconds) > 5
    assert max(seconds) < LONGEST_WAIT_SECONDS
    served.audit()
