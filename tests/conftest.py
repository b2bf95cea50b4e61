"""What the tests share: a database that starts whole, a fake upstream, and a process that forgets between tests."""

from collections.abc import Iterator

import pytest
from django.db import connection

from accounts.services import keys
from accounts.services.ledger import writer
from chat.services import partitions, snapshot
from common.models import ConfigVersion
from providers.services import board, board_sync
from tests import emptying
from tests.fakes.openai import FakeOpenAI

emptying.replace_flush()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this database does not have. Nothing is skipped: what runs on the other one is no gap."""
    if connection.vendor == "postgresql":
        return
    left_out = [item for item in items if item.get_closest_marker("on_postgresql")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def upstream() -> Iterator[FakeOpenAI]:
    """An OpenAI-compatible server on a real socket."""
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def database(transactional_db: None) -> Iterator[None]:
    """A real database with real commits: the ledger's writer reads and writes it over a connection of its own."""
    ConfigVersion.objects.get_or_create(pk=1)  # the migration's row, which the flush between tests removes
    forget()
    yield
    forget()


@pytest.fixture
def own_months(database: None) -> Iterator[None]:
    """Months that a test makes are gone after it."""
    before = set(partitions.months())
    yield
    for month in set(partitions.months()) - before:
        partitions._drop(month)


def forget() -> None:
    """Be a process that has just started."""
    board_sync.stop()
    board.forget()
    writer.stop()
    snapshot.forget()
    keys.forget()


@pytest.fixture(autouse=True)
def _no_writer_is_left() -> Iterator[None]:
    yield
    board_sync.stop()
    writer.stop()
