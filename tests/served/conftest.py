from collections.abc import Iterator

import pytest

from bench.postgres import PostgresServer
from tests.commands.brconnector_database import brconnector, brconnector_server  # noqa: F401  # fixtures
from tests.fakes.openai import FakeOpenAI
from tests.served import databases
from tests.served.gateway import ServedGateway


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A private PostgreSQL; says how to install it when it is missing."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as upstream:
        yield upstream


def database_url(request: pytest.FixtureRequest, kind: str) -> str:
    """A new, migrated database of that kind; empty: the gateway makes its own."""
    if kind == "sqlite":
        return ""
    return databases.create(request.getfixturevalue("postgresql"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest, fake: FakeOpenAI) -> Iterator[ServedGateway]:
    """One gateway for a module's tests, on each database in turn."""
    with ServedGateway(database_url(request, request.param), WEB_WORKERS="2") as served:
        served.add_upstream(fake, *MODELS)
        yield served


MODELS = ("echo", "hang", "hang-midstream", "cut", "slow", "slow-forever", "no-usage")
