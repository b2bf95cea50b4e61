"""What a row of the catalog says of a vendor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.requesters.base import Requester

MANUFACTURER, MAAS, SELF_HOSTED, BUILT_IN, UNIFIED = "manufacturer", "maas", "self-hosted", "builtin", "unified"
# In the order in which people are shown them.
CATEGORIES: dict[str, tuple[str, str]] = {
    MANUFACTURER: ("Model makers", "模型厂商"),
    MAAS: ("Aggregators and clouds", "聚合平台"),
    SELF_HOSTED: ("Your own servers", "自部署"),
    UNIFIED: ("Unified gateways", "统一网关"),
    BUILT_IN: ("Built in", "内置"),
}

LLM, EMBEDDING, RERANK = "llm", "embedding", "rerank"
CHAT_ONLY = frozenset({LLM})
CHAT_AND_EMBEDDING = frozenset({LLM, EMBEDDING})
USUAL = frozenset({LLM, EMBEDDING, RERANK})
EMBEDDING_ONLY = frozenset({EMBEDDING})
# What the gateway has an endpoint for, in OpenAI's own shapes.
EVERYTHING = frozenset({*USUAL, "image", "speech", "transcription", "moderation"})


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A setting of one kind of provider: kept in `Provider.config`, or a column of its own (base_url, timeout).

    `type` is string, integer, number, boolean, array or object. Secrets are no settings: they are provider keys.
    A required field with a default may be left out. `reserved` are names that an object may not have.
    """

    name: str
    label: str
    label_zh: str
    type: str = "string"
    is_required: bool = False
    default: Any = ""
    help_text: str = ""
    reserved: frozenset[str] = frozenset()

    @property
    def is_column(self) -> bool:
        return self.name in COLUMNS

    @property
    def default_text(self) -> str:
        """The default as one would type it, which for lists, numbers and switches is JSON."""
        return self.default if isinstance(self.default, str) else json.dumps(self.default)


COLUMNS = frozenset({"base_url", "timeout"})
TIMEOUT = ConfigField("timeout", "Timeout", "超时时间", "integer", is_required=True, default=120)


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind of endpoint: its label, where it usually lives, what it serves, who speaks to it and in which quirks.

    `kinds` are those of models (`providers.models.Kind`) that it can serve. `key_hint` says what a key looks like
    where it is more than one token. `refusal` says why a provider of this kind can't be set up here. `protocol` is
    the name of its wire among those who tell vendors apart by it; empty where it has none. `note` is for operators.

    Where an address comes from: the provider's own, else `base_url`; `derives_address` when it follows from the
    settings (a region, say). `is_builtin`: it is the gateway's embedded model. `is_router`: its models choose others.
    """

    name: str
    label: str
    base_url: str
    requester: type[Requester] = Requester
    label_zh: str = ""
    category: str = MANUFACTURER
    kinds: frozenset[str] = CHAT_ONLY
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
    protocol: str = "openai"
    note: str = ""
    is_builtin: bool = False
    derives_address: bool = False

    @property
    def has_address(self) -> bool:
        """Whether there is a place to call at all."""
        return not (self.is_builtin or self.is_router)

    @property
    def needs_address(self) -> bool:
        """Whether the operator must say where it lives."""
        return self.has_address and not self.base_url and not self.derives_address

    def serves(self, kind: str) -> bool:
        """Whether it can have models of this kind. Beyond the usual three, rows name what is known for sure; there
        decides whether its protocol has a place for the call at all."""
        is_possible = self.has_address and kind not in USUAL and kind in self.requester.paths
        return kind in self.kinds or is_possible

    @property
    def settings(self) -> tuple[ConfigField, ...]:
        """Those fields that `Provider.config` keeps."""
        return tuple(each for each in self.fields if not each.is_column)

    @property
    def all_fields(self) -> tuple[ConfigField, ...]:
        """What an operator may say of such a provider, with the columns: a row need not repeat those."""
        if not self.has_address or any(each.is_column for each in self.fields):
            return self.fields
        base_url = ConfigField("base_url", "Base URL", "基础 URL", "string", not self.derives_address, self.base_url)
        return (base_url, TIMEOUT, *self.fields)
