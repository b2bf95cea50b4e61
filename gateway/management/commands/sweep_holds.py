from dataclasses import asdict
from typing import Any

from accounts.services.ledger.sweep import sweep
from gateway.management.base import GatewayCommand


class Command(GatewayCommand):
    help = "Settle the holds of processes that died. Each start of the gateway does the same."

    def handle(self, *args: Any, **options: Any) -> None:
        self.show(options, asdict(sweep()))
