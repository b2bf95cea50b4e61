"""Bounds of time as whole days, which are added up already, and parts of days, which are not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone

from accounts.services.rollups import start_of

# Nobody has called before or will call after; beyond them a time zone's days would leave the calendar.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one day: `since` is included, `until` is not."""

    day: date
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Spans:
    """Whole days (`first` is included, `end` is not; None: without a bound) and at most two parts of days."""

    first: date | None
    end: date | None
    parts: tuple[Part, ...]

    @property
    def has_days(self) -> bool:
        return self.first is None or self.end is None or self.first < self.end


NEVER = Spans(date.min, date.min, ())


def spans(since: datetime | None, until: datetime | None) -> Spans:
    """What lies between; None: no bound on that side."""
    if (since or EARLIEST) >= (until or LATEST) or (since and since > LATEST) or (until and until < EARLIEST):
        return NEVER
    since = None if since is None or since < EARLIEST else since
    until = None if until is None or until > LATEST else until
    first, end = since and _first_whole(since), until and timezone.localtime(until).date()
    if since and until and first and end and first > end:  # both in one day
        return Spans(first, end, (Part(end, since, until),))
    return Spans(first, end, (*_head(since, first), *_tail(end, until)))


def _first_whole(since: datetime) -> date:
    day = timezone.localtime(since).date()
    return day if start_of(day) == since else day + timedelta(days=1)


def _head(since: datetime | None, first: date | None) -> Iterator[Part]:
    if since and first and since < start_of(first):
        yield Part(first - timedelta(days=1), since, start_of(first))


def _tail(end: date | None, until: datetime | None) -> Iterator[Part]:
    if until and end and start_of(end) < until:
        yield Part(end, start_of(end), until)
