"""The short form of `make chaos`: a few seconds of everything at once on each database, and nothing is overspent."""

import pytest

from bench.postgres import PostgresServer
from tests.chaos.run import Plan, run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEED = 20
SECONDS = 10


def test_nothing_is_overspent_on_sqlite() -> None:
    report = run(Plan("sqlite", SEED, SECONDS))
    print(report)
    assert report.problems == []
    assert report.spent > 0


def test_nothing_is_overspent_on_postgresql() -> None:
    with PostgresServer() as server:
        report = run(Plan("postgresql", SEED, SECONDS), server, server.url)
    print(report)
    assert report.problems == []
    assert report.spent > 0
