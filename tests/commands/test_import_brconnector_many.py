"""Moving in from BRConnector: thousands of threads, a process that is killed, and a gateway that serves meanwhile."""

import json
import os
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import ApiKey, Charge
from accounts.services.ledger.audit import audit
from chat.models import Session, Thread
from chat.services.conversations import session_breaks
from tests.commands.brconnector_database import BRConnectorDatabase


@pytest.fixture(autouse=True)
def _database(database: None) -> None:
    """Commands commit."""


def move_in(capsys: pytest.CaptureFixture[str], source: BRConnectorDatabase, *options: str) -> Any:
    call_command("import_brconnector", "--dsn", source.url, "--json", *options)
    return json.loads(capsys.readouterr().out)


def test_two_thousand_threads_come_over_and_the_books_agree(
    capsys: pytest.CaptureFixture[str], brconnector: BRConnectorDatabase
) -> None:
    count = int(os.environ.get("THREADS", "2000"))
    brconnector.add_threads(count)
    shown = move_in(capsys, brconnector)
    print(shown)
    assert shown["counts"]["eiai_thread"]["added"] == count
    assert not shown["did_not_fit"]
    assert audit() == [] and session_breaks() == []
    assert Thread.objects.count() == Charge.objects.count() == count
