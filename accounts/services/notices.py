"""Notices of limits: which are due, what they say, and what became of them. They are sent by `gateway.notices`.

The ledger writes one in the transaction in which a threshold is reached. It is told at least once, and tried again
with growing pauses for about an hour.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.models import Limit, LimitNotice, Metric, Window
from accounts.services import limit_use
from accounts.services.ledger.limiting.windows import end_of, start_of, told_window
from common.database import remove
from common.models import ConfigVersion
from common.money import show
from common.webhooks import key_bytes

JSON = dict[str, Any]

REACHED, SAMPLE = "limit.threshold_reached", "limit.sample"
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 40))
MOST_TRIES = len(PAUSES) + 1
# Of windows so short that somebody would be told all the time, each threshold is told once in that time.
SHORT = frozenset({Window.SECOND, Window.MINUTE})
QUIET_FOR = timedelta(hours=1)

NOBODY = "The limit names nobody who is to be told."
TOLD_BEFORE = "The same was told within the hour before."
CUT_OFF = "It was cut off too often: the worker died or stood still."
NO_SECRET = (
    "Give the webhook's secret: whsec_ and at least 16 bytes in base64, as `openssl rand -base64 24` makes them."
)

KEPT_FOR = timedelta(days=400)
SHORT_KEPT_FOR = timedelta(days=2)


def due() -> QuerySet[LimitNotice]:
    """Those to be told now, the first ones first; what their limits hold secret is not read."""
    waiting = LimitNotice.objects.filter(due_at__lte=timezone.now()).order_by("due_at", "id")
    return waiting.select_related("limit__key", "limit__group", "limit__provider").defer("limit__notify_secret")


def forget_orphans() -> None:
    """Those that calls have left which ran when their limit was removed."""
    LimitNotice.objects.exclude(due_at=None).exclude(limit_id__in=Limit.objects.values("pk")).delete()


def claim(*, notice: LimitNotice) -> bool:
    """Take a notice to tell it. False: somebody else has it, or there is nothing to tell.

    From then on it is due again after a pause, so that one whose worker dies is told all the same.
    """
    why = _why_not(notice)
    if why:
        _update(notice, due_at=None, error=notice.error or why)
        return False
    pause = PAUSES[min(notice.attempts, len(PAUSES) - 1)]
    now = timezone.now()
    mine = LimitNotice.objects.filter(pk=notice.pk, attempts=notice.attempts, due_at__lte=now)
    if not mine.update(attempts=F("attempts") + 1, due_at=now + pause):
        return False
    notice.attempts += 1
    return True


def _why_not(notice: LimitNotice) -> str:
    if notice.attempts >= MOST_TRIES:
        return CUT_OFF
    if not (notice.limit.notify_url or notice.limit.notify_email):
        return NOBODY
    return TOLD_BEFORE if not notice.attempts and _is_told(notice) else ""


def _is_told(notice: LimitNotice) -> bool:
    if notice.limit.window not in SHORT:
        return False
    same = LimitNotice.objects.filter(limit=notice.limit_id, member=notice.member, percent=notice.percent)
    return same.filter(told_at__gt=timezone.now() - QUIET_FOR).exists()


def is_posted(*, notice: LimitNotice) -> None:
    """The webhook has it: what is still to be done does not post it again."""
    notice.posted_at = timezone.now()
    _update(notice, posted_at=notice.posted_at)


def is_mailed(*, notice: LimitNotice) -> None:
    notice.mailed_at = timezone.now()
    _update(notice, mailed_at=notice.mailed_at)


def close(*, notice: LimitNotice, errors: Sequence[str]) -> None:
    """After a try: all who are to be told know it, or it failed for these reasons, perhaps for the last time."""
    text = " ".join(errors)[:500]
    if not errors:
        _update(notice, told_at=timezone.now(), due_at=None, error="")
    elif notice.attempts >= MOST_TRIES:
        _update(notice, due_at=None, error=text)
    else:
        _update(notice, error=text)


def _update(notice: LimitNotice, **fields: Any) -> None:
    """What has been told once stays told at that time."""
    LimitNotice.objects.filter(pk=notice.pk, told_at=None).update(**fields)


# What they say


def sample(*, limit: Limit) -> LimitNotice:
    """As if the first threshold had just been reached; not stored."""
    percent = min(limit.thresholds, default=100)
    now = timezone.now()
    start = start_of(told_window(limit.metric, limit.window), now)
    used = limit.most * percent // 100
    return LimitNotice(limit=limit, starts_at=start, percent=percent, used=used, created_at=now)


def id_of(notice: LimitNotice) -> str:
    """The same for each try, and of no other notice of any gateway; a sample's is always another one."""
    parts = (notice.limit.uuid, notice.member, notice.starts_at.timestamp(), notice.percent)
    of_sample = (notice.created_at.timestamp(),) if notice._state.adding else ()
    return f"msg_{hashlib.sha256(repr((*parts, *of_sample)).encode()).hexdigest()[:32]}"


def body_of(notice: LimitNotice) -> JSON:
    """What a webhook is told. Money is text, as no float holds all of it."""
    limit = notice.limit
    end = _end(notice)
    return {
        "type": SAMPLE if notice._state.adding else REACHED,
        "limit": limit.name,
        "member": notice.member,
        "member_name": _name_of(notice),
        "metric": limit.metric,
        "window": limit.window,
        "percent": notice.percent,
        "used": _amount(limit, notice.used),
        "most": _amount(limit, limit.most),
        "starts_at": notice.starts_at.isoformat(),
        "ends_at": end.isoformat() if end else None,
    }


def _amount(limit: Limit, number: int) -> str | int:
    return show(number) if limit.metric == Metric.COST else number


def _end(notice: LimitNotice) -> datetime | None:
    """Of the window that it is told in."""
    return end_of(told_window(notice.limit.metric, notice.limit.window), notice.starts_at)


def _name_of(notice: LimitNotice) -> str:
    (name,) = limit_use.member_names([(notice.limit, notice.member)])
    return name


def mail_of(notice: LimitNotice) -> tuple[str, str]:
    """A mail's subject and text."""
    limit = notice.limit
    whose = f" of {_name_of(notice)}" if notice.member else ""
    title = f"Limit {limit.name}{whose}: {notice.percent} % used"
    end = _end(notice)
    lines = [
        "This is a sample: nothing has been reached." if notice._state.adding else "",
        f"The limit {limit.name}{whose} is at {notice.percent} %.",
        f"Used: {limit_use.amount(limit, notice.used)} of {limit_use.amount(limit, limit.most)}.",
        f"It counts: {limit_use.counted_by(limit)}. {limit_use.subject_of(limit)}.",
        f"Beyond it: {ACTIONS[limit.action]}.",
        f"The window ends on {_local(end)}." if end else "",
    ]
    return " ".join(title.split()), "\n".join(line for line in lines if line) + "\n"


ACTIONS = {"block": "calls are refused", "warn": "callers are warned, and nothing is refused", "observe": "nothing"}


def _local(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d at %H:%M} ({timezone.get_current_timezone_name()})"


# Secrets


def secret_of(limit: Limit) -> bytes | None:
    """What the webhook's messages are signed with. None: there is none, or none that can be read any more."""
    return key_bytes(readable_secret(limit))


def readable_secret(limit: Limit | None) -> str:
    """The text that is stored; empty where there is none, or none that can be read any more."""
    try:
        return limit.notify_secret if limit else ""
    except InvalidToken:
        return ""


def has_secret(limit: Limit) -> bool:
    """Whether one is stored; one that can't be read any more is none."""
    return not limit._state.adding and secret_of(limit) is not None


def check_secret(text: str) -> None:
    """Raises ValidationError for what no message can be signed with."""
    if key_bytes(text) is None:
        raise ValidationError(NO_SECRET)


def rotate() -> int:
    """Write all secrets again, under the keyring's first key. Raises InvalidToken; nothing is lost then."""
    with transaction.atomic():
        ConfigVersion.lock()
        limits = list(Limit.objects.select_for_update().order_by("pk"))  # having none is encrypted as well
        for limit in limits:
            limit.save(update_fields=["notify_secret"])
    return len(limits)


# Old ones


def tidy() -> None:
    """Forget old notices, and those of limits that are gone; a few at a time."""
    now = timezone.now()
    short = Q(limit__window__in=SHORT, created_at__lt=now - SHORT_KEPT_FOR)
    for old in (
        LimitNotice.objects.filter(Q(created_at__lt=now - KEPT_FOR) | short),
        LimitNotice.objects.exclude(limit_id__in=Limit.objects.values("pk")),
    ):
        remove(old.order_by("id"))
