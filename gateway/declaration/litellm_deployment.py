"""One entry of a LiteLLM config's model_list: which provider it needs, and the model on it."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from common.money import DECIMALS, show, to_units
from gateway.declaration import litellm_table as table
from gateway.declaration.litellm_table import COMPATIBLE, OPENAI, Known
from providers import catalog
from providers.catalog import Vendor
from providers.models import PRICE_FIELDS, Kind, Provider, UnknownParams
from providers.requesters import listing
from providers.services import knowledge

JSON = dict[str, Any]

ENVIRONMENT = "os.environ/"
PER_MILLION = 1_000_000
# A Bedrock key is one text: its parts, in this order.
AWS_PARTS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
HANDLED = frozenset(
    {
        *("model", "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "aws_region_name"),
        *("timeout", "stream_timeout", "weight", "drop_params", "extra_headers", "headers", "organization"),
        *("extra_body", "num_retries", "max_retries", *AWS_PARTS, *table.CALL_PARAMETERS, *table.PRICES.values()),
        *(name for names in (*table.NUMBERS.values(), *table.LENGTHS.values()) for name in names),
    }
)
HANDLED_INFO = frozenset(
    {
        *("id", "mode", "base_model", "description", "access_groups", *table.ABILITIES, *table.PRICES.values()),
        *(name for names in table.LENGTHS.values() for name in names),
    }
)


class Unfit(Exception):
    """Why an entry is left out."""


@dataclass(slots=True)
class Secrets:
    """Finds what references stand for: in the file's own environment_variables, the environment, or the file itself.

    A secret that the file spells out gets a reference of its own, so that the document holds none.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def variable(self, name: str) -> str | None:
        return self.variables.get(name) or os.environ.get(name) or None

    def give(self, secret: str) -> str:
        reference = next((known for known, text in self.given.items() if text == secret), f"given:{len(self.given)}")
        self.given[reference] = secret
        return reference

    def resolve(self, reference: str) -> str | None:
        return self.given.get(reference) or self.variable(reference.removeprefix("env:"))


@dataclass(frozen=True, slots=True)
class Place:
    """What makes two entries neighbours on one provider."""

    requester: str
    base_url: str
    config: str
    secret: str


@dataclass(slots=True)
class Deployment:
    """An entry that fits."""

    place: Place
    provider: JSON
    secret: str
    model: JSON
    label: str
    groups: list[str] = field(default_factory=list)
    timeouts: JSON = field(default_factory=dict)
    weight: Decimal | None = None
    alias_of: str = ""


class Reader:
    """Reads one entry. `report` gets a line for each thing that has no place here."""

    def __init__(self, name: str, params: JSON, info: JSON, secrets: Secrets, report: list[str], where: str) -> None:
        self.name = name
        self.info = info
        self.secrets = secrets
        self._report = report
        self._where = where
        self.raw = params
        self.params = {key: self._value(value) for key, value in params.items() if key not in ("api_key", *AWS_PARTS)}

    def read(self) -> Deployment:
        """Raises Unfit."""
        prefix, upstream_name = self._split()
        kind = self._kind(upstream_name)
        known = self._known(prefix, kind)
        vendor = catalog.find(known.requester)
        if vendor is None:
            raise Unfit(f"there is no requester {known.requester} here")
        base_url = self._base_url(known)
        if vendor.needs_address and not base_url:
            raise Unfit("it has no api_base")
        config, secret = self._config(vendor), self._secret(known, vendor)
        place = Place(vendor.name, base_url, repr(sorted(config.items(), key=str)), secret)
        self._tell_the_rest()
        provider = {"requester": vendor.name, "base_url": base_url, "config": config}
        return Deployment(
            place=place,
            provider={name: value for name, value in provider.items() if value},
            secret=secret,
            model=self._model(upstream_name, kind, provider),
            label=_label(vendor, known, base_url, prefix),
            groups=[each for each in self.info.get("access_groups") or [] if isinstance(each, str)],
            timeouts=dict(self._timeouts()),
            weight=_decimal(self.params.get("weight")),
        )

    # Which provider

    def _split(self) -> tuple[str, str]:
        """LiteLLM's provider and the model's name there."""
        model = self.params.get("model")
        if not isinstance(model, str) or not model:
            raise Unfit("it has no litellm_params.model")
        if "*" in model or "*" in self.name:
            raise Unfit("wildcards stand for models that are not listed; import them with `manage.py import_models`")
        given, (prefix, _, rest) = self.params.get("custom_llm_provider"), model.partition("/")
        if isinstance(given, str) and given:
            return given, rest if prefix == given else model
        if rest and prefix in table.PROVIDERS:
            return prefix, _without_routes(rest) if prefix.startswith("bedrock") else rest
        found = next((provider for words, provider in table.BARE if re.match(words, model)), "")
        if rest or not found:
            raise Unfit(f"its provider {prefix if rest else 'is not named and'} is not known here")
        return found, model

    def _known(self, prefix: str, kind: str) -> Known:
        known = table.PROVIDERS.get(prefix)
        if known is None:
            raise Unfit(f"its provider {prefix} is not known here")
        known = table.OF_A_KIND.get((kind, prefix), known)
        elsewhere = _host(self._address())
        if known.requester == OPENAI and elsewhere and elsewhere != "api.openai.com":
            return Known(COMPATIBLE)
        return known

    def _address(self) -> str:
        address = self.params.get("api_base") or self.params.get("base_url") or ""
        return address if isinstance(address, str) else ""

    def _base_url(self, known: Known) -> str:
        if any(self.raw.get(name) and self.params.get(name) is None for name in ("api_base", "base_url")):
            raise Unfit("the variable of its api_base is not set")
        return (self._address() or known.base_url).rstrip("/")

    def _config(self, vendor: Vendor) -> JSON:
        """Settings go by the names of the vendor's row."""
        config: JSON = {}
        for setting in vendor.settings:
            value = self.params.get(table.SETTINGS.get(setting.name, ""))
            if value:
                config[setting.name] = [value] if setting.type == "array" else value
        headers = self._headers()
        return {**config, "headers": headers} if headers else config

    def _headers(self) -> JSON:
        headers: JSON = {}
        for name in ("headers", "extra_headers"):
            given = self.params.get(name)
            if isinstance(given, dict):
                headers |= {str(key): str(self._value(value)) for key, value in given.items()}
        if isinstance(organization := self.params.get("organization"), str):
            headers["OpenAI-Organization"] = organization
        if headers:
            self._tell("its headers are kept as plain text, and everybody who may see providers sees them")
        return headers

    # Its key

    def _secret(self, known: Known, vendor: Vendor) -> str:
        """A reference; empty where none is needed."""
        if any(self.raw.get(part) for part in AWS_PARTS):
            return self._aws_secret()
        given = self.raw.get("api_key")
        if isinstance(given, str) and given:
            return self._reference(given)
        return f"env:{known.variable}" if known.variable and vendor.needs_key else ""

    def _reference(self, given: str) -> str:
        if given.startswith(ENVIRONMENT):
            return f"env:{given.removeprefix(ENVIRONMENT)}"
        self._tell("its key stands in the file itself; it is stored encrypted, so the file can go")
        return self.secrets.give(given)

    def _aws_secret(self) -> str:
        parts = [str(self.raw[part]) for part in AWS_PARTS if self.raw.get(part)]
        values = []
        for part in parts:
            name = part.removeprefix(ENVIRONMENT)
            value = self.secrets.variable(name) if part.startswith(ENVIRONMENT) else part
            if value is None:
                return f"env:{name}"  # which says in the end that it is not set
            values.append(value)
        return self.secrets.give(":".join(values))

    # The model

    def _kind(self, upstream_name: str) -> str:
        mode = self.info.get("mode")
        if mode is not None and mode not in table.KINDS:
            raise Unfit(f"there are no models of the mode {mode} here")
        return table.KINDS[mode] if mode else listing.kind_of(upstream_name)

    def _model(self, upstream_name: str, kind: str, provider: JSON) -> JSON:
        abilities = [ours for theirs, ours in table.ABILITIES.items() if self.info.get(theirs) is True]
        description = self.info.get("description")
        fields = {
            "name": self.name,
            "upstream_name": upstream_name,
            "kind": kind,
            "description": description if isinstance(description, str) else "",
            "abilities": abilities,
            "is_multimodal": "vision" in abilities,
            "extra_args": self._extra_args(),
            "unknown_params": UnknownParams.REFUSE if self.params.get("drop_params") is False else "",
            **dict(self._numbers()),
            **self._prices(upstream_name, kind, provider),
        }
        return {name: value for name, value in fields.items() if value not in ("", [], {}, None, False)}

    def _extra_args(self) -> JSON:
        given = {name: value for name, value in self.params.items() if name in table.CALL_PARAMETERS}
        body = self.params.get("extra_body")
        return {**given, **(body if isinstance(body, dict) else {})}

    def _numbers(self) -> Iterator[tuple[str, int]]:
        sources = ((table.NUMBERS, self.params), (table.LENGTHS, self.info))
        for ours, theirs, source in (
            (ours, theirs, source) for names, source in sources for ours, theirs in names.items()
        ):
            number = next((found for name in theirs if (found := _decimal(source.get(name)))), None)
            if number is not None and number == int(number):
                yield ours, int(number)

    def _prices(self, upstream_name: str, kind: str, provider: JSON) -> JSON:
        """The file's, else the public list's: LiteLLM has one of its own."""
        told = {ours: _decimal(self.params.get(theirs, self.info.get(theirs))) for ours, theirs in table.PRICES.items()}
        prices = {ours: round(price * PER_MILLION, DECIMALS) for ours, price in told.items() if price is not None}
        if not prices:
            base = self.info.get("base_model")
            listed = knowledge.about(
                provider=Provider(requester=provider["requester"], base_url=provider["base_url"]),
                upstream_name=base.rpartition("/")[2] if isinstance(base, str) and base else upstream_name,
            )
            prices = dict(listed.prices)
            self._tell(
                "its prices are from a public list" if prices else "its price is not known: its calls cost nothing"
            )
        if "price_in" in prices and kind in (Kind.EMBEDDING, Kind.RERANK):
            prices.setdefault("price_out", Decimal(0))
        return {name: show(to_units(prices[name])) for name in PRICE_FIELDS if name in prices}

    def _timeouts(self) -> Iterator[tuple[str, Decimal]]:
        for ours, theirs in (("total_timeout", "timeout"), ("first_byte_timeout", "stream_timeout")):
            seconds = _decimal(self.params.get(theirs))
            if seconds:
                yield ours, seconds
        retries = _decimal(self.params.get("num_retries", self.params.get("max_retries")))
        if retries is not None:
            yield "retries", retries

    # What does not fit

    def _value(self, value: Any) -> Any:
        """A value, or what its variable holds."""
        if not (isinstance(value, str) and value.startswith(ENVIRONMENT)):
            return value
        found = self.secrets.variable(value.removeprefix(ENVIRONMENT))
        if found is None:
            self._tell(f"the variable {value.removeprefix(ENVIRONMENT)} is not set")
        return found

    def _tell_the_rest(self) -> None:
        for name in self.params.keys() - HANDLED:
            self._tell(f"litellm_params.{name} has no counterpart")
        for name in self.info.keys() - HANDLED_INFO:
            self._tell(f"model_info.{name} has no counterpart")

    def _tell(self, text: str) -> None:
        self._report.append(f"{self._where}: {text}.")


def _label(vendor: Vendor, known: Known, base_url: str, prefix: str) -> str:
    if known.requester == COMPATIBLE and known.base_url == base_url and base_url:
        return prefix
    return f"{vendor.label} at {_host(base_url)}" if base_url else vendor.label


def _without_routes(name: str) -> str:
    """bedrock/converse/us-east-1/x is x."""
    parts = name.split("/")
    while len(parts) > 1 and (parts[0] in table.BEDROCK_ROUTES or re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", parts[0])):
        parts.pop(0)
    return "/".join(parts)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _decimal(value: Any) -> Decimal | None:
    """A number that is written as a number or a text, exactly as it is written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None
