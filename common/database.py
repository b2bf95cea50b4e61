"""Borrowing a database connection for a moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


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
