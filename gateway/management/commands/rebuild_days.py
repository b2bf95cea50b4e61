from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from accounts.services import rollups
from gateway.management.base import GatewayCommand


class Command(GatewayCommand):
    help = (
        "Add up each day's spend anew from its charges: after charges were written past the ledger, and after another "
        "TIME_ZONE. Safe while calls are served; a key's calls wait while its day is added up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", dest="first", type=date.fromisoformat, metavar="DAY", help="Such as 2026-05-01.")
        parser.add_argument("--to", dest="last", type=date.fromisoformat, metavar="DAY", help="That day too.")

    def handle(self, *args: Any, **options: Any) -> None:
        days = sum(1 for _ in rollups.rebuild(first=options["first"], last=options["last"]))
        self.show(options, {"days": days})
