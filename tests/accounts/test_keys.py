"""API keys: made, recognised, revoked, paid for."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.errors import InvalidKey, KeyRevoked
from accounts.models import ApiKey, Payment
from accounts.services import keys
from accounts.services.ledger.audit import audit
from tests import factories


@pytest.fixture(autouse=True)
def _database(database: None) -> None:
    """Keys are looked up over connections of their own."""


def test_the_database_holds_a_digest_and_no_secret() -> None:
    issued = factories.key()
    row = ApiKey.objects.values().get()
    assert issued.secret not in str(row)
    assert row["digest"] == keys.digest(issued.secret)
    assert issued.secret.startswith(row["prefix"])
    assert issued.secret not in repr(issued)


def test_secrets_differ_and_are_long() -> None:
    secrets = {factories.key().secret for _ in range(20)}
    assert len(secrets) == 20
    assert all(len(secret) == 43 and secret.startswith("wb-") for secret in secrets)


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "x", str.upper, lambda s: "", lambda s: s[:10]])
def test_almost_a_secret_is_no_secret(change: object) -> None:
    issued = factories.key()
    with pytest.raises(InvalidKey):
        keys.authenticate(change(issued.secret))  # type: ignore[operator]


def test_a_key_is_remembered_until_it_is_forgotten() -> None:
    issued = factories.key()
    keys.authenticate(issued.secret)
    keys.revoke(key=issued.key)
    assert keys.authenticate(issued.secret).id == issued.key.pk  # a hint; the admission decides
    keys.forget()
    with pytest.raises(KeyRevoked):
        keys.authenticate(issued.secret)


def test_money_paid_in_parallel_adds_up() -> None:
    key = factories.key(month_quota=Decimal(0), balance=Decimal(1)).key

    def pay(_: int) -> None:
        keys.recharge(key=ApiKey.objects.get(pk=key.pk), amount=Decimal("0.1"))
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pay, range(20)))
    key.refresh_from_db()
    assert key.balance == 3
    assert Payment.objects.count() == 21
    assert audit() == []


def test_a_wrong_key_leaves_nothing_behind() -> None:
    with pytest.raises(ValidationError):
        keys.issue(name="x", month_quota=Decimal(0), balance=Decimal(-5))
    assert not ApiKey.objects.exists()


def test_there_is_one_console_key_however_many_ask() -> None:
    def ask(_: int) -> int:
        found = keys.console_key().pk
        connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1
    ApiKey.objects.update(is_active=False)
    assert keys.console_key().is_usable
