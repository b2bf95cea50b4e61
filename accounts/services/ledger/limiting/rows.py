"""Counters in the database: locked, read and written, each in one statement whatever their number."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import LimitCounter, LimitNotice
from accounts.models.limits import NO_START
from accounts.services.ledger.limiting.counters import Counter, CounterKey, Counters, Line
from accounts.services.ledger.limiting.deciding import Entry, key_of
from accounts.services.ledger.limiting.rules import Claim
from accounts.services.ledger.limiting.windows import Clock, horizon_of
from accounts.services.ledger.sql import Insert, Update, columns, run_many
from common.database import as_utc

COUNTERS = LimitCounter._meta.db_table
COLUMNS = "c.limit_id, c.member, c.starts_at, c.used, c.held, c.id"
INSERT_COUNTER = Insert(COUNTERS, columns("limit_id member starts_at used held"))
UPDATE_COUNTER = Update(COUNTERS, ("used", "held"))
INSERT_NOTICE = Insert(
    LimitNotice._meta.db_table,
    columns("limit_id member starts_at percent used created_at due_at attempts error"),
    on_conflict="DO NOTHING",
)

# Inserts what is new and locks what is there, row by row in one order, so that no two writers wait for each other.
# What is no more, and not new, is not brought back: its limit is gone.
LOCK = f"""
    INSERT INTO {COUNTERS} AS c (limit_id, member, starts_at, used, held)
    SELECT w.limit_id, w.member, w.starts_at, 0, 0
    FROM json_to_recordset(%s) AS w(limit_id bigint, member varchar, starts_at timestamptz, is_new boolean)
    WHERE w.is_new OR EXISTS (SELECT 1 FROM {COUNTERS} o WHERE o.limit_id = w.limit_id AND o.member = w.member
                              AND o.starts_at = w.starts_at)
    ORDER BY w.limit_id, w.member, w.starts_at
    ON CONFLICT (limit_id, member, starts_at) DO UPDATE SET used = c.used
    RETURNING {COLUMNS}"""
# The database plans from the few that are wanted to their rows by the index: CROSS JOIN keeps SQLite to that order.
WANTED = {
    "postgresql": "json_to_recordset(%s) AS w(limit_id bigint, member varchar, starts_at timestamptz) JOIN",
    "sqlite": (
        "(SELECT value->>'limit_id' AS limit_id, value->>'member' AS member, value->>'starts_at' AS starts_at "
        "FROM json_each(%s)) AS w CROSS JOIN"
    ),
}
READ = (
    "SELECT {columns} FROM {wanted} {table} c "
    "ON c.limit_id = w.limit_id AND c.member = w.member AND c.starts_at {is_} w.starts_at"
)


class Wanted:
    """What a batch needs: `keys` are counters, True for those to be made if there are none; `lines` are the sliding
    ones among them, with the horizon after which their slots count."""

    def __init__(self) -> None:
        self.keys: dict[CounterKey, bool] = {}
        self.lines: dict[Line, datetime] = {}


def wanted_for(clock: Clock, claims: Iterable[Claim], entries: Iterable[Entry]) -> Wanted:
    """The counters that calls with these claims would be counted on, and those that these entries are on."""
    wanted = Wanted()
    for claim in claims:
        rule = claim.rule
        wanted.keys[(*claim.line, clock.start_of(rule.window, rule.is_sliding))] = True
        if rule.is_sliding:
            wanted.lines[claim.line] = horizon_of(rule.window, clock.now)
    for entry in entries:
        wanted.keys.setdefault(key_of(entry), False)
        if entry["sliding"]:
            wanted.lines[(entry["limit"], entry["member"])] = horizon_of(entry["window"], clock.now)
    return wanted


def lock(connection: BaseDatabaseWrapper, clock: Clock, wanted: Wanted) -> Counters:
    """The counters under lock. On SQLite the transaction itself is the lock."""
    if not wanted.keys:
        return Counters(clock)
    if connection.vendor == "postgresql":
        # Who has a line's first row has all its slots: another one may add slots that this batch does not know.
        heads: Mapping[CounterKey, bool] = {(*line, NO_START): True for line in wanted.lines}
        rows = _fetch(connection, LOCK, _json(connection, {**wanted.keys, **heads}.items()))
    else:
        rows = _read(connection, wanted.keys, "=")
    return Counters(clock, rows, _slots(connection, wanted))


def read(connection: BaseDatabaseWrapper, clock: Clock, wanted: Wanted) -> Counters:
    """The counters as they are, without a lock: to look at only."""
    return (
        Counters(clock, _read(connection, wanted.keys, "="), _slots(connection, wanted))
        if wanted.keys
        else Counters(clock)
    )


def write(connection: BaseDatabaseWrapper, counters: Counters) -> None:
    """Store what has changed."""
    adapt: Any = connection.ops.adapt_datetimefield_value
    changed = list(counters.changed())
    new = [(row.limit_id, row.member, adapt(row.starts_at), row.used, row.held) for row in changed if row.id is None]
    now = adapt(counters.clock.now)
    notices = [
        (each.limit_id, each.member, adapt(each.starts_at), each.percent, each.used, now, now, 0, "")
        for each in counters.notices
    ]
    run_many(connection, INSERT_COUNTER, new)
    run_many(connection, UPDATE_COUNTER, [(row.used, row.held, row.id) for row in changed if row.id is not None])
    run_many(connection, INSERT_NOTICE, notices)


def _slots(connection: BaseDatabaseWrapper, wanted: Wanted) -> Iterable[Counter]:
    return _read(connection, [(*line, horizon) for line, horizon in wanted.lines.items()], ">") if wanted.lines else ()


def _read(connection: BaseDatabaseWrapper, keys: Iterable[CounterKey], is_: str) -> list[Counter]:
    statement = READ.format(columns=COLUMNS, wanted=WANTED[connection.vendor], table=COUNTERS, is_=is_)
    return _fetch(connection, statement, _json(connection, ((key, False) for key in keys)))


def _json(connection: BaseDatabaseWrapper, keys: Iterable[tuple[CounterKey, bool]]) -> str:
    adapt: Any = connection.ops.adapt_datetimefield_value
    rows = [
        {"limit_id": limit_id, "member": member, "starts_at": adapt(starts_at), "is_new": is_new}
        for (limit_id, member, starts_at), is_new in keys
    ]
    return orjson.dumps(rows).decode()


def _fetch(connection: BaseDatabaseWrapper, statement: str, wanted: str) -> list[Counter]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [wanted])
        return [
            Counter(limit_id, member, as_utc(starts_at), *rest)
            for limit_id, member, starts_at, *rest in cursor.fetchall()
        ]
