"""Charges as lines of CSV, a page at a time: no more than a page is ever in memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db.models import Max

from accounts.models import Charge
from accounts.services.reports import Bounds
from common.database import borrowed_connection

PAGE = 5000  # charges
# Where a spreadsheet takes a text for a formula; the wide ones in Japanese.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# A column's name, and where it comes from. Money is USD, prices are USD per million tokens, times are UTC.
COLUMNS = {
    "time": "created_at",
    "request_id": "request_id",
    "key": "key__name",
    "key_prefix": "key__prefix",
    "endpoint": "endpoint",
    "streamed": "is_stream",
    "model": "model_name",
    "provider": "provider_name",
    "upstream_model": "upstream_name",
    "state": "state",
    "outcome": "outcome",
    "error": "error",
    "attempts": "attempts",
    "route": "route",
    **{name: name for name in ("input_tokens", "cached_read_tokens", "cached_write_tokens", "output_tokens")},
    **{name: name for name in ("reasoning_tokens", "usage_source")},
    **{name: name for name in ("price_in", "price_out", "price_cached_read", "price_cached_write")},
    **{name: name for name in ("hold", "fee", "quota_fee", "balance_fee", "shortfall")},
    **{name: name for name in ("first_byte_ms", "total_ms", "settled_at", "group_id", "tags")},
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines, how many charges they are, and where the next page begins; None: there is none."""

    text: str
    count: int
    after: int | None


def last_id() -> int:
    """The newest charge there is: what comes later belongs to a later export."""
    return Charge.objects.aggregate(newest=Max("id"))["newest"] or 0


def count(bounds: Bounds, *, last: int) -> int:
    return bounds.apply().filter(id__lte=last).count()


def page(bounds: Bounds, *, after: int, last: int) -> Page:
    """The charges after that one, the oldest first; before the first of all, the names of the columns."""
    found = bounds.apply().filter(id__gt=after, id__lte=last).order_by("id")
    rows = list(found.values_list("id", *COLUMNS.values())[:PAGE])
    names = [] if after else [tuple(COLUMNS)]
    return Page(table(chain(names, (row[1:] for row in rows))), len(rows), rows[-1][0] if len(rows) == PAGE else None)


def lines(bounds: Bounds) -> Iterator[str]:
    """All of these charges, some lines at a time; no connection is held while they travel."""
    last, after = last_id(), 0
    while True:
        with borrowed_connection():
            found = page(bounds, after=after, last=last)
        yield found.text
        if found.after is None:
            return
        after = found.after


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """A value as it stands in CSV."""
    return next((write(value) for kind, write in CELLS.items() if isinstance(value, kind)), value)


def _text(value: str) -> str:
    """As it is, but never a formula: names come from people, and upstreams' words from anywhere."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def _money(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


CELLS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: str(value).lower(),
    str: _text,
    Decimal: _money,
    datetime: _time,
    date: date.isoformat,
    list: lambda value: _text(",".join(map(str, value))),
}
