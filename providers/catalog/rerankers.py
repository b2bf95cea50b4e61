"""Rows."""

from providers.catalog.vendor import Vendor

ROWS: tuple[Vendor, ...] = ()
