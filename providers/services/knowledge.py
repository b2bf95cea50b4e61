"""What is known of models beyond what an upstream says of them: prices and lengths from the genai-prices list.

The list and what it imports are loaded when first asked: processes that only serve calls never pay for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from common.money import DECIMALS
from providers.models import Kind, Provider
from providers.requesters import listing
from providers.services.routing import vendor_of

JSON = Mapping[str, Any]

# Our column for each of the list's prices; both are USD per million tokens.
PRICES = {
    "price_in": "input_mtok",
    "price_out": "output_mtok",
    "price_cached_read": "cache_read_mtok",
    "price_cached_write": "cache_write_mtok",
}
RARE = {
    "price_cached_write_1h": "cache_write_1h_mtok",
    "price_reasoning": "output_reasoning_mtok",
    "price_image_in": "input_image_mtok",
    "price_image_out": "output_image_mtok",
    "price_audio_in": "input_audio_mtok",
    "price_audio_out": "output_audio_mtok",
}
# USD per thousand: of requests, or of a reranker's searches.
REQUESTS = ("requests_kcount", "rerank_searches_kcount")
DEAREST = Decimal(10_000)  # what a price column takes
NO_ANSWER = (Kind.EMBEDDING, Kind.RERANK)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one model; None and empty: nothing. Prices are USD per million tokens, by our column."""

    prices: Mapping[str, Decimal]
    context_length: int | None = None
    label: str = ""
    description: str = ""
    note: str = ""
    is_listed: bool = False


NOTHING = Known({})


def about(*, provider: Provider, upstream_name: str, raw: JSON | None = None) -> Known:
    """What the price list knows of a provider's model, which need not be stored; `raw` is upstream's own entry.

    A price that upstream itself names wins. What no one knows has no price, which is something else than 0.
    """
    listed = _listed(provider, upstream_name)
    own = _usable(listing.prices(upstream_name, raw or {}))
    return Known(own, listed.context_length, listed.label, listed.description) if "price_in" in own else listed


def _listed(provider: Provider, upstream_name: str) -> Known:
    model = _in_list(provider, upstream_name)
    if model is None:
        return NOTHING
    current = model.get_prices(datetime.now(UTC))
    found = {column: getattr(current, theirs, None) for column, theirs in PRICES.items()}
    prices = {column: _base(price) for column, price in found.items() if price is not None}
    description = model.description or ""
    usable, note = _usable(prices), _note(found.values())
    return Known(usable, model.context_window, model.name or "", description, note, is_listed=bool(usable))


def listed_tiers(*, provider: Provider, upstream_name: str) -> dict[int, dict[str, Decimal]]:
    """All that the price list has now: by the number of prompt tokens above which they hold, 0 for the base, prices by
    column of `ModelPrice`. Empty: it does not have the model."""
    model = _in_list(provider, upstream_name)
    if model is None:
        return {}
    current = model.get_prices(datetime.now(UTC))
    told = {column: getattr(current, name, None) for column, name in (PRICES | RARE).items()}
    by_thousands = (getattr(current, name, None) for name in REQUESTS)
    told["price_request"] = next((each / 1000 for each in by_thousands if each is not None), None)
    found = {column: price for column, price in told.items() if price is not None}
    starts = {0} | {tier.start for price in found.values() for tier in getattr(price, "tiers", ())}
    return {above: _usable({column: _above(price, above) for column, price in found.items()}) for above in starts}


def with_output_price(kind: str, prices: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    """Models of some kinds have no answer to pay for; without a price of it their rows would count as unpriced."""
    return {"price_out": Decimal(0), **prices} if prices and kind in NO_ANSWER else prices


def _above(price: Any, tokens: int) -> Decimal:
    """A tier's price holds for all tokens of a call with more prompt tokens than its start."""
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= tokens]
    return Decimal(reached[-1]) if reached else _base(price)


def _in_list(provider: Provider, upstream_name: str) -> Any:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    vendor = _vendor_in(snapshot, provider)
    return vendor.find_model(upstream_name, all_providers=snapshot.providers) if vendor else None


def _vendor_in(snapshot: Any, provider: Provider) -> Any:
    """The list's provider: by where it lives, else by its protocol, if that is the vendor's own."""
    vendor = vendor_of(provider)
    address = provider.address
    for each in snapshot.providers:
        if address and re.match(each.api_pattern, address):
            return each
    from genai_prices.data_snapshot import find_provider_by_id

    is_own = vendor.protocol not in ("", "openai") or vendor.derives_address or _host(address) == _host(vendor.base_url)
    # Its first word, as some names go on with that of a protocol that they share.
    return find_provider_by_id(snapshot.providers, vendor.name.partition("-")[0]) if is_own else None


def _host(url: str) -> str:
    return urlsplit(url).hostname or "none"


def _base(price: Any) -> Decimal:
    """A row has one price, so of a price in tiers it is the first one."""
    return Decimal(price.base if hasattr(price, "tiers") else price)


def _note(prices: Any) -> str:
    tiered = [price for price in prices if hasattr(price, "tiers") and price.tiers]
    return f"Dearer from {tiered[0].tiers[0].start:,} prompt tokens on." if tiered else ""


def _usable(prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Those that a price column takes; a price that must be rounded is none."""
    return dict(_checked(prices))


def _checked(prices: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    for column, price in prices.items():
        if price.is_finite() and 0 <= price <= DEAREST and round(price, DECIMALS) == price:
            yield column, price.normalize() + 0  # adding undoes an exponent: 10, not 1E+1
