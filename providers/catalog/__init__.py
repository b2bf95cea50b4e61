"""The vendors, as rows. A vendor that speaks OpenAI's protocol is a row and nothing else.

The row gives the console's form its choices and a requester its quirks; no migration follows from a new row.
"""

from providers.catalog.rows import ROWS
from providers.catalog.vendor import ConfigField, Vendor

__all__ = ["VENDORS", "ConfigField", "Vendor", "choices", "find"]

VENDORS = {vendor.name: vendor for vendor in ROWS}
_BY_ALIAS = {alias: vendor for vendor in ROWS for alias in (vendor.name, *vendor.aliases)}


def find(name: str) -> Vendor | None:
    """A vendor by its name or one of its aliases."""
    return _BY_ALIAS.get(name)


def choices() -> list[tuple[str, str]]:
    """For the model field and the console's form."""
    return [(vendor.name, vendor.label) for vendor in VENDORS.values()]
