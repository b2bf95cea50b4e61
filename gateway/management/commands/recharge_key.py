from typing import Any

from django.core.management.base import CommandParser

from accounts.services import keys
from gateway.management.base import COMMAND_LINE, GatewayCommand, amount, describe, find_key


class Command(GatewayCommand):
    help = "Put money on an API key's balance."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", help="Its id, prefix or name.")
        parser.add_argument("amount", type=amount, help="USD.")
        parser.add_argument("--note", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        key = find_key(options["key"])
        keys.recharge(key=key, amount=options["amount"], note=options["note"], by=COMMAND_LINE)
        self.show(options, describe(key))
