"""The days of all charges that were there before days were kept, each in a transaction of its own: one that is cut off
begins anew and comes to the same."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Max, Min
from django.utils import timezone

# Groups and tags were not kept until then.
ADD_UP = """
    INSERT INTO accounts_dayofspend
        (day, key_id, group_id, model_name, provider_name, tags, calls, failed, input_tokens, cached_read_tokens,
         cached_write_tokens, output_tokens, reasoning_tokens, fee, quota_fee, balance_fee, shortfall)
    SELECT {day}, key_id, group_id, model_name, provider_name, '', COUNT(*),
        SUM(CASE WHEN outcome IN ('upstream_error', 'gateway_error', 'server_stopped') THEN 1 ELSE 0 END),
        SUM(input_tokens), SUM(cached_read_tokens), SUM(cached_write_tokens), SUM(output_tokens),
        SUM(reasoning_tokens), SUM(fee), SUM(quota_fee), SUM(balance_fee), SUM(shortfall)
    FROM accounts_charge WHERE settled_at >= %s AND settled_at < %s AND state <> 'held'
    GROUP BY key_id, group_id, model_name, provider_name"""


def add_up(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    connection = schema_editor.connection
    statement = ADD_UP.format(day="%s::date" if connection.vendor == "postgresql" else "%s")
    ends = apps.get_model("accounts", "Charge").objects.aggregate(first=Min("settled_at"), last=Max("settled_at"))
    for day in _days(ends["first"], ends["last"]):
        moments = [connection.ops.adapt_datetimefield_value(_midnight(each)) for each in (day, day + timedelta(days=1))]
        value = connection.ops.adapt_datefield_value(day)
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("DELETE FROM accounts_dayofspend WHERE day = %s", [value])
            cursor.execute(statement, [value, *moments])


def _days(first: datetime | None, last: datetime | None) -> Iterator[date]:
    if first is None or last is None:
        return
    day = timezone.localtime(first).date()
    while day <= timezone.localtime(last).date():
        yield day
        day += timedelta(days=1)


def _midnight(day: date) -> Any:
    return timezone.make_aware(datetime.combine(day, time()))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0007_limits_codes_and_days")]

    operations = [migrations.RunPython(add_up, migrations.RunPython.noop)]
