"""Days of spend: what calls came to, added up once when they are over, so that reports need not read them all.

One SELECT says what a day's row is made of. The ledger adds just the calls of a settlement with it, in the settlement's
own transaction; a rebuild adds all calls of a day with it; the audit compares with it. Locks are always taken in this
order: keys, then days; two transactions that write the same row have the same key's lock, one after the other.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max, Min
from django.utils import timezone

from accounts.models import ApiKey, Charge, DayOfSpend, Outcome
from accounts.services.ledger.sql import places
from common.database import as_utc

CHARGES, DAYS = Charge._meta.db_table, DayOfSpend._meta.db_table
LONGEST_TAGS = 500  # characters
KEYS_AT_ONCE = 200
# What a caller got wrong is nobody's failure here.
FAILED = (Outcome.UPSTREAM_ERROR, Outcome.GATEWAY_ERROR, Outcome.SERVER_STOPPED)

GROUPS = ("day", "key_id", "group_id", "model_name", "provider_name", "tags")
TOKENS = ("input_tokens", "cached_read_tokens", "cached_write_tokens", "output_tokens", "reasoning_tokens")
MONEY = ("fee", "quota_fee", "balance_fee", "shortfall")
COUNTS = ("calls", "failed", *TOKENS, *MONEY)
COLUMNS = ", ".join((*GROUPS, *COUNTS))

_FAILED = ", ".join(f"'{outcome.value}'" for outcome in FAILED)
# A correction of a charge is no call, and moves nothing but money.
_CALL = "CASE WHEN corrects_id IS NULL THEN {} ELSE 0 END"
_OF_CALLS = ("1", f"CASE WHEN outcome IN ({_FAILED}) THEN 1 ELSE 0 END", *TOKENS)
_SUMS = ", ".join(f"{{sign}}SUM({each})" for each in (*map(_CALL.format, _OF_CALLS), *MONEY))
# In the order of their bytes, in both databases.
_TAGS = {
    "sqlite": "(SELECT group_concat(value, ',') FROM (SELECT value FROM json_each({table}.tags) ORDER BY value))",
    "postgresql": """(SELECT string_agg(value, ',' ORDER BY value COLLATE "C")
                      FROM jsonb_array_elements_text({table}.tags) AS value)""",
}
_NOTHING = " AND ".join(f"{name} = 0" for name in COUNTS)
_NO_TAGS = {"sqlite": "'[]'", "postgresql": "'[]'::jsonb"}


def add(database: BaseDatabaseWrapper, charge_ids: Sequence[int], moment: datetime) -> None:
    """Count these charges, which were over at `moment`, in its day. In the transaction that ended them."""
    if charge_ids:
        _upsert(database, timezone.localtime(moment).date(), charge_ids, sign="")


def add_each(database: BaseDatabaseWrapper, charge_ids: Sequence[int]) -> None:
    """Count these charges, each in the day that it was over. In the transaction that wrote them, with their keys
    locked."""
    for day, ids in sorted(_by_day(database, charge_ids).items()):
        _upsert(database, day, ids, sign="")


def take_back(database: BaseDatabaseWrapper, charge_ids: Sequence[int]) -> None:
    """Count these charges no more, wherever they were counted. Before they change, in the same transaction, with their
    keys locked; `add` them anew afterwards."""
    for day, ids in sorted(_by_day(database, charge_ids).items()):
        _upsert(database, day, ids, sign="-")
        with database.cursor() as cursor:
            cursor.execute(f"DELETE FROM {DAYS} WHERE day = %s AND {_NOTHING}", [_date(database, day)])


def _by_day(database: BaseDatabaseWrapper, charge_ids: Sequence[int]) -> dict[date, list[int]]:
    days: dict[date, list[int]] = defaultdict(list)
    if not charge_ids:
        return days
    with database.cursor() as cursor:
        cursor.execute(f"SELECT id, settled_at FROM {CHARGES} WHERE id IN ({places(charge_ids)})", charge_ids)
        for id, settled_at in cursor.fetchall():
            days[timezone.localtime(as_utc(settled_at)).date()].append(id)
    return days


def _upsert(database: BaseDatabaseWrapper, day: date, charge_ids: Sequence[int], sign: str) -> None:
    with database.cursor() as cursor:
        statement = _upsert_statement(database.vendor, len(charge_ids), sign)
        cursor.execute(statement, [_date(database, day), *charge_ids])


@cache
def _upsert_statement(vendor: str, count: int, sign: str) -> str:
    changes = ", ".join(f"{name} = {DAYS}.{name} + excluded.{name}" for name in COUNTS)
    return f"""INSERT INTO {DAYS} ({COLUMNS}) {_query(vendor, f"id IN ({places(range(count))})", sign)}
        ON CONFLICT ({", ".join(GROUPS)}) DO UPDATE SET {changes}"""


def _query(vendor: str, condition: str, sign: str = "") -> str:
    """What the charges that meet the condition come to, as rows of a day that is the first parameter."""
    tags = _TAGS[vendor].format(table=CHARGES)
    day = "%s::date" if vendor == "postgresql" else "%s"
    return f"""
        SELECT {day}, key_id, group_id, model_name, provider_name,
            CASE WHEN tags = {_NO_TAGS[vendor]} THEN '' ELSE substr({tags}, 1, {LONGEST_TAGS}) END,
            {_SUMS.format(sign=sign)}
        FROM {CHARGES} WHERE {condition} AND state <> 'held' GROUP BY 2, 3, 4, 5, 6 ORDER BY 2, 3, 4, 5, 6"""


OF_A_DAY = "settled_at >= %s AND settled_at < %s"


def rebuild(*, first: date | None = None, last: date | None = None) -> Iterator[date]:
    """Add up these days anew, both included and each as it is done; without bounds all that there are.

    In a transaction for each day and some of its keys, whose calls wait that long. Safe at any time, and as often as
    wanted: for charges that the ledger did not write itself, and after another TIME_ZONE.
    """
    bounds = _known_days()
    if bounds is None:
        return
    for day in _days(max(first or bounds[0], bounds[0]), min(last or bounds[1], bounds[1])):
        keys = _keys_of(day)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            _rebuild(day, keys[start : start + KEYS_AT_ONCE])
        yield day


def _keys_of(day: date) -> list[int]:
    counted = DayOfSpend.objects.filter(day=day).order_by().values_list("key_id", flat=True)
    called = Charge.objects.filter(settled_at__gte=start_of(day), settled_at__lt=end_of(day)).order_by()
    return sorted({*counted.distinct(), *called.values_list("key_id", flat=True).distinct()})


@transaction.atomic
def _rebuild(day: date, keys: Sequence[int]) -> None:
    list(ApiKey.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))
    DayOfSpend.objects.filter(day=day, key__in=keys).delete()
    condition = f"{OF_A_DAY} AND key_id IN ({places(keys)})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {DAYS} ({COLUMNS}) {_query(connection.vendor, condition)}", [*_parameters(day), *keys]
        )


def breaks() -> Iterator[tuple[date, int, int, int]]:
    """Where a day and its charges disagree: the day, the key, and in units what stands there and what should."""
    for day in _days(*(_known_days() or (date.max, date.min))):
        found, expected = _stored(day), _summed(day)
        for group in sorted(found.keys() | expected.keys()):
            there, due = found.get(group), expected.get(group)
            if there != due:
                yield day, group[0], _fee(there), _fee(due)


def _fee(counts: tuple[int, ...] | None) -> int:
    return counts[COUNTS.index("fee")] if counts else 0


Groups = dict[tuple[Any, ...], tuple[int, ...]]


def _stored(day: date) -> Groups:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM {DAYS} WHERE day = %s", [_date(connection, day)])
        return _groups(cursor.fetchall())


def _summed(day: date) -> Groups:
    with connection.cursor() as cursor:
        cursor.execute(_query(connection.vendor, OF_A_DAY), _parameters(day))
        return _groups(cursor.fetchall())


def _groups(rows: Sequence[tuple[Any, ...]]) -> Groups:
    found = {row[1 : len(GROUPS)]: tuple(map(int, row[len(GROUPS) :])) for row in rows}
    return {group: counts for group, counts in found.items() if any(counts)}


def _known_days() -> tuple[date, date] | None:
    """The first and the last day of which anything is known."""
    ends = Charge.objects.aggregate(first=Min("settled_at"), last=Max("settled_at"))
    days = DayOfSpend.objects.aggregate(first=Min("day"), last=Max("day"))
    known = [timezone.localtime(each).date() for each in ends.values() if each]
    known += [each for each in days.values() if each]
    return (min(known), max(known)) if known else None


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def start_of(day: date) -> datetime:
    """The moment that a day begins in the gateway's zone: a day may have 23 or 25 hours."""
    return timezone.make_aware(datetime.combine(day, time()))


def end_of(day: date) -> datetime:
    return start_of(day + timedelta(days=1))


def _parameters(day: date) -> list[Any]:
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (start_of(day), end_of(day))]
    return [_date(connection, day), *moments]


def _date(database: BaseDatabaseWrapper, day: date) -> Any:
    return database.ops.adapt_datefield_value(day)
