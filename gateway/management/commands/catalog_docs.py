from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from providers import catalog
from providers.catalog import CATEGORIES, ConfigField, Vendor
from providers.catalog.settings import NOTHING

FILE = Path(__file__).resolve().parents[3] / "docs" / "providers.md"
HEAD = """# Providers

Written by `manage.py catalog_docs --write` out of the catalog's rows (`providers/catalog`): edit those.

The name is what `add_provider --requester` and the APIs take; an alias is taken too, and stored as the name. A base
URL in the table holds where a provider has none of its own. Settings are kept in a provider's `config`; those in bold
are required. Under "Parameters", what the vendor refuses: the gateway renames it or leaves it out.
"""
COLUMNS = ("Name", "Label", "Models", "Base URL", "Settings", "Keys", "Parameters", "Notes")
REFUSED_HEAD = """## Not providers

Names that other gateways have for something else than a model's endpoint; they are refused with the reason.
"""


class Command(BaseCommand):
    help = "Print the table of all kinds of provider, as Markdown."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Write docs/providers.md instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["write"]:
            FILE.write_text(document())
        else:
            self.stdout.write(document(), ending="")


def document() -> str:
    sections = [f"## {CATEGORIES[key][0]}\n\n{_table(vendors)}" for key, vendors in catalog.grouped()]
    refused = [f"| `{name}` | {reason} |" for name, reason in catalog.REFUSED.items()]
    return "\n".join([HEAD, *sections, REFUSED_HEAD, "| Name | Why not |", "|---|---|", *refused, ""])


def _table(vendors: list[Vendor]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_row(vendor) for vendor in vendors)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _row(vendor: Vendor) -> tuple[str, ...]:
    cells = (
        _codes((vendor.name, *vendor.aliases)),
        vendor.label,
        ", ".join(sorted(vendor.kinds)),
        _address(vendor),
        ", ".join(_setting(field) for field in vendor.settings),
        vendor.key_hint or ("one token" if vendor.needs_key else "optional" if vendor.has_address else "none"),
        _quirks(vendor),
        " ".join(text for text in (vendor.note, vendor.refusal) if text),
    )
    return tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in cells)


def _codes(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _address(vendor: Vendor) -> str:
    if not vendor.has_address:
        return "none"
    if vendor.needs_address:
        return "**yours**"
    return f"`{vendor.base_url}`" if vendor.base_url else "from the settings"


def _setting(field: ConfigField) -> str:
    default = "" if field.default in NOTHING or field.default is False else f" = {field.default_text}"
    name = f"`{field.name}`"
    return f"{f'**{name}**' if field.is_required else name} ({field.type}{default})"


def _quirks(vendor: Vendor) -> str:
    renamed = [f"`{before}` → `{after}`" for before, after in vendor.rename.items()]
    dropped = [f"no `{name}`" for name in sorted(vendor.drop)]
    limit = [] if vendor.max_tokens_field == "max_tokens" else [f"`{vendor.max_tokens_field}`"]
    needed = ["a limit is always sent"] if vendor.requires_max_tokens else []
    return ", ".join([*limit, *needed, *renamed, *dropped])
