"""What tests of the ledger's limits begin with."""

import pytest

from tests import factories
from tests.accounts.limiting import Clock, Desk


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def desk(database: None, clock: Clock) -> Desk:
    return Desk(factories.key(month_quota=None, email="alice@example.com"))
