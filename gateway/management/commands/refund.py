from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import Charge
from accounts.services import payments
from gateway.management.base import COMMAND_LINE, GatewayCommand, amount, describe


class Command(GatewayCommand):
    help = "Give back what a key's balance paid for a call. What a month's quota paid was no money."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("request_id", help="The x-request-id of the call's answer.")
        parser.add_argument("amount", type=amount, nargs="?", help="USD. Default: all that is left of it.")
        parser.add_argument("--note", required=True, help="Why.")

    def handle(self, *args: Any, **options: Any) -> None:
        charge = Charge.objects.filter(request_id=options["request_id"]).first()
        if charge is None:
            raise CommandError(f"There is no charge {options['request_id']!r}.")
        payment = payments.refund(charge=charge, amount=options["amount"], note=options["note"], by=COMMAND_LINE)
        payment.key.refresh_from_db()
        self.show(options, describe(payment.key))
