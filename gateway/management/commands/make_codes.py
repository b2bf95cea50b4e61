import csv
import json
from typing import Any

from django.core.management.base import CommandParser

from accounts.services import codes
from gateway.management.base import GatewayCommand, amount, moment, usd


class Command(GatewayCommand):
    help = "Make redemption codes and print them as CSV, once: the database keeps only digests."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--amount", type=amount, required=True, help="USD that each is worth.")
        parser.add_argument("--count", type=int, default=1, help=f"How many, {codes.MOST_AT_ONCE} at most. Default: 1.")
        parser.add_argument("--batch", required=True, help="What they are called together.")
        parser.add_argument("--expires", type=moment, help="2027-01-31, 2027-01-31T12:00 or 30d. Default: never.")

    def handle(self, *args: Any, **options: Any) -> None:
        batch, expires_at = options["batch"], options["expires"]
        made = codes.make(amount=options["amount"], count=options["count"], batch=batch, expires_at=expires_at)
        worth, until = usd(options["amount"]), expires_at.isoformat() if expires_at else ""
        if options["json"]:
            content = {"batch": batch, "amount": worth, "expires_at": until or None, "codes": made}
            self.stdout.write(json.dumps(content))
            return
        rows = csv.writer(self.stdout, lineterminator="\n")
        rows.writerow(("code", "amount_usd", "batch", "expires_at"))
        rows.writerows((code, worth, batch, until) for code in made)
