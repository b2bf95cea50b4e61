from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.services import invoices
from common.months import WANTED, month_named
from gateway.management.base import find_key


class Command(BaseCommand):
    help = "Write a key's month as CSV: its balance before, payments, spend by day and model, and its balance after."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Its id, prefix or name.")
        parser.add_argument("month", type=_month, help="Such as 2026-05.")

    def handle(self, *args: Any, **options: Any) -> None:
        for line in invoices.csv_lines(key=find_key(options["key"]), month=options["month"]):
            self.stdout.write(line, ending="")


def _month(text: str) -> date:
    try:
        return month_named(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no month. {WANTED}") from None
