import sys
from argparse import ArgumentTypeError
from getpass import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import GatewayCommand, json_object
from providers import catalog
from providers.services import providers


class Command(GatewayCommand):
    help = "Add an upstream: a vendor, or any server that speaks a known protocol."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument(
            "--requester", type=_vendor, default="openai-compatible", help="A name or alias out of docs/providers.md."
        )
        parser.add_argument("--base-url", help="Default: the vendor's own.")
        parser.add_argument("--key", action="append", default=[], help="A provider key; `-` reads it from stdin.")
        parser.add_argument("--config", type=json_object, default={}, help='JSON such as {"headers": {"X-Team": "a"}}.')

    def handle(self, *args: Any, **options: Any) -> None:
        requester, base_url = options["requester"], options["base_url"] or ""
        if catalog.VENDORS[requester].needs_address and not base_url:
            raise CommandError("Give --base-url: this kind of provider has no address of its own.")
        secrets = [_read_secret() if key == "-" else key for key in options["key"]]
        provider = providers.add(
            name=options["name"],
            requester=requester,
            base_url=base_url,
            secrets=secrets,
            config=options["config"],
        )
        content = {"id": provider.pk, "uuid": str(provider.uuid), "name": provider.name, "keys": len(secrets)}
        self.show(options, content)


def _vendor(name: str) -> str:
    """A vendor's canonical name, for argparse."""
    vendor = catalog.find(name)
    if vendor is None or vendor.refusal:
        raise ArgumentTypeError(catalog.refusal(name) or f"no requester is called {name!r}; docs/providers.md has all.")
    return vendor.name


def _read_secret() -> str:
    return (getpass("Provider key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
