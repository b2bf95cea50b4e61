from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.services import retention
from gateway.management.base import GatewayCommand, moment


class Command(GatewayCommand):
    help = (
        "Remove what was said in old calls, a little at a time while calls are served. Charges, sessions and their "
        "totals stay. The worker does the same every hour when HISTORY_DAYS is set."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--before", type=moment, metavar="MOMENT", help="Such as 2026-01-31. HISTORY_DAYS unless told."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        pruned = retention.prune(before=options["before"] or _horizon())
        self.show(options, {"months": pruned.months, "bodies": pruned.bodies})


def _horizon() -> datetime:
    before = retention.kept_since()
    if before is None:
        raise CommandError("HISTORY_DAYS is not set: say --before when what was said is to go.")
    return before
