"""A BRConnector's database on real PostgreSQL, with the tables and types that its 0.0.41 has, and no foreign keys."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from bench.postgres import PostgresServer

TIMES = "created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now()"
MONEY = "decimal(16, 10) DEFAULT 0"
TABLES = {
    "eiai_key": f"""group_id int DEFAULT 0, api_key varchar(64) NOT NULL, name varchar(255), email varchar(255),
        role varchar(64) DEFAULT 'user', total_fee {MONEY}, balance {MONEY}, month_fee {MONEY}, month_quota {MONEY}""",
    "eiai_model": """name varchar(64) NOT NULL UNIQUE, config jsonb NOT NULL, multiple int DEFAULT 0,
        model_type int DEFAULT 1, price_in decimal(10, 10) NOT NULL DEFAULT 0,
        price_out decimal(10, 10) NOT NULL DEFAULT 0, provider varchar(255)""",
    "eiai_group": "name varchar(64) NOT NULL, key varchar(64)",
    "eiai_group_model": "model_id int NOT NULL, group_id int NOT NULL, UNIQUE (model_id, group_id)",
    "eiai_key_model": "key_id int NOT NULL, model_id int NOT NULL",
    "eiai_session": f"""key varchar(128) NOT NULL, title varchar(64), key_id int NOT NULL,
        total_in_tokens int DEFAULT 0, total_out_tokens int DEFAULT 0, total_fee {MONEY},
        currency char(3) NOT NULL DEFAULT 'USD'""",
    "eiai_thread": """prompt text, completion text, whole_prompt text, thread_type int DEFAULT 0, key_id int NOT NULL,
        model_id int, session_id int, session_key varchar(128), tokens_in int DEFAULT 0, tokens_out int DEFAULT 0,
        price_in decimal(10, 10) NOT NULL DEFAULT 0, price_out decimal(10, 10) NOT NULL DEFAULT 0,
        fee decimal(12, 10) DEFAULT 0, currency char(3) DEFAULT 'USD', invocation_latency int DEFAULT 0,
        first_byte_latency int DEFAULT 0""",
    "eiai_payment": "key_id int NOT NULL, fee decimal(10, 2) NOT NULL",
    "eiai_bot_connector": "name varchar(64) NOT NULL, provider varchar(64), config jsonb NOT NULL",
}
# Each row of threads: a chat of 10 tokens in and 20 out, at 3 and 15 USD a million, in one of a thousand sessions.
MANY_THREADS = """
    INSERT INTO eiai_thread (prompt, completion, whole_prompt, thread_type, key_id, session_id, session_key, tokens_in,
        tokens_out, price_in, price_out, fee, invocation_latency, first_byte_latency, created_at, updated_at)
    SELECT '"What is ' || n || '?"', repeat('It is a number. ', 12), '[{{"role":"system","content":"' ||
        repeat('Be brief. ', 40) || '"}},{{"role":"user","content":"What is ' || n || '?"}}]', n % 2,
        {first_key} + n % {keys}, 1 + n % 1000, 'session ' || n % 1000, 10, 20, 0.000003, 0.000015, 0.00033, 900, 200,
        {start}::timestamp + n * interval '1 second', {start}::timestamp + n * interval '1 second'
    FROM generate_series(1, {count}) AS n"""
TOTALS = """
    UPDATE eiai_key k SET total_fee = total_fee + s.total, month_fee = s.total, updated_at = s.last FROM
        (SELECT key_id, sum(fee) AS total, max(created_at) AS last FROM eiai_thread GROUP BY key_id) s
    WHERE s.key_id = k.id"""


class BRConnectorDatabase:
    """A database of its own on that server."""

    def __init__(self, server: PostgresServer) -> None:
        self.name = f"br_{uuid4().hex[:12]}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        self.password = server.password
        self.url = server.url.rsplit("/", 1)[0] + f"/{self.name}"
        self.connection = psycopg.connect(self.url, autocommit=True)

    def make(self) -> None:
        for table, columns in TABLES.items():
            self.run(f"CREATE TABLE {table} (id serial PRIMARY KEY, {columns}, {TIMES})")

    def run(self, query: str) -> None:
        self.connection.execute(query.encode())

    def add(self, table: str, /, **values: Any) -> int:
        """A row of eiai_<table>; its id."""
        values = {name: Jsonb(value) if name == "config" else value for name, value in values.items()}
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(f"eiai_{table}"),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        row = self.connection.execute(query, list(values.values())).fetchone()
        assert row
        return int(row[0])

    def add_threads(self, count: int, keys: int = 10, start: str = "2026-11-01") -> None:
        """Keys and their threads, with all totals as the program keeps them."""
        names = [f"user {number}" for number in range(keys)]
        made = [self.add("key", api_key=f"br-{name:-<29}", name=name, month_quota=100) for name in names]
        first = made[0]
        self.run(
            "INSERT INTO eiai_session (key, title, key_id) "
            f"SELECT 'session ' || n % 1000, 'Numbers', {first} + n % {keys} FROM generate_series(0, 999) AS n"
        )
        self.run(MANY_THREADS.format(count=count, keys=keys, first_key=first, start=f"'{start}'"))
        self.run(TOTALS)


@pytest.fixture(scope="session")
def brconnector_server() -> Iterator[PostgresServer]:
    with PostgresServer({"fsync": "off"}) as server:
        yield server


@pytest.fixture
def brconnector(brconnector_server: PostgresServer) -> Iterator[BRConnectorDatabase]:
    """An empty one."""
    made = BRConnectorDatabase(brconnector_server)
    made.make()
    yield made
    made.connection.close()
