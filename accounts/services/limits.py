"""Limits: made, changed, removed. What calls take of them is the ledger's (`ledger.limiting`)."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Limit, LimitCounter, Metric, Subject, Window
from accounts.models.limits import COUNTED_BY, NO_START
from accounts.services.ledger.limiting.windows import LENGTHS
from common.models import ConfigVersion

# What is over for so long is asked by nobody, but for people who look.
KEPT_AFTER_END = timedelta(hours=1)
# A calendar's month has up to 31 days, and some days have 25 hours.
LONGER_BY = {Window.DAY: timedelta(hours=1), Window.WEEK: timedelta(hours=1), Window.MONTH: timedelta(days=2)}
AT_ONCE = 500


def add(
    *, name: str, most: Decimal | int, metric: str = Metric.COST, subject: str = Subject.EVERYONE, **fields: Any
) -> Limit:
    """Make a limit. `most` is in USD for a limit of cost, else a count; `fields` are the row's other columns.

    Raises ValidationError.
    """
    limit = Limit(name=name, metric=metric, subject=subject, **fields, **_amounts(metric, most))
    limit.full_clean()
    limit.save()
    return limit


@transaction.atomic
def put(*, name: str, most: Decimal | int, metric: str = Metric.COST, **fields: Any) -> Limit:
    """Make the limit of that name, or change it to be so; what is not named becomes as usual.

    One that counted something else is replaced by a new one, which begins to count now. Raises ValidationError.
    """
    ConfigVersion.lock()
    wanted = Limit(name=name, metric=metric, **fields, **_amounts(metric, most))
    wanted.clean()
    stored = Limit.objects.filter(name=name).first()
    if stored is not None and any(getattr(stored, column) != getattr(wanted, column) for column in COUNTED_BY):
        stored.delete()
        stored = None
    limit = _like(stored, wanted) if stored else wanted
    limit.full_clean()
    limit.save()
    return limit


def _like(stored: Limit, wanted: Limit) -> Limit:
    """The row with the other one's values, but for what tells it from others and the secret that webhooks know."""
    for column in Limit._meta.concrete_fields:
        if column.name not in ("id", "uuid", "created_at", "updated_at", "notify_secret"):
            setattr(stored, column.attname, getattr(wanted, column.attname))
    return stored


def _amounts(metric: str, most: Decimal | int) -> Mapping[str, Any]:
    return {"most_cost": most} if metric == Metric.COST else {"most_count": most}


def prune() -> int:
    """Remove counters that no call can need any more, in small transactions; answers how many.

    The first of a sliding line (NO_START) is what its writers lock, so it stays as long as its limit.
    """
    removed = sum(map(_remove, (_ended(limit) for limit in Limit.objects.only("window"))))
    return removed + _remove(LimitCounter.objects.exclude(limit_id__in=Limit.objects.values("pk")))


def _ended(limit: Limit) -> QuerySet[LimitCounter]:
    if limit.window == Window.TOTAL:
        return LimitCounter.objects.none()
    # Of a sliding window a slot counts for one window's length, as if it were a window's start.
    window = Window(limit.window)
    horizon = timezone.now() - LENGTHS[window] - LONGER_BY.get(window, timedelta()) - KEPT_AFTER_END
    return LimitCounter.objects.filter(limit=limit, starts_at__gt=NO_START, starts_at__lt=horizon)


def _remove(counters: QuerySet[LimitCounter]) -> int:
    """Those that nobody holds; the condition is looked at again under each row's lock."""
    removed = 0
    while ids := list(counters.filter(held=0).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        count, _ = LimitCounter.objects.filter(pk__in=ids, held=0).delete()
        removed += count
        if not count:
            break
    return removed
