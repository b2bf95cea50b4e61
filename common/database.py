"""The database as its users share it: connections borrowed for a moment, short writes, one view of all rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

Done = TypeVar("Done")

LOCK_TRY_SECONDS = 0.02


def use_own_connection(*, sqlite_timeout_seconds: float) -> None:
    """Give the current thread a connection outside the pool: it must not wait for those that it serves.

    On SQLite it waits for a lock no longer than that, since SQLite's waiting stops every greenlet of the process.
    """
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
    if own.vendor == "sqlite":
        options["timeout"] = sqlite_timeout_seconds
    own.settings_dict = {**own.settings_dict, "OPTIONS": options}
    connections[DEFAULT_DB_ALIAS] = own


@contextmanager
def borrowed_connection() -> Iterator[None]:
    """Give the connection back afterwards, so that a call waiting on an upstream holds none.

    Inside a transaction (a test's, a command's) it stays, since closing would end that transaction.
    """
    try:
        yield
    finally:
        if not connection.in_atomic_block:
            connection.close()


def written(write: Callable[[], Done], *, within_seconds: float) -> Done:
    """What a short write of a call comes to, over a borrowed connection.

    On SQLite another process may hold the lock: it is waited for in small steps, in which other calls go on.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        try:
            with borrowed_connection():
                if connection.vendor == "sqlite":
                    with connection.cursor() as cursor:
                        cursor.execute(f"PRAGMA busy_timeout = {round(LOCK_TRY_SECONDS * 1000)}")
                return write()
        except OperationalError as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(LOCK_TRY_SECONDS)


@contextmanager
def pipelined(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Statements go out together and are waited for once: where a result is read, else at the end, where an error is
    raised, too. In a transaction. PostgreSQL's pipeline mode (psycopg's documentation, "Pipeline mode support"); with
    SQLite there is nobody to wait for."""
    if database.vendor != "postgresql":
        yield
        return
    with database.wrap_database_errors, database.connection.pipeline():
        yield


def remove(rows: QuerySet[Any], *, at_once: int = 500) -> None:
    """Remove all of these, a few at a time: SQLite has one lock for all who write."""
    while chunk := list(rows.values_list("pk", flat=True)[:at_once]):
        rows.model._default_manager.filter(pk__in=chunk).delete()


def as_utc(moment: datetime | str) -> datetime:
    """A time that a cursor gave. SQLite keeps UTC without saying so, and gives a text where no model reads it;
    PostgreSQL answers in the connection's zone."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def one_moment() -> Iterator[None]:
    """All queries see the rows as they were at one moment, while calls go on being written."""
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
