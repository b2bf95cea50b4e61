"""Databases for gateways: copies of one that is migrated. To migrate takes four seconds, to copy almost none."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
MIGRATED = "migrated"


def copy_to(file: Path) -> str:
    """The URL of an SQLite database there."""
    shutil.copyfile(_sqlite(), file)
    return f"sqlite:///{file}"


def create(server: PostgresServer) -> str:
    """The URL of a new database there."""
    name = f"test_{uuid4().hex[:12]}"
    _template(server)
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")
    return _named(server, name)


@cache
def _sqlite() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _migrate(f"sqlite:///{folder / 'migrated.sqlite3'}")
    return folder / "migrated.sqlite3"


@cache
def _template(server: PostgresServer) -> None:
    _execute(server, f"CREATE DATABASE {MIGRATED}")
    _migrate(_named(server, MIGRATED))


def _migrate(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = {"DJANGO_SETTINGS_MODULE": "gateway.settings", "DATABASE_URL": url, "VAR_DIR": folder}
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=True, timeout=120)


def _named(server: PostgresServer, database: str) -> str:
    return server.url.rsplit("/", 1)[0] + f"/{database}"


def _execute(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.url.replace("postgres://", "postgresql://"), autocommit=True) as connection:
        connection.execute(statement.encode())
