"""Which models an upstream says it has, what is known of each, and taking them over as rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch

from common.database import borrowed_connection
from common.models import ConfigVersion
from providers import catalog
from providers.models import AIModel, Kind, Provider, ProviderKey
from providers.requesters import listing
from providers.requesters.base import RemoteModel, Requester
from providers.requesters.egress import Timeouts
from providers.requesters.errors import AuthFailed, ModelNotFound, ProviderError, Timeout
from providers.services import knowledge, price_sync
from providers.services.routing import accesses_of, vendor_of

PATIENCE = Timeouts(connect=10, first_byte=30, idle=30, total=60)  # a person waits at the other end
NO_LIST = "current provider does not support model scanning"

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
    is_listed: bool = False
    refusal: str = ""  # why no row can be made of it

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


def named(*, provider: Provider, names: Sequence[str]) -> list[Scanned]:
    """What is known of models by their names alone, without asking the upstream whether it has them."""
    added = _added(provider)
    return [_scanned(provider, RemoteModel(name), added) for name in names]


def import_models(*, provider: Provider, chosen: Sequence[Scanned], prefix: str = "") -> list[AIModel]:
    """Make rows of those that are not there yet, under `prefix` and their own names: all of them or none.

    Raises ValidationError, or Provider.DoesNotExist when it has gone meanwhile.
    """
    with transaction.atomic():
        ConfigVersion.lock()  # two imports at once would add a model twice
        Provider.objects.get(pk=provider.pk)
        added = _added(provider)
        wanted = {(each.kind, each.id): each for each in chosen}
        fresh = [
            each for key, each in wanted.items() if key not in added and (each.kind, prefix + each.id) not in added
        ]
        rows = [_row(provider, each, prefix) for each in fresh]
        made = AIModel.objects.bulk_create(rows) if rows else []
        price_sync.complete(model for model in made if model.follows_list)
        return made


def marked(each: Scanned) -> Scanned:
    """The same, once it has a row."""
    return dataclasses.replace(each, already_added=True)


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
    return [requester.within(PATIENCE) for requester in requesters]


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
        return requester.within(PATIENCE, base_url=f"{base_url}/v1").list_models()


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
    facts = listing.read(entry.id, entry.raw)
    known = knowledge.about(provider=provider, upstream_name=entry.id, raw=entry.raw)
    return Scanned(
        id=entry.id,
        kind=facts.kind,
        abilities=facts.abilities,
        display_name=facts.label or known.label or None,
        description=facts.description or known.description or None,
        context_length=facts.context_length or known.context_length,
        max_output=facts.max_output,
        owned_by=facts.owned_by,
        input_modalities=facts.input_modalities,
        output_modalities=facts.output_modalities,
        already_added=(facts.kind, entry.id) in added,
        prices=knowledge.with_output_price(facts.kind, known.prices),
        price_note=known.note if known.prices else "",
        is_listed=known.is_listed,
        refusal=catalog.kind_refusal(provider.requester, facts.kind),
    )


# Making rows


def _row(provider: Provider, each: Scanned, prefix: str) -> AIModel:
    model = AIModel(
        provider=provider,
        name=f"{prefix}{each.id}",
        upstream_name=each.id,
        kind=each.kind,
        description=each.description or "",
        abilities=list(each.abilities),
        is_multimodal=listing.VISION in each.abilities,
        context_length=each.context_length,
        max_output=each.max_output,
        follows_list=each.is_listed,
        **each.prices,
    )
    try:
        model.clean_fields(exclude={"provider"})
        model.clean()
    except ValidationError as error:
        raise ValidationError(f"{model.name}: {'; '.join(error.messages)}") from error
    return model
