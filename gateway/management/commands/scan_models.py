import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import GatewayCommand, usd
from providers.models import PRICE_FIELDS, Kind, Provider
from providers.services import discovery
from providers.services.discovery import ScanFailed, Scanned

WIDTHS = (48, 13, 12, 12, 10)


class Command(GatewayCommand):
    help = "List the models that a provider's upstream has, with what they cost if that is known."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("provider", help="The provider's name.")
        parser.add_argument("--kind", choices=Kind.values)

    def handle(self, *args: Any, **options: Any) -> None:
        found = scanned(find_provider(options["provider"]), options["kind"])
        if options["json"]:
            self.stdout.write(json.dumps([describe_scanned(each) for each in found]))
            return
        self.stdout.write(_line("model", "kind", "in", "out", "context", ""))
        for each in found:
            prices = (_price(each.price_in), _price(each.price_out))
            context = str(each.context_length or "-")
            self.stdout.write(_line(each.id, each.kind, *prices, context, "added" if each.already_added else ""))


def find_provider(name: str) -> Provider:
    provider = Provider.objects.filter(name=name).first()
    if provider is None:
        raise CommandError(f"There is no provider {name!r}.")
    return provider


def scanned(provider: Provider, kind: str | None) -> list[Scanned]:
    try:
        return discovery.scan(provider=provider, kind=kind)
    except ScanFailed as error:
        raise CommandError(f"{error}.") from error


def describe_scanned(each: Scanned) -> dict[str, Any]:
    """A model as JSON; prices are texts in USD per million tokens, null where unknown."""
    prices = {name: usd(each.prices[name]) if name in each.prices else None for name in PRICE_FIELDS}
    plain = ("id", "kind", "display_name", "context_length", "max_output", "owned_by", "already_added", "price_note")
    lists = {"abilities": list(each.abilities), "input_modalities": list(each.input_modalities)}
    return {**{name: getattr(each, name) for name in plain}, **lists, **prices}


def _price(price: Any) -> str:
    return "-" if price is None else usd(price)


def _line(*cells: str) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, (*WIDTHS, 0), strict=True)).rstrip()
