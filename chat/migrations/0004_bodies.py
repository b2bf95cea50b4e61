import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

# Without a constraint to the thread: removing a month must not lock the ledger's tables.
PARTITIONED = """
    CREATE TABLE chat_threadbody (
        charge_id bigint NOT NULL,
        created_at timestamp with time zone NOT NULL,
        prompt text NOT NULL,
        messages text NOT NULL,
        completion text NOT NULL,
        reasoning text NOT NULL,
        tool_calls jsonb NOT NULL,
        PRIMARY KEY (charge_id, created_at)
    ) PARTITION BY RANGE (created_at)"""
REST = "CREATE TABLE chat_threadbody_rest PARTITION OF chat_threadbody DEFAULT"


class CreatePartitioned(migrations.CreateModel):
    """A table in months on PostgreSQL, a plain one elsewhere."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(PARTITIONED)
        schema_editor.execute(REST)


class Migration(migrations.Migration):
    dependencies = [("chat", "0003_idempotent_calls")]

    operations = [
        CreatePartitioned(
            name="ThreadBody",
            fields=[
                (
                    "thread",
                    models.OneToOneField(
                        db_column="charge_id",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="body",
                        serialize=False,
                        to="chat.thread",
                        to_field="charge",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("prompt", models.TextField(blank=True, help_text="The last message's text.")),
                ("messages", models.TextField(blank=True, help_text="All messages, as JSON; long ones are cut.")),
                ("completion", models.TextField(blank=True)),
                ("reasoning", models.TextField(blank=True)),
                ("tool_calls", models.JSONField(blank=True, default=list)),
            ],
            options={"verbose_name_plural": "thread bodies", "default_permissions": ()},
        ),
    ]
