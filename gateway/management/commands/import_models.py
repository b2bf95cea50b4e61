from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import GatewayCommand
from gateway.management.commands.scan_models import find_provider, scanned
from providers.models import Kind
from providers.services import discovery
from providers.services.discovery import Scanned


class Command(GatewayCommand):
    help = "Add models that a provider's upstream has, with their known prices and lengths: all of those named or none."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("provider", help="The provider's name.")
        parser.add_argument("names", nargs="*", metavar="NAME", help="As `scan_models` shows them.")
        parser.add_argument("--all", action="store_true", help="All of them, of one kind if that is given.")
        parser.add_argument("--kind", choices=Kind.values)
        parser.add_argument("--prefix", default="", help="Put before each public name, such as azure/.")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["names"]) == options["all"]:
            raise CommandError("Give the names of models, or --all.")
        provider = find_provider(options["provider"])
        found = scanned(provider, options["kind"])
        chosen = [each for each in found if not each.refusal] if options["all"] else _named(found, options["names"])
        rows = discovery.import_models(provider=provider, chosen=chosen, prefix=options["prefix"])
        unpriced = ", ".join(row.name for row in rows if not row.is_priced)
        counts = {"added": len(rows), "already_there": len(chosen) - len(rows)}
        if options["all"]:
            counts["not_served"] = len(found) - len(chosen)
        self.show(options, {**counts, "names": ", ".join(row.name for row in rows), "unpriced": unpriced})


def _named(found: list[Scanned], names: list[str]) -> list[Scanned]:
    missing = sorted(set(names) - {each.id for each in found})
    if missing:
        raise CommandError(f"The upstream has no model {', '.join(missing)}; `manage.py scan_models` lists them.")
    return [each for each in found if each.id in names]
