"""What a row of the catalog says of a vendor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.requesters.base import Requester

MANUFACTURER, MAAS, SELF_HOSTED, BUILT_IN, UNIFIED = "manufacturer", "maas", "self-hosted", "builtin", "unified"


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A setting of one kind of provider: kept in `Provider.config`, or a column of its own (base_url, timeout).

    `type` is string, integer, number, boolean, array or object. Secrets are no settings: they are provider keys.
    """

    name: str
    label: str
    label_zh: str
    type: str = "string"
    is_required: bool = False
    default: Any = ""
    help_text: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind of endpoint: its label, where it usually lives, what it serves, who speaks to it and in which quirks.

    `kinds` are those of models (`providers.models.Kind`) that it can serve. `key_hint` says what a key looks like
    where it is more than one token. `refusal` says why a provider of this kind can't be set up here.
    """

    name: str
    label: str
    base_url: str
    requester: type[Requester] = Requester
    label_zh: str = ""
    category: str = MANUFACTURER
    kinds: frozenset[str] = frozenset({"llm"})
    fields: tuple[ConfigField, ...] = ()
    aliases: tuple[str, ...] = ()
    search: str = ""
    max_tokens_field: str = "max_tokens"
    requires_max_tokens: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    needs_key: bool = True
    key_hint: str = ""
    is_router: bool = False
    refusal: str = ""
