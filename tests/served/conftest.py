from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from bench.postgres import PostgresServer
from tests.fakes.openai import FakeOpenAI
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
    """A fresh database of that kind."""
    if kind == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgresql")
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server.url.replace("postgres://", "postgresql://"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest, fake: FakeOpenAI) -> Iterator[ServedGateway]:
    """One gateway for a module's tests, on each database in turn."""
    with ServedGateway(database_url(request, request.param), WEB_WORKERS="2") as served:
        served.add_upstream(fake, *MODELS)
        yield served


MODELS = ("echo", "hang", "hang-midstream", "cut", "slow", "slow-forever", "no-usage")
