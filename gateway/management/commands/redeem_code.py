from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.errors import CodeRefused, InvalidKey
from accounts.services import codes
from gateway.management.base import GatewayCommand, describe, find_key


class Command(GatewayCommand):
    help = "Put a redemption code's money on an API key's balance."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", help="Its id, prefix or name.")
        parser.add_argument("code")

    def handle(self, *args: Any, **options: Any) -> None:
        key = find_key(options["key"])
        try:
            codes.redeem(key=key, text=options["code"])
        except (CodeRefused, InvalidKey) as error:
            raise CommandError(str(error)) from None
        self.show(options, describe(key))
