"""What was said moves from the threads to their bodies, some at a time, each in its own transaction: one that is cut off
goes on where it was."""

from datetime import UTC, datetime
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

AT_ONCE = 2000  # threads
COLUMNS = "prompt, messages, completion, reasoning, tool_calls"
IS_KEPT = "(prompt <> '' OR messages <> '' OR completion <> '' OR reasoning <> '' OR CAST(tool_calls AS text) <> '[]')"


def to_bodies(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        _make_months(schema_editor.connection)
    _in_steps(
        schema_editor.connection,
        f"""INSERT INTO chat_threadbody (charge_id, created_at, {COLUMNS})
            SELECT charge_id, created_at, {COLUMNS} FROM chat_thread t WHERE id > %s AND id <= %s AND {IS_KEPT}
            AND NOT EXISTS (SELECT 1 FROM chat_threadbody b WHERE b.charge_id = t.charge_id)""",
    )


def to_threads(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    names = COLUMNS.split(", ")
    changes = ", ".join(f"{name} = b.{name}" for name in names)
    _in_steps(
        schema_editor.connection,
        f"""UPDATE chat_thread SET {changes} FROM chat_threadbody b
            WHERE b.charge_id = chat_thread.charge_id AND chat_thread.id > %s AND chat_thread.id <= %s""",
    )


def _in_steps(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM chat_thread")
        last = cursor.fetchone()[0]
        for start in range(0, last, AT_ONCE):
            cursor.execute(statement, [start, start + AT_ONCE])


def _make_months(connection: Any) -> None:
    """One for each month in which something was said."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT MIN(created_at), MAX(created_at) FROM chat_thread")
        first, last = (moment and moment.astimezone(UTC) for moment in cursor.fetchone())
        while first and last and (first.year, first.month) <= (last.year, last.month):
            after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS chat_threadbody_{first:%Y_%m} PARTITION OF chat_threadbody "
                f"FOR VALUES FROM ('{first:%Y-%m}-01 00:00+00') TO ('{after:%Y-%m}-01 00:00+00')"
            )
            first = after


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("chat", "0004_bodies")]

    operations = [migrations.RunPython(to_bodies, to_threads)]
