import json
from typing import Any

from accounts.services.ledger.audit import audit
from chat.services import idempotency
from chat.services.conversations import session_breaks
from gateway.management.base import GatewayCommand


class Command(GatewayCommand):
    help = "Prove the ledger: recompute every counter and fee. Exit code 1 and the rows, when something is off."

    def handle(self, *args: Any, **options: Any) -> None:
        breaks = [*map(str, audit()), *session_breaks(), *idempotency.breaks()]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not breaks, "breaks": breaks}))
        else:
            self.stdout.write("\n".join(breaks) if breaks else "The ledger is whole.")
        if breaks:
            raise SystemExit(1)
