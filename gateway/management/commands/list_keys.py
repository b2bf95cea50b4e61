import json
from typing import Any

from accounts.models import ApiKey
from gateway.management.base import GatewayCommand, describe, usd


class Command(GatewayCommand):
    help = "List the API keys: whose, what they may spend, what they have spent."

    def handle(self, *args: Any, **options: Any) -> None:
        keys = ApiKey.objects.filter(is_internal=False).select_related("group").order_by("id")
        if options["json"]:
            self.stdout.write(json.dumps([describe(key) for key in keys.iterator()], default=str))
            return
        self.stdout.write(_line("id", "prefix", "state", "quota", "month", "balance", "spent", "name"))
        for key in keys.iterator():
            quota = "no limit" if key.month_quota is None else usd(key.month_quota)
            state = "active" if key.is_usable else "expired" if key.is_active else "revoked"
            amounts = (quota, usd(key.month_fee), usd(key.balance), usd(key.spent))
            self.stdout.write(_line(str(key.pk), key.prefix, state, *amounts, key.name))


def _line(*cells: str) -> str:
    widths = (6, 11, 8, 12, 12, 12, 12)
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)) + f" {cells[-1]}"
