"""Months, named by their first days."""

from datetime import date, timedelta


def next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
