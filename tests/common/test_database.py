"""Statements that are sent together."""

import pytest
from django.db import IntegrityError, connection, transaction

from common.database import pipelined
from common.models import ConfigVersion

pytestmark = pytest.mark.usefixtures("database")

TABLE = ConfigVersion._meta.db_table


def number() -> int:
    return ConfigVersion.objects.get(pk=1).number


def test_results_are_read_among_them_and_afterwards() -> None:
    with transaction.atomic(), connection.cursor() as first, connection.cursor() as second:
        with pipelined(connection):
            first.execute(f"UPDATE {TABLE} SET number = 41 WHERE id = 1")
            first.execute(f"SELECT number FROM {TABLE}")
            second.execute(f"UPDATE {TABLE} SET number = number + 1 WHERE id = 1")
            assert first.fetchone() == (41,)
            second.execute(f"SELECT number FROM {TABLE}")
        assert second.fetchone() == (42,)
    assert number() == 42


def test_an_error_is_django_s_own_and_undoes_them_all() -> None:
    before = number()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor, pipelined(connection):
        cursor.execute(f"UPDATE {TABLE} SET number = number + 1 WHERE id = 1")
        cursor.execute(f"INSERT INTO {TABLE} (id, number) VALUES (1, 0)")
        cursor.execute(f"UPDATE {TABLE} SET number = number + 1 WHERE id = 1")
    assert number() == before
    with transaction.atomic(), pipelined(connection), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET number = 7 WHERE id = 1")
    assert number() == 7
