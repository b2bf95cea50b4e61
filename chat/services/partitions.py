"""Months of what was said, on PostgreSQL: each has a partition of its own, so that a whole month is removed at once.

Elsewhere the table is a plain one, and nothing here does anything. A row whose month has no partition goes to the one
for the rest, so that no insert ever fails.
"""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from chat.models import ThreadBody
from common.months import next_month

logger = logging.getLogger(__name__)

TABLE = ThreadBody._meta.db_table
REST = f"{TABLE}_rest"
NAME = re.compile(rf"{TABLE}_(\d{{4}})_(\d{{2}})")
MONTHS_AHEAD = 2
# Making and dropping one takes a lock that calls wait behind; rather than to wait for it, it is tried again later.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '500ms'"


def exist() -> bool:
    """Whether this database has months; not before the migration that makes them."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        return bool(cursor.fetchone()[0])


def make_ahead() -> None:
    """Make what is missing of this month and the next ones."""
    month = month_of(timezone.now())
    for _ in range(MONTHS_AHEAD + 1):
        make(month)
        month = next_month(month)


def make(month: date) -> bool:
    """Make a month's partition. False: there is one, or its rows are in the rest already, or the table is busy."""
    if not exist() or month in months():
        return False
    since, until = month.isoformat(), next_month(month).isoformat()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK_TIMEOUT)
            cursor.execute(f"SELECT 1 FROM {REST} WHERE created_at >= %s AND created_at < %s LIMIT 1", [since, until])
            if cursor.fetchone():
                return False
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE}_{month:%Y_%m} PARTITION OF {TABLE} "
                f"FOR VALUES FROM ('{since} 00:00+00') TO ('{until} 00:00+00')"
            )
            return True
    except OperationalError as error:
        logger.warning("no partition for %s yet: %s", month, error)
        return False


def months() -> list[date]:
    """The months that have a partition, the oldest first."""
    if not exist():
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s)", [TABLE])
        names = [NAME.fullmatch(name) for (name,) in cursor.fetchall()]
    return sorted(date(int(name[1]), int(name[2]), 1) for name in names if name)


def drop_before(moment: datetime) -> Iterator[date]:
    """Remove the months that had ended by then, and say which."""
    for month in months():
        if next_month(month) <= moment.astimezone(UTC).date() and _drop(month):
            yield month


def _drop(month: date) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK_TIMEOUT)
            cursor.execute(f"DROP TABLE IF EXISTS {TABLE}_{month:%Y_%m}")
            return True
    except OperationalError as error:
        logger.warning("the partition of %s stays for now: %s", month, error)
        return False


def month_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date().replace(day=1)
