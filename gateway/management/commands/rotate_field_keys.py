from typing import Any

from accounts.services import notices
from chat.services.bots import managing as bots
from gateway.management.base import GatewayCommand
from providers.services import rotation


class Command(GatewayCommand):
    help = (
        "Encrypt all secrets of providers, limits and bots anew under the first of FIELD_ENCRYPTION_KEYS, while the "
        "gateway runs. Put the new key first, restart, run this, then drop the old key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.show(options, {"re-encrypted": rotation.rotate() + notices.rotate() + bots.rotate()})
