"""How long what was said is kept: HISTORY_DAYS. Threads and their charges stay, so every total can still be proven.

On PostgreSQL a month goes at once when the whole of it is old enough; elsewhere, and where a day is to be met exactly,
rows go a few at a time, while calls are served.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import Charge
from chat.models import ThreadBody
from chat.services import partitions

AT_ONCE = 1000  # rows
PAUSE_SECONDS = 0.05  # for those who wait for SQLite's one lock


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed: whole months, and rows beside them."""

    months: int
    bodies: int


def kept_since() -> datetime | None:
    """What was said before this is removed; None: it is kept for ever."""
    return timezone.now() - timedelta(days=settings.HISTORY_DAYS) if settings.HISTORY_DAYS else None


def tidy() -> Pruned:
    """Now and then: make the months to come, and remove what has been kept for HISTORY_DAYS."""
    partitions.make_ahead()
    before = kept_since()
    if before is None:
        return Pruned(0, 0)
    months = sum(1 for _ in partitions.drop_before(before))
    return Pruned(months, 0 if partitions.exist() and not _has_rest() else _remove(before))


def prune(*, before: datetime) -> Pruned:
    """Remove all that was said before a moment, to the second."""
    months = sum(1 for _ in partitions.drop_before(before))
    return Pruned(months, _remove(before))


def _has_rest() -> bool:
    """Whether something was said in a month that has no partition."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {partitions.REST})")
        return bool(cursor.fetchone()[0])


def _remove(before: datetime) -> int:
    removed = 0
    for old in _old(before):
        removed += ThreadBody.objects.filter(pk__in=old).delete()[0]
        time.sleep(PAUSE_SECONDS)
    return removed


def _old(before: datetime) -> Iterator[list[int]]:
    """The first rows, a few at a time, until there are some of which none is old: their order is that of their calls,
    unless they were moved in. Reads no index beside that of the key, so that a call has none to write."""
    last = 0
    while True:
        rows = ThreadBody.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "created_at")[:AT_ONCE]
        found = list(rows)
        old = [pk for pk, created_at in found if created_at < before]
        if not old:
            break
        yield old
        last = found[-1][0]
    yield from _out_of_order(before, last)


def _out_of_order(before: datetime, last: int) -> Iterator[list[int]]:
    """What was moved in stands among younger rows with the times that it had elsewhere, as its charges do."""
    bodies = ThreadBody.objects.filter(pk=OuterRef("pk"), created_at__lt=before)
    charges = Charge.objects.order_by().filter(Exists(bodies), pk__gt=last, created_at__lt=before)
    while found := list(charges.values_list("pk", flat=True)[:AT_ONCE]):
        yield found
