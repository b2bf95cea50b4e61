"""From a provider and a model back to the one object of settings that a one-layer program knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from providers import catalog
from providers.catalog import Flat
from providers.catalog.flat import COMMA_LISTS, PAIR, RETRIES, pair_names
from providers.models import AIModel, Provider, ProviderKey
from providers.sensitive import MASK, masked
from providers.services import keyrings

JSON = dict[str, Any]

NOTES = "flat"  # in a program's part of a model's metadata: the object as it was sent, without its secrets
KEYS = "keys_read"  # an attribute of a provider whose keys were read together with many others'
NOTHING: tuple[Any, ...] = (None, "", [], {})
HEADERS = "headers"
USUAL_RETRIES: int = Provider._meta.get_field("retries").default
MOST_RETRIES = 5


def config_of(model: AIModel, program: str) -> JSON:
    """What was sent, as far as it holds; what has become something else comes as the rows have it."""
    sent = _sent(model, program)
    read_before = getattr(model.provider, KEYS, None)
    now = _now(model, sent, keyrings.rows_of(model.provider, read_before))
    flat, known = catalog.flat(model.provider.requester), known_names(model.provider.requester, model.provider.config)
    shown: JSON = {}
    for name, value in (sent or {}).items():
        if name not in known or meaning(flat, name, value) == meaning(flat, name, now.get(name)):
            shown[name] = value
        elif name in now:
            shown[name] = now[name]
    return {**shown, **{name: value for name, value in now.items() if name not in shown}}


def known_names(requester: str, config: Mapping[str, Any]) -> frozenset[str]:
    """Those of the settings that the rows have a place for; the others are only kept."""
    return catalog.flat(requester).own | setting_names(requester, config)


def setting_names(requester: str, config: Mapping[str, Any]) -> frozenset[str]:
    """Those that are in the provider's settings, which are these, or would be."""
    flat, vendor = catalog.flat(requester), catalog.find(requester)
    settings = {each.name for each in vendor.settings} if vendor else set()
    named_by_provider = {flat.name} & settings if config.get(flat.name) else set()
    return frozenset(({*settings, HEADERS, *config} - flat.own) | named_by_provider)


def meaning(flat: Flat, name: str, value: Any) -> Any:
    """What a setting comes to, however it is spelled; None where it says nothing."""
    if value in NOTHING:
        return None
    if name in COMMA_LISTS and isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()] or None
    if isinstance(value, str):
        return (value.strip().rstrip("/") if name == flat.address else value.strip()) or None
    if name == RETRIES and isinstance(value, int):
        return min(value, MOST_RETRIES)
    if name == flat.pairs:
        return [{part: pair[part] for part in PAIR if pair.get(part)} for pair in value]
    return value


def _sent(model: AIModel, program: str) -> JSON | None:
    """The object as it was sent last; None: never, or for another kind of provider."""
    notes = model.metadata.get(program, {}).get(NOTES, {})
    return notes["config"] if notes.get("requester") == model.provider.requester else None


def _now(model: AIModel, sent: JSON | None, keys: Sequence[ProviderKey]) -> JSON:
    """What the rows say. Usual values only if they were sent, or must be."""
    provider, flat = model.provider, catalog.flat(model.provider.requester)
    said = {name for name in flat.own if meaning(flat, name, (sent or {}).get(name)) is not None}
    found: JSON = {}
    if flat.name and (sent is None or flat.name in said or model.upstream_name != implicit_name(flat, model)):
        found[flat.name] = model.upstream_name
    if provider.base_url or flat.address in {*said, *flat.required}:
        found[flat.address] = provider.address
    found |= _keys(flat, keys)
    if RETRIES in said or provider.retries != USUAL_RETRIES:
        found[RETRIES] = provider.retries
    settings, names = masked(provider.config), setting_names(provider.requester, provider.config)
    return found | {name: settings[name] for name in settings if name in names and settings[name] not in NOTHING}


def implicit_name(flat: Flat, model: AIModel) -> str:
    """What upstream is asked for where the settings don't say."""
    return flat.default_name or model.name


def _keys(flat: Flat, keys: Sequence[ProviderKey]) -> JSON:
    """A mask for the one secret stands for all of its kind, as there may be more."""
    pairs = [parts for parts in (pair_parts(flat, key) for key in keys) if parts]
    one = {flat.key: MASK} if len(pairs) < len(keys) else {}
    return one | ({flat.pairs: [dict.fromkeys(parts, MASK) for parts in pairs]} if pairs else {})


def pair_parts(flat: Flat, key: ProviderKey) -> tuple[str, ...]:
    """What of a pair the key is; nothing: it is one secret."""
    return pair_names(key.readable_secret) if flat.pairs else ()
