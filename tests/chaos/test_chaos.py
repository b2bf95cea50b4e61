"""The short form of `make chaos`: a few seconds of everything at once on each database, and nothing is overspent."""

import pytest

from bench.postgres import PostgresServer
from tests.chaos.run import Plan, run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEED = 20
SECONDS = 8
SECONDS_BETWEEN_FAULTS = 0.5


def plan(database: str) -> Plan:
    return Plan(database, SEED, SECONDS, seconds_between_faults=SECONDS_BETWEEN_FAULTS)


def test_nothing_is_overspent_on_sqlite() -> None:
    report = run(plan("sqlite"))
    print(report)
    assert report.problems == []
    assert report.spent > 0


def test_nothing_is_overspent_on_postgresql() -> None:
    with PostgresServer() as server:
        report = run(plan("postgresql"), server)
    print(report)
    assert report.problems == []
    assert report.spent > 0
