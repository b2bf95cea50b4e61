from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import Payment
from accounts.services import payments
from gateway.management.base import COMMAND_LINE, GatewayCommand, amount, describe, find_key


class Command(GatewayCommand):
    help = "Put an API key's balance right: more of it, or less, but never less than running calls need."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", help="Its id, prefix or name.")
        parser.add_argument("amount", type=amount, help="USD; below zero: taken off.")
        parser.add_argument("--note", required=True, help="Why.")
        parser.add_argument("--payment", type=int, help="The id of the payment that was wrong.")

    def handle(self, *args: Any, **options: Any) -> None:
        key = find_key(options["key"])
        wrong = None
        if options["payment"] is not None:
            wrong = Payment.objects.filter(pk=options["payment"]).first()
            if wrong is None:
                raise CommandError(f"There is no payment {options['payment']}.")
        payments.correct(key=key, amount=options["amount"], note=options["note"], corrects=wrong, by=COMMAND_LINE)
        self.show(options, describe(key))
