"""When windows begin and end: by the calendar in the configured zone, or in slots that slide."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from accounts.models import Metric, Window
from accounts.models.limits import NO_START

LENGTHS: dict[str, timedelta] = {
    Window.SECOND: timedelta(seconds=1),
    Window.MINUTE: timedelta(minutes=1),
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(days=1),
    Window.WEEK: timedelta(weeks=1),
    Window.MONTH: timedelta(days=30),
}
SLOTS, SLOTS_PER_SECOND = 60, 10
# How finely sliding windows are counted.
SLOT_LENGTHS: dict[str, timedelta] = {
    window: length / (SLOTS_PER_SECOND if window == Window.SECOND else SLOTS) for window, length in LENGTHS.items()
}

# `moment` is local to the zone. An hour that comes twice when clocks go back is two windows: `fold` stays.
STARTS: dict[str, Callable[[datetime], datetime]] = {
    Window.SECOND: lambda moment: moment.replace(microsecond=0),
    Window.MINUTE: lambda moment: moment.replace(second=0, microsecond=0),
    Window.HOUR: lambda moment: moment.replace(minute=0, second=0, microsecond=0),
    Window.DAY: lambda moment: _midnight(moment),
    Window.WEEK: lambda moment: _midnight(moment - timedelta(days=moment.weekday())),
    Window.MONTH: lambda moment: _midnight(moment.replace(day=1)),
}
# Clock time, not elapsed time: a day may have 23 or 25 hours.
NEXT: dict[str, Callable[[datetime], datetime]] = {
    Window.DAY: lambda start: _midnight(start + timedelta(days=1)),
    Window.WEEK: lambda start: _midnight(start + timedelta(weeks=1)),
    Window.MONTH: lambda start: _midnight(start.replace(day=1) + timedelta(days=32)).replace(day=1),
}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def start_of(window: str, moment: datetime) -> datetime:
    """When the calendar's window that `moment` is in began, in UTC; NO_START for what has no window."""
    if window == Window.TOTAL:
        return NO_START
    return STARTS[window](moment.astimezone(timezone.get_default_timezone())).astimezone(UTC)


def end_of(window: str, start: datetime) -> datetime | None:
    """When the window that began at `start` is over, in UTC; None: never."""
    if window == Window.TOTAL:
        return None
    if window not in NEXT:
        return start + LENGTHS[window]
    return NEXT[window](start.astimezone(timezone.get_default_timezone())).astimezone(UTC)


def told_window(metric: str, window: str) -> str:
    """In which each threshold is told once. Calls at the same time have no window: they are told once a day."""
    return Window.DAY if metric == Metric.PARALLEL else window


def slot_of(window: str, moment: datetime) -> datetime:
    """The start of the slot that `moment` falls in, in UTC."""
    return moment.astimezone(UTC) - (moment - NO_START) % SLOT_LENGTHS[window]


def horizon_of(window: str, moment: datetime) -> datetime:
    """Slots that began later than this may hold something of the sliding window that ends at `moment`."""
    return moment - LENGTHS[window] - SLOT_LENGTHS[window]


class Clock:
    """One moment, and the windows it is in; asked for the same ones again and again."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._starts: dict[tuple[str, bool], datetime] = {}
        self._texts: dict[datetime, str] = {}
        self._resets: dict[str, float | None] = {}

    def start_of(self, window: str, is_sliding: bool) -> datetime:
        """Which counter stands for now: the one of the window, or of the slot."""
        found = self._starts.get((window, is_sliding))
        if found is None:
            find = slot_of if is_sliding else start_of
            found = self._starts[(window, is_sliding)] = find(window, self.now)
        return found

    def text_of(self, start: datetime) -> str:
        """As charges remember it."""
        found = self._texts.get(start)
        if found is None:
            found = self._texts[start] = start.isoformat()
        return found

    def reset_of(self, window: str) -> float | None:
        """Seconds until the calendar's window is over; None: never."""
        if window not in self._resets:
            end = end_of(window, self.start_of(window, False))
            self._resets[window] = None if end is None else (end - self.now).total_seconds()
        return self._resets[window]
