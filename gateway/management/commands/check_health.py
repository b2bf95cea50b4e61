import json
import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection
from django.db.models import Prefetch

from gateway.management.base import GatewayCommand
from providers.models import Provider, ProviderKey
from providers.services.health import Checked, check


class Command(GatewayCommand):
    help = (
        "Try every key of every enabled provider with a request that costs nothing. What fails rests, what is well "
        "is called again. Exit code 1 when something fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("providers", nargs="*", metavar="PROVIDER", help="Names. Default: all that are enabled.")
        parser.add_argument("--every", type=float, metavar="SECONDS", help="Go on for ever, and say only what changes.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["every"] is not None:
            self._go_on(options)
            return
        results = check(_providers(options["providers"]))
        self._show(options, results)
        if not all(result.is_well for result in results):
            sys.exit(1)

    def _show(self, options: dict[str, Any], results: list[Checked]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps([_told(result) for result in results]))
            return
        for result in results:
            self.stdout.write(_line(result))

    def _go_on(self, options: dict[str, Any]) -> None:
        known: dict[tuple[str, str], bool] = {}
        while True:
            try:
                for result in check(_providers(options["providers"])):
                    place = (result.provider.name, result.key_name)
                    if known.get(place, True) != result.is_well:
                        self.stdout.write(_line(result))
                    known[place] = result.is_well
            except Error as error:
                self.stderr.write(f"The database does not answer: {error}")
            connection.close()  # for the pause, and for a database that was away
            time.sleep(max(options["every"], 1))


def _providers(names: list[str]) -> list[Provider]:
    keys = Prefetch("keys", ProviderKey.objects.defer("secret"))
    found = Provider.objects.filter(is_enabled=True).prefetch_related(keys)
    if names:
        found = found.filter(name__in=names)
        missing = set(names) - {provider.name for provider in found}
        if missing:
            raise CommandError(f"There is no enabled provider {', '.join(sorted(missing))}.")
    return list(found)


def _told(result: Checked) -> dict[str, Any]:
    return {
        "provider": result.provider.name,
        "key": result.key_name,
        "ok": result.is_well,
        "milliseconds": result.milliseconds,
        "error": None if result.error is None else str(result.error),
        "code": None if result.error is None else result.error.code,
    }


def _line(result: Checked) -> str:
    place = f"{result.provider.name} ({result.key_name})" if result.key_name else result.provider.name
    state = "well" if result.error is None else f"{result.error.code}: {result.error}"
    return f"{place}: {state}, {result.milliseconds} ms"
