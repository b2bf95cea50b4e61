"""Moving in from BRConnector with processes that are killed, and with a gateway that serves meanwhile."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from bench.postgres import PostgresServer
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.fakes.openai import FakeOpenAI
from tests.served import databases
from tests.served.gateway import ROOT, ServedGateway

LONGEST_WAIT_SECONDS = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, brconnector_server: PostgresServer) -> Iterator[ServedGateway]:
    """A gateway with a database of its own, not started yet."""
    gateway = ServedGateway(databases.create(brconnector_server) if request.param == "postgresql" else "")
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
