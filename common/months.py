"""Months, named by their first days."""

from datetime import date, datetime, timedelta

YEARS = range(2000, 3000)
WANTED = "Give a month such as 2026-05."


def next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def month_named(text: str) -> date:
    """2026-05 as its first day. Raises ValueError for another text, or a year in which nobody called or will."""
    month = datetime.strptime(text, "%Y-%m").date()
    if month.year not in YEARS:
        raise ValueError(WANTED)
    return month
