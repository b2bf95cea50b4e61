"""Which models an upstream says it has, what is known of each, and taking them over as rows."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch

from common.database import borrowed_connection
from providers.models import AIModel, Kind, Provider, ProviderKey
from providers.requesters.base import RemoteModel, Requester
from providers.requesters.egress import Timeouts
from providers.requesters.errors import AuthFailed, ModelNotFound, ProviderError, Timeout
from providers.services import knowledge
from providers.services.knowledge import TOOLS, VISION
from providers.services.routing import accesses_of, vendor_of

JSON = Mapping[str, Any]

PATIENCE = Timeouts(connect=10, first_byte=30, idle=30, total=60)  # a person waits at the other end
NO_LIST = "current provider does not support model scanning"

# The first that fits an id, in this order; what fits none is a language model.
WORDS: tuple[tuple[str, str], ...] = (
    (Kind.RERANK, r"rerank|re-rank|re_rank"),
    (Kind.EMBEDDING, r"embedding|embed|bge-|e5-|m3e|gte-"),
    (Kind.MODERATION, r"moderation"),
    (Kind.TRANSCRIPTION, r"whisper|transcribe"),
    (Kind.SPEECH, r"(^|[-_/.])tts([-_/.\d]|$)"),
    (Kind.IMAGE, r"dall-e|gpt-image|imagen|stable-diffusion|sdxl|(^|[-_/.])flux([-_/.\d]|$)"),
)
BY_MODALITY = {"embedding": Kind.EMBEDDING, "embeddings": Kind.EMBEDDING, "image": Kind.IMAGE}
# Where upstreams say how long a prompt and answer may be: OpenRouter and LM Studio, others, vLLM, Gemini, Anthropic.
LENGTHS = frozenset({"context_length", "context_window", "max_context_length", "max_model_len", "max_input_tokens"})
LENGTHS |= {"inputTokenLimit", "input_token_limit", "max_sequence_length"}
OUTPUTS = frozenset({"max_output_tokens", "max_completion_tokens", "outputTokenLimit", "output_token_limit"})
# What upstreams call an ability: OpenRouter's supported_parameters, Ollama's and Mistral's capabilities, Anthropic's.
ABILITIES = {
    "tools": TOOLS,
    "function_calling": TOOLS,
    "tool_use": TOOLS,
    "vision": VISION,
    "image_input": VISION,
    "reasoning": knowledge.REASONING,
    "thinking": knowledge.REASONING,
}
CONTRACT_KINDS = frozenset({Kind.LLM, Kind.EMBEDDING, Kind.RERANK})


class ScanFailed(Exception):
    """Why an upstream's models can't be listed. `reason` is short; the text says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scanned:
    """One model that an upstream has. None and empty: not known. Prices are USD per million tokens, by column."""

    id: str
    kind: str
    abilities: tuple[str, ...] = ()
    display_name: str | None = None
    description: str | None = None
    context_length: int | None = None
    max_output: int | None = None
    owned_by: str | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    already_added: bool = False
    prices: Mapping[str, Decimal] = dataclasses.field(default_factory=dict)
    price_note: str = ""

    @property
    def name(self) -> str:
        return self.id

    @property
    def type(self) -> str:
        """The kind, for those who know three of them."""
        return self.kind if self.kind in CONTRACT_KINDS else Kind.LLM

    @property
    def price_in(self) -> Decimal | None:
        return self.prices.get("price_in")

    @property
    def price_out(self) -> Decimal | None:
        return self.prices.get("price_out")


def scan(*, provider: Provider, kind: str | None = None) -> list[Scanned]:
    """What the upstream has, language models first, then by name; only of one kind if that is given.

    Raises ScanFailed.
    """
    with borrowed_connection():  # it is given back before the upstream is asked
        requesters = _requesters(provider)
        added = _added(provider)
    entries = {entry.id: entry for entry in _listed(requesters)}
    found = [_scanned(provider, entry, added) for entry in entries.values()]
    found.sort(key=lambda each: (each.type != Kind.LLM, each.name.lower()))
    return [each for each in found if kind in (None, each.kind)]


def import_models(*, provider: Provider, chosen: Sequence[Scanned], prefix: str = "") -> list[AIModel]:
    """Make rows of those that are not there yet, under `prefix` and their own names: all of them or none.

    Raises ValidationError.
    """
    with transaction.atomic():
        Provider.objects.select_for_update().get(pk=provider.pk)  # two imports at once would add a model twice
        added = _added(provider)
        wanted = {(each.kind, each.id): each for each in chosen}
        fresh = [
            each for key, each in wanted.items() if key not in added and (each.kind, prefix + each.id) not in added
        ]
        rows = [_row(provider, each, prefix) for each in fresh]
        return AIModel.objects.bulk_create(rows) if rows else []


def marked(each: Scanned) -> Scanned:
    """The same, once it has a row."""
    return dataclasses.replace(each, already_added=True)


def kind_of(name: str) -> str:
    """What a model of that name is most likely for."""
    return next((kind for kind, words in WORDS if re.search(words, name.lower())), Kind.LLM)


# Asking


def _requesters(provider: Provider) -> list[Requester]:
    vendor = vendor_of(provider)
    if not vendor.has_address:
        raise ScanFailed(NO_LIST)
    if vendor.needs_address and not provider.base_url:
        raise ScanFailed("Base URL required for model scanning")
    stored = Provider.objects.prefetch_related(Prefetch("keys", ProviderKey.objects.defer("secret")))
    requesters = [access.requester for access in accesses_of(stored.get(pk=provider.pk))]
    if not requesters:
        raise ScanFailed("The provider has no enabled key")
    return [_patient(requester) for requester in requesters]


def _patient(requester: Requester, **changes: Any) -> Requester:
    """A copy that waits no longer than a person does."""
    endpoint = requester.endpoint
    changed = dataclasses.replace(endpoint, timeouts=PATIENCE.within(endpoint.timeouts), **changes)
    return type(requester)(changed, requester.transport)


def _listed(requesters: Sequence[Requester]) -> list[RemoteModel]:
    """The first key's list; the next key's where one is refused."""
    for place, requester in enumerate(requesters, 1):
        try:
            return _ask(requester)
        except ProviderError as error:
            if not isinstance(error, AuthFailed) or place == len(requesters):
                raise _failure(error) from error
    return []


def _ask(requester: Requester) -> list[RemoteModel]:
    """OpenAI's protocol lives under /v1 on most servers, which operators like to leave out."""
    is_plain = type(requester).list_models is Requester.list_models
    if is_plain and "models" not in requester.paths:
        raise ScanFailed(NO_LIST)
    try:
        return requester.list_models()
    except ModelNotFound:
        base_url = requester.endpoint.base_url
        if not is_plain or type(requester).url is not Requester.url or base_url.endswith("/v1"):
            raise
        return _patient(requester, base_url=f"{base_url}/v1").list_models()


def _failure(error: ProviderError) -> ScanFailed:
    if isinstance(error, Timeout):
        return ScanFailed("Model scan timeout", str(error))
    if error.upstream_status and error.upstream_status >= 400:
        return ScanFailed(f"Model scan failed: {error.upstream_status}", str(error))
    return ScanFailed(f"Model scan failed: {error}")


def _added(provider: Provider) -> set[tuple[str, str]]:
    """Kinds and names, ours and upstream's."""
    rows = list(provider.models.values_list("kind", "name", "upstream_name"))
    return {(kind, name) for kind, *names in rows for name in names}


# Reading an entry


def _scanned(provider: Provider, entry: RemoteModel, added: set[tuple[str, str]]) -> Scanned:
    raw = entry.raw
    inputs, outputs = _modalities(raw, "input"), _modalities(raw, "output")
    kind = _kind(entry.id, outputs, raw)
    known = knowledge.about(provider=provider, upstream_name=entry.id, raw=raw)
    return Scanned(
        id=entry.id,
        kind=kind,
        abilities=_abilities(entry.id, raw, inputs) if kind == Kind.LLM else (),
        display_name=_text(raw, "display_name", "displayName", "name", "modelName") or known.label or None,
        description=_text(raw, "description") or known.description or None,
        context_length=_number(raw, LENGTHS) or known.context_length,
        max_output=_number(raw, OUTPUTS),
        owned_by=_text(raw, "owned_by", "organization", "providerName", "publisher"),
        input_modalities=inputs,
        output_modalities=outputs,
        already_added=(kind, entry.id) in added,
        prices=_prices_of(kind, known.prices),
        price_note=known.note if known.prices else "",
    )


def _kind(name: str, outputs: Iterable[str], raw: JSON) -> str:
    """What upstream says it gives out, if that is one thing; else the words of its name."""
    methods = raw.get("supportedGenerationMethods")  # Gemini's
    if isinstance(methods, list) and methods and not any("generate" in str(each).lower() for each in methods):
        outputs = ["embedding"] if any(str(each).startswith("embed") for each in methods) else []
    declared = {BY_MODALITY.get(each) for each in outputs}
    only = declared.pop() if len(declared) == 1 else None
    return only or kind_of(name)


def _prices_of(kind: str, prices: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    """An embedding has no answer to pay for; without this its row would count as unpriced."""
    has_no_output = kind in (Kind.EMBEDDING, Kind.RERANK) and "price_in" in prices
    return {"price_out": Decimal(0), **prices} if has_no_output else prices


def _abilities(name: str, raw: JSON, inputs: Iterable[str]) -> tuple[str, ...]:
    """What upstream says, else what models of this family can do."""
    said = [ABILITIES[word] for word in _words(raw) if word in ABILITIES]
    said += [VISION] if "image" in inputs else []
    return tuple(dict.fromkeys(said or knowledge.abilities_of_family(name)))


def _words(raw: JSON) -> Iterator[str]:
    for field in ("supported_parameters", "capabilities", "features"):
        said = raw.get(field)
        if isinstance(said, list):
            yield from (str(each).lower() for each in said)
        elif isinstance(said, dict):
            yield from (name for name, value in said.items() if _is_supported(value))
    if raw.get("thinking") is True:  # Gemini's
        yield "thinking"


def _is_supported(value: Any) -> bool:
    return value is True or (isinstance(value, dict) and value.get("supported") is True)


def _modalities(raw: JSON, side: str) -> tuple[str, ...]:
    """In the entry itself, in OpenRouter's `architecture`, or in Bedrock's spelling."""
    architecture = raw.get("architecture")
    for holder, field in (
        (raw, f"{side}_modalities"),
        (architecture, f"{side}_modalities"),
        (raw, f"{side}Modalities"),
    ):
        said = holder.get(field) if isinstance(holder, dict) else None
        if isinstance(said, list):
            return tuple(str(each).lower() for each in said)
    return ()


def _text(raw: JSON, *fields: str) -> str | None:
    return next((value for field in fields if isinstance(value := raw.get(field), str) and value), None)


def _number(raw: JSON, fields: frozenset[str]) -> int | None:
    """A whole number above 0, in the entry or one level below, as OpenRouter's top_provider and Ollama's model_info."""
    holders = [raw, *(value for value in raw.values() if isinstance(value, dict))]
    for holder in holders:
        for name, value in holder.items():
            if name.rpartition(".")[2] in fields and type(value) is int and 0 < value < 2**31:
                return value
    return None


# Making rows


def _row(provider: Provider, each: Scanned, prefix: str) -> AIModel:
    model = AIModel(
        provider=provider,
        name=f"{prefix}{each.id}",
        upstream_name=each.id,
        kind=each.kind,
        description=each.description or "",
        abilities=list(each.abilities),
        is_multimodal=VISION in each.abilities,
        context_length=each.context_length,
        max_output=each.max_output,
        **each.prices,
    )
    try:
        model.clean_fields(exclude={"provider"})
        model.clean()
    except ValidationError as error:
        raise ValidationError(f"{model.name}: {'; '.join(error.messages)}") from error
    return model
