import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from accounts.services import sample
from gateway.management.base import GatewayCommand


class Command(GatewayCommand):
    help = (
        "Make keys and charges that nobody made, to try reports and to measure with. The ledger stays whole, but they "
        "can't be removed again: for a database of its own."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("count", type=int, help="How many charges.")
        parser.add_argument("--days", type=int, default=90, help="Spread over so many days until now.")
        parser.add_argument("--keys", type=int, default=100, help="Of so many new keys.")
        parser.add_argument("--seed", type=int, default=1, help="The same number makes the same charges.")
        parser.add_argument("--yes", action="store_true", help="Do it although DEBUG is off.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or options["yes"]):
            raise CommandError("These charges can't be removed again. Say --yes, or set DEBUG.")
        if min(options["count"], options["days"], options["keys"]) < 1 or options["days"] > 3650:
            raise CommandError("Count, days and keys are 1 or more, and days at most 3650.")
        start = time.monotonic()
        sizes = {"count": options["count"], "days": options["days"], "callers": options["keys"]}
        for made in sample.make(**sizes, seed=options["seed"]):
            if not options["json"]:
                self.stdout.write(f"\r{made:,} of {options['count']:,}", ending="")
        self.stdout.write("" if options["json"] else "\n", ending="")
        self.show(options, {"charges": options["count"], "seconds": round(time.monotonic() - start, 1)})
