from typing import Any

from django.core.management.base import CommandParser

from accounts.services import keys
from gateway.management.base import GatewayCommand, describe, find_key


class Command(GatewayCommand):
    help = "Switch an API key off, at once and in every process."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", help="Its id, prefix or name.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.show(options, describe(keys.revoke(key=find_key(options["key"]))))
