"""BRConnector's database, read as it was at one moment: its tables as rows, a page at a time, and nothing is written.

Its schema grew: a column that an older one lacks reads as NULL. It knows no foreign keys, and most columns may be NULL.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Self, TypeVar

import psycopg
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row

CONNECT_SECONDS = 10
LOCK = 7_241_905  # any number: it says "an import" among the server's advisory locks
LOCK_WAIT = "10s"  # a killed import's session may outlive it by a moment
LONGEST_PROMPT = 131_072  # characters: prompts have whole files inlined, and only texts are kept
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}")  # a part of request ids, which have 64 characters


class SourceError(Exception):
    """Why the database can't be read, in a sentence without a password."""


@dataclass(slots=True)
class GroupRow:
    id: int
    name: str | None
    key: str | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(slots=True)
class GrantRow:
    """A model for a group or for a key: `owner_id`."""

    owner_id: int
    model_id: int


@dataclass(slots=True)
class ModelRow:
    id: int
    name: str | None
    config: str | None = field(repr=False)
    multiple: int | None
    price_in: Decimal | None
    price_out: Decimal | None
    provider: str | None


@dataclass(slots=True)
class KeyRow:
    id: int
    group_id: int | None
    api_key: str | None = field(repr=False)
    name: str | None
    email: str | None
    role: str | None
    total_fee: Decimal | None
    balance: Decimal | None
    month_fee: Decimal | None
    month_quota: Decimal | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(slots=True)
class PaymentRow:
    id: int
    key_id: int
    fee: Decimal | None
    created_at: datetime | None


@dataclass(slots=True)
class SessionRow:
    id: int
    key: str | None
    title: str | None
    key_id: int
    created_at: datetime | None


@dataclass(slots=True)
class ThreadRow:
    id: int
    prompt: str | None = field(repr=False)
    completion: str | None = field(repr=False)
    whole_prompt: str | None = field(repr=False)
    thread_type: int | None
    key_id: int
    model_id: int | None
    session_id: int | None
    session_key: str | None
    tokens_in: int | None
    tokens_out: int | None
    price_in: Decimal | None
    price_out: Decimal | None
    fee: Decimal | None
    currency: str | None
    invocation_latency: int | None
    first_byte_latency: int | None
    created_at: datetime | None
    updated_at: datetime | None


RowType = TypeVar("RowType")

# What must be there for the database to be one of BRConnector's. Groups came with its version 0.0.5.
NEEDED: dict[str, frozenset[str]] = {
    "eiai_key": frozenset({"id", "api_key"}),
    "eiai_model": frozenset({"id", "name", "config"}),
    "eiai_key_model": frozenset({"key_id", "model_id"}),
    "eiai_session": frozenset({"id", "key", "key_id"}),
    "eiai_thread": frozenset({"id", "key_id"}),
    "eiai_payment": frozenset({"id", "key_id", "fee"}),
}
OPTIONAL = frozenset({"eiai_group", "eiai_group_model"})
OWNERS = {"eiai_group_model": "group_id", "eiai_key_model": "key_id"}

# PostgreSQL has times before the year 1 and after 9999, and two that are infinite; Python has none of these.
TIME = "CASE WHEN {0} BETWEEN '1970-01-02' AND '9000-01-01' THEN {0} END"


def longest_text() -> int:
    """How many characters of a prompt are read."""
    return max(LONGEST_PROMPT, settings.HISTORY_MAX_CHARS + 1)


def _expressions() -> dict[str, str]:
    """How a column is read, where that is not as it stands."""
    room = settings.HISTORY_MAX_CHARS
    return {
        "created_at": TIME,
        "updated_at": TIME,
        "config": "{0}::text",
        "prompt": f"left({{0}}, {longest_text()})",
        "whole_prompt": f"left({{0}}, {longest_text()})",
        "completion": f"left({{0}}, {2 * room + 32})",  # thoughts and answer, with the tags between them
    }


class Source:
    """One connection, one transaction. Use it with `with`; raises SourceError."""

    def __init__(self, dsn: str, name: str = "") -> None:
        self.connection = _connect(dsn)
        self.name = name or self.connection.info.dbname
        self.columns: dict[str, frozenset[str]] = {}

    def __enter__(self) -> Self:
        try:
            with scrubbed(self.connection.info.password):
                self._begin()
                self._look()
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        password = self.connection.info.password
        self.connection.close()
        if isinstance(error, psycopg.Error | UnicodeDecodeError):
            raise _told(error, password) from None

    def _begin(self) -> None:
        if not SOURCE_NAME.fullmatch(self.name):
            raise SourceError("Give --source: a name of up to 30 letters, digits, dots, dashes and underscores.")
        self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self.connection.read_only = True
        self.connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self.connection.execute("SET LOCAL statement_timeout = 0")
        self.connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_WAIT))
        try:
            self.connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        except psycopg.errors.LockNotAvailable:
            raise SourceError("Another import is reading this database. Let it end first.") from None

    def _look(self) -> None:
        """Which tables and columns there are."""
        query = """
            SELECT c.relname, array_agg(a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.oid = ANY(SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
            AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.relname"""
        names = [*NEEDED, *OPTIONAL]
        self.columns = {table: frozenset(found) for table, found in self.connection.execute(query, [names])}
        missing = [table for table in NEEDED if table not in self.columns]
        missing += [
            f"{table}.{column}"
            for table in NEEDED.keys() & self.columns.keys()
            for column in sorted(NEEDED[table] - self.columns[table])
        ]
        if missing:
            raise SourceError(f"This is no BRConnector's database: it has no {', '.join(missing)}.")

    def count(self, table: str) -> int:
        if table not in self.columns:
            return 0
        row = self.connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        return int(row[0]) if row else 0

    def pages(self, table: str, kind: type[RowType], size: int) -> Iterator[list[RowType]]:
        """All rows, by id; no more than a page is ever in memory."""
        if table not in self.columns:
            return
        query = sql.SQL("{} ORDER BY id").format(self._select(table, kind))
        with self.connection.cursor(f"pages_{table}", row_factory=class_row(kind)) as cursor:
            cursor.itersize = size
            cursor.execute(query)
            while page := cursor.fetchmany(size):
                yield page

    def ids(self, table: str, size: int) -> Iterator[list[int]]:
        """The ids of all rows, in order, in pages."""
        query = sql.SQL("SELECT id FROM {} ORDER BY id").format(sql.Identifier(table))
        with self.connection.cursor(f"ids_{table}") as cursor:
            cursor.execute(query)
            while page := cursor.fetchmany(size):
                yield [row[0] for row in page]

    def those(self, table: str, kind: type[RowType], column: str, values: Sequence[int]) -> list[RowType]:
        """The rows whose column has one of these values, by id."""
        query = sql.SQL("{} WHERE {} = ANY(%s) ORDER BY id").format(self._select(table, kind), sql.Identifier(column))
        with self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query, [list(values)]).fetchall()

    def grants(self, table: str, owners: Sequence[int]) -> list[GrantRow]:
        """The grants of these groups or keys, each once."""
        if table not in self.columns:
            return []
        owner = sql.Identifier(OWNERS[table])
        query = sql.SQL(
            "SELECT DISTINCT {0} AS owner_id, model_id FROM {1} WHERE {0} = ANY(%s) ORDER BY owner_id, model_id"
        ).format(owner, sql.Identifier(table))
        with self.connection.cursor(row_factory=class_row(GrantRow)) as cursor:
            return cursor.execute(query, [list(owners)]).fetchall()

    def has(self, table: str, column: str) -> bool:
        return column in self.columns.get(table, ())

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), parameters).fetchall()

    def _select(self, table: str, kind: type[Any]) -> sql.Composable:
        special = _expressions()
        columns = [self._column(table, each.name, special.get(each.name, "{0}")) for each in fields(kind)]
        return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), sql.Identifier(table))

    def _column(self, table: str, name: str, expression: str) -> sql.Composable:
        there = name in self.columns[table]
        read = sql.SQL(expression).format(sql.Identifier(name)) if there else sql.SQL("NULL")
        return sql.SQL("{} AS {}").format(read, sql.Identifier(name))


def _connect(dsn: str) -> psycopg.Connection[Any]:
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # libpq's own words repeat what it could not read, the password in it.
        raise SourceError("The DSN can't be read: give postgres://user:password@host:5432/database.") from None
    with scrubbed(str(given.get("password") or "")):
        # Their text may be in any encoding: the server turns it into ours.
        return psycopg.connect(dsn, connect_timeout=CONNECT_SECONDS, client_encoding="UTF8")


@contextmanager
def scrubbed(password: str) -> Iterator[None]:
    """Turns what the database says into a SourceError."""
    try:
        yield
    except psycopg.Error as error:
        raise _told(error, password) from None


def _told(error: Exception, password: str) -> SourceError:
    text = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"BRConnector's database: {text.replace(password, '***') if password else text}")
