"""Moving in from BRConnector: thousands of threads.

By hand, with as many threads as one likes: THREADS=100000 pytest -s --timeout 600 <this file>
"""

import json
import os

import pytest
from django.core.management import call_command

from accounts.models import Charge
from accounts.services.ledger.audit import audit
from chat.models import Thread
from chat.services.conversations import session_breaks
from tests.commands.brconnector_database import BRConnectorDatabase

THREADS = int(os.environ.get("THREADS", "2000"))
MOST_SECONDS = 60


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
