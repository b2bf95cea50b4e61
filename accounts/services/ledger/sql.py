"""The ledger's statements, for SQLite and PostgreSQL alike. Lists of rows go in together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import ApiKey, Charge, Payment
from accounts.services.ledger.types import Account, Row
from common.database import as_utc, pipelined
from common.models import ConfigVersion

KEYS = ApiKey._meta.db_table
CHARGES = Charge._meta.db_table
PAYMENTS = Payment._meta.db_table
VERSIONS = ConfigVersion._meta.db_table

ACCOUNT_COLUMNS = (
    "id, is_active, expires_at, group_id, all_models, email, month_quota, month, month_fee, balance, held, spent"
)
OPEN_COLUMNS = (
    "request_id, id, state, hold, limits, provider_id, model_name, month, quota_fee, balance_fee, "
    "price_in, price_out, price_cached_read, price_cached_write"
)


def columns(names: str) -> tuple[str, ...]:
    return tuple(names.split())


ADMISSION_COLUMNS = columns(
    "uuid created_at updated_at request_id key_id worker_id endpoint is_stream state outcome error "
    "model_id provider_id model_name provider_name upstream_name attempts route input_tokens cached_read_tokens "
    "cached_write_tokens output_tokens reasoning_tokens usage_source price_in price_out price_cached_read "
    "price_cached_write prompt_bound output_bound hold fee quota_fee balance_fee shortfall group_id price_ratio "
    "tags limits"
)
SETTLEMENT_COLUMNS = columns(
    "updated_at state outcome error attempts route input_tokens cached_read_tokens cached_write_tokens output_tokens "
    "reasoning_tokens usage_source fee quota_fee balance_fee shortfall month month_quota month_fee_after "
    "balance_after first_byte_ms total_ms settled_at "
    "limits"
)
DEPLOYMENT_COLUMNS = columns(
    "model_id provider_id model_name provider_name upstream_name price_in price_out price_cached_read "
    "price_cached_write buckets"
)


def places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


@dataclass(frozen=True)
class Insert:
    """Rows for a table. `json_names`: the columns whose values are JSON already. `on_conflict`: what becomes of a row
    that is there already; empty: an error."""

    table: str
    names: tuple[str, ...]
    json_names: frozenset[str] = frozenset()
    on_conflict: str = ""

    @cached_property
    def for_one_row(self) -> str:
        return f"INSERT INTO {self.table} ({', '.join(self.names)}) VALUES ({places(self.names)}){self._conflict}"

    @cached_property
    def for_json(self) -> str:
        names = ", ".join(self.names)
        return f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {_rows_of(self.table)}{self._conflict}"

    @property
    def _conflict(self) -> str:
        return f" ON CONFLICT {self.on_conflict}" if self.on_conflict else ""


@dataclass(frozen=True)
class Update:
    """New values for rows of a table; the row's id comes last."""

    table: str
    changed: tuple[str, ...]
    json_names: frozenset[str] = frozenset()

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*self.changed, "id")

    @cached_property
    def for_one_row(self) -> str:
        return f"UPDATE {self.table} SET {', '.join(f'{name} = %s' for name in self.changed)} WHERE id = %s"

    @cached_property
    def for_json(self) -> str:
        changes = ", ".join(f"{name} = news.{name}" for name in self.changed)
        return f"UPDATE {self.table} AS old SET {changes} FROM {_rows_of(self.table)} AS news WHERE old.id = news.id"


def _rows_of(table: str) -> str:
    return f"json_populate_recordset(NULL::{table}, %s)"


INSERT_CHARGE = Insert(CHARGES, ADMISSION_COLUMNS, frozenset({"tags", "limits"}))
SETTLE_CHARGE = Update(CHARGES, SETTLEMENT_COLUMNS, frozenset({"limits"}))
SETTLE_CHARGE_ELSEWHERE = Update(CHARGES, (*SETTLEMENT_COLUMNS, *DEPLOYMENT_COLUMNS), frozenset({"limits", "buckets"}))
UPDATE_ACCOUNT = Update(KEYS, ("month", "month_fee", "balance", "held", "spent", "last_used_at"))


VERSION = f"SELECT number FROM {VERSIONS} WHERE id = 1"


def lock_accounts(
    connection: BaseDatabaseWrapper, key_ids: Iterable[int], request_ids: Sequence[str] = ()
) -> tuple[dict[int, Account], int, dict[str, Row]]:
    """The keys' rows under lock, in id order so that writers never deadlock; and with these locks in hand the
    configuration's version, and the open charges among `request_ids` as OPEN_COLUMNS.

    On SQLite the transaction itself is the lock (it began IMMEDIATE).
    """
    ids = sorted(key_ids)
    with connection.cursor() as keys, connection.cursor() as versions, connection.cursor() as charges:
        with pipelined(connection):
            keys.execute(_select_accounts(ids, connection.features.has_select_for_update), ids)
            versions.execute(VERSION)
            if request_ids:
                charges.execute(_select_open_holds(request_ids), request_ids)
        accounts = {row[0]: _account(row) for row in keys.fetchall()}
        holds = {row[0]: row for row in charges.fetchall()} if request_ids else {}
        return accounts, versions.fetchone()[0], holds


def _select_accounts(ids: Sequence[int], is_locked: bool) -> str:
    lock = " FOR UPDATE" if is_locked else ""
    return f"SELECT {ACCOUNT_COLUMNS} FROM {KEYS} WHERE id IN ({places(ids)}) ORDER BY id{lock}"


def _select_open_holds(request_ids: Sequence[str]) -> str:
    """Those that can still be settled: held, or swept on a guess that nobody has been paid back and that was not rated
    anew."""
    return f"""SELECT {OPEN_COLUMNS} FROM {CHARGES} WHERE request_id IN ({places(request_ids)})
        AND (state = 'held' OR (outcome = 'server_stopped'
             AND NOT EXISTS (SELECT 1 FROM {PAYMENTS} p WHERE p.charge_id = {CHARGES}.id)
             AND NOT EXISTS (SELECT 1 FROM {CHARGES} r WHERE r.corrects_id = {CHARGES}.id)))"""


def _account(row: Row) -> Account:
    expires_at: datetime | None = row[2]
    return Account(row[0], bool(row[1]), expires_at and as_utc(expires_at), row[3], bool(row[4]), *row[5:])


def run_many(connection: BaseDatabaseWrapper, statement: Insert | Update, rows: Sequence[Sequence[Any]]) -> None:
    """Write all rows. On PostgreSQL as one statement over one JSON text, whatever their number.

    Each wait for the server costs the writer a turn of gevent's hub, and `executemany` waits several times.
    """
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(statement.for_json, [orjson.dumps([_as_json(statement, row) for row in rows]).decode()])
        else:
            cursor.executemany(statement.for_one_row, rows)


def _as_json(statement: Insert | Update, row: Sequence[Any]) -> dict[str, Any]:
    values = dict(zip(statement.names, row, strict=True))
    for name in statement.json_names:
        values[name] = orjson.Fragment(values[name])
    return values
