"""The catalog as calls see it: an immutable picture of providers and models, built from their rows."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error
from django.db.models import Prefetch

from providers import catalog, policies
from providers.models import AIModel, Kind, OnDisconnect, Provider, ProviderKey, Strategy
from providers.policies import Policy
from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import Timeouts, Transport
from providers.requesters.listing import TOOLS, VISION
from providers.services import pricing
from providers.services.pricing import PriceList, Rates, Tiers

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0  # who is asked to wait longer than that is better told so
OPENAI_COMPATIBLE = "openai-compatible"
EMBEDDED = "local"


@dataclass(frozen=True, slots=True)
class Access:
    """One way into a provider: a key, and a place that it opens. `key_id` is None where no key is needed."""

    key_id: int | None
    weight: int
    requester: Requester


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a provider, also called a deployment: one place that a call can be sent to.

    Prices are in units per million tokens; `tiers` has them all where four don't say it all, and `price_lists` those
    that hold from a later time on, where there are any. `extra_args` are those that are sent, and `pinned` those that
    no caller changes. `withholds` names the abilities that the model lacks and whose part of a call it does not get.
    Pauses between tries are in seconds. `learned` are parameters that the upstream turned out not to know.
    """

    model_id: int | None
    provider_id: int | None
    kind: str
    name: str
    provider_name: str
    upstream_name: str
    prices: tuple[int | None, int | None, int | None, int | None]
    max_output: int | None
    context_length: int | None
    weight: int
    priority: int
    extra_args: dict[str, Any]
    max_tokens_field: str
    requires_max_tokens: bool
    accesses: tuple[Access, ...]
    created: int
    is_multimodal: bool
    strategy: str
    fallbacks: tuple[str, ...]
    context_fallbacks: tuple[str, ...]
    filter_fallbacks: tuple[str, ...]
    max_rpm: int | None
    max_tpm: int | None
    max_parallel: int | None
    is_hedged: bool
    unknown_params: str
    allows_other_upstream: bool
    retries: int
    drains: bool
    timeouts: Timeouts
    router: dict[str, Any] | None = None
    pinned: dict[str, Any] = field(default_factory=dict)
    reasoning_effort: str = ""  # for calls that say nothing of it
    withholds: frozenset[str] = frozenset()
    first_pause: float = FIRST_PAUSE_SECONDS
    longest_pause: float = LONGEST_PAUSE_SECONDS
    is_other_upstream: bool = False  # asked for a model that the caller named: its failures say nothing of this one
    learned: set[str] = field(default_factory=set, compare=False)
    tiers: Tiers = ()
    price_lists: tuple[PriceList, ...] = ()

    @property
    def place(self) -> tuple[int | None, str]:
        """What limits may be about: its provider's id and its public name."""
        return self.provider_id, self.name

    @property
    def rates(self) -> Tiers:
        return self.tiers or (Rates(0, self.prices),)

    def priced(self, ratio: int, moment: float) -> "Target":
        """With the prices that a call pays which begins at that moment (seconds since 1970), `ratio` times (in
        ten-thousandths): the very same where that changes nothing."""
        if ratio == pricing.SAME and not self.price_lists:
            return self
        found = pricing.list_at(self.price_lists, moment).tiers if self.price_lists else self.rates
        tiers = tuple(each.times(ratio) for each in found)
        return replace(self, prices=tiers[0].four, tiers=() if pricing.is_plain(tiers) else tiers, price_lists=())

    @property
    def has_ceiling(self) -> bool:
        return bool(self.max_rpm or self.max_tpm or self.max_parallel)

    @property
    def is_counted_together(self) -> bool:
        """Whether the choice depends on what other processes send there."""
        return self.has_ceiling or self.strategy == Strategy.LEAST_BUSY

    def calling(self, upstream_name: str, priced: "Target | None") -> "Target":
        """The same place, asked for another of its models; at that one's own price where it has a row."""
        known = priced or self
        return replace(
            self,
            upstream_name=upstream_name,
            prices=known.prices,
            tiers=known.tiers,
            price_lists=known.price_lists,
            # Without a row nobody knows how long its answers get: the hold's limit is sent along.
            max_output=priced.max_output if priced else None,
            context_length=priced.context_length if priced else None,
            reasoning_effort=priced.reasoning_effort if priced else "",
            withholds=priced.withholds if priced else frozenset(),
            is_other_upstream=upstream_name != self.upstream_name,
            learned=set(),
        )


Place = tuple[int, str, str]


def place_of(provider_id: int, kind: str, upstream_name: str) -> Place:
    """Some vendors don't tell capital from small letters, so no spelling may lead around a row."""
    return provider_id, kind, upstream_name.casefold()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every enabled target: by (kind, public name) in the order of priority, and by what its provider calls it.
    `switched_off`: what providers call the models whose rows are disabled."""

    routes: dict[tuple[str, str], tuple[Target, ...]]
    by_upstream: dict[Place, tuple[Target, ...]]
    switched_off: frozenset[Place]

    def named(self, kind: str, name: str, may_call: Callable[[int], bool]) -> list[Target]:
        """Those of that public name that this caller may use."""
        return [each for each in self.routes.get((kind, name), ()) if _may(may_call, each)]

    def visible(self, may_call: Callable[[int], bool]) -> list[Target]:
        """One target for each public name that the caller may use, by name."""
        first: dict[str, Target] = {}
        for targets in self.routes.values():
            for target in targets:
                if _may(may_call, target):
                    first.setdefault(target.name, target)
        return [first[name] for name in sorted(first)]


def _may(may_call: Callable[[int], bool], target: Target) -> bool:
    return target.model_id is not None and may_call(target.model_id)


_transport: Transport | None = None


def transport() -> Transport:
    """This process's one way out, with its pool of connections."""
    global _transport
    if _transport is None:
        _transport = Transport(allow_private=settings.EGRESS_ALLOW_PRIVATE, pool_size=settings.UPSTREAM_POOL_SIZE)
    return _transport


def load_catalog() -> Catalog:
    """Read all that calls can be sent to."""
    accesses = {provider.pk: accesses_if_sound(provider) for provider in _enabled_providers()}
    routes: dict[tuple[str, str], list[Target]] = {}
    by_upstream: dict[Place, list[Target]] = {}
    switched_off: set[Place] = set()
    models = AIModel.objects.filter(provider__is_enabled=True).select_related("provider")
    models = models.prefetch_related("price_list")
    for model in models.order_by("priority", "id"):
        place = place_of(model.provider_id, model.kind, model.upstream_name)
        if not model.is_enabled:
            switched_off.add(place)
            continue
        target = target_of(model, accesses.get(model.provider_id, ()))
        routes.setdefault((target.kind, target.name), []).append(target)
        by_upstream.setdefault(place, []).append(target)
    return Catalog(_frozen(routes), _frozen(by_upstream), frozenset(switched_off))


Name = TypeVar("Name")


def _frozen(lists: dict[Name, list[Target]]) -> dict[Name, tuple[Target, ...]]:
    return {name: tuple(targets) for name, targets in lists.items()}


def accesses_if_sound(provider: Provider) -> tuple[Access, ...]:
    """None for a provider whose settings or key can't be used: the others must not go down with it."""
    try:
        return accesses_of(provider)
    except Error:  # of the database; says nothing about the provider, which would stay without calls
        raise
    except Exception:
        logger.exception("%s gets no calls: its settings can't be used", provider.name)
        return ()


def _enabled_providers() -> Iterable[Provider]:
    # The secrets are read one by one: one that can't be decrypted must not take the others along.
    keys = Prefetch("keys", ProviderKey.objects.defer("secret"))
    return Provider.objects.filter(is_enabled=True).prefetch_related(keys)


def accesses_of(provider: Provider) -> tuple[Access, ...]:
    """One access for each enabled key and each place that it opens; without a key where none is needed."""
    keys = list(provider.keys.all())
    opened = [(key.pk, key.weight, secret) for key in keys if (secret := _secret(key))]
    vendor = vendor_of(provider)
    if vendor.is_router:
        return ()
    if not keys and not vendor.needs_key:
        return accesses_with(provider, [(None, 1, "")])  # one whose keys are all off is not called without
    return accesses_with(provider, opened)


def accesses_with(provider: Provider, keys: Iterable[tuple[int | None, int, str]]) -> tuple[Access, ...]:
    """Accesses with these keys (id, weight, secret); the provider need not be stored."""
    vendor = vendor_of(provider)
    return tuple(
        Access(key_id, weight, vendor.requester(endpoint, transport()))
        for key_id, weight, secret in keys
        for endpoint in vendor.requester.spread(_endpoint(provider, vendor, secret))
    )


def vendor_of(provider: Provider) -> catalog.Vendor:
    """The provider's row in the catalog; one that is gone from it is taken for OpenAI-compatible."""
    return catalog.find(provider.requester) or catalog.VENDORS[OPENAI_COMPATIBLE]


def _secret(key: ProviderKey) -> str | None:
    secret = key.readable_secret if key.is_enabled else None
    if key.is_enabled and secret is None:
        logger.error("%s's key %r can't be decrypted: FIELD_ENCRYPTION_KEYS lacks its key", key.provider.name, key.name)
    return secret


def _endpoint(provider: Provider, vendor: catalog.Vendor, secret: str) -> Endpoint:
    return Endpoint(
        base_url=(_embedded_address() if vendor.is_builtin else provider.address).rstrip("/"),
        api_key=secret,
        timeouts=_timeouts(provider),
        headers=provider.config.get("headers", {}),
        rename=vendor.rename,
        drop=vendor.drop,
        config=provider.config,
    )


def _embedded_address() -> str:
    """Where the embedded model's embeddings are served; empty while there are none."""
    embedded = AIModel.objects.filter(kind=Kind.EMBEDDING, provider__requester=EMBEDDED).select_related("provider")
    model = embedded.order_by("id").first()
    return model.provider.base_url if model else ""


def _timeouts(provider: Provider) -> Timeouts:
    return Timeouts(
        connect=provider.connect_timeout,
        first_byte=provider.first_byte_timeout,
        idle=provider.idle_timeout,
        total=provider.total_timeout,
    )


def target_of(model: AIModel, accesses: tuple[Access, ...]) -> Target:
    """What calls need to know of a model; it need not be stored."""
    provider, vendor = model.provider, vendor_of(model.provider)
    policy = policies.split(model.extra_args, model.kind)
    lists, tiers = _prices(model)
    return Target(
        model_id=model.pk,
        provider_id=provider.pk,
        kind=model.kind,
        name=model.name,
        provider_name=provider.name,
        upstream_name=model.upstream_name,
        prices=tiers[0].four,
        max_output=model.max_output,
        context_length=model.context_length,
        weight=model.weight,
        priority=model.priority,
        extra_args=policy.sends,
        max_tokens_field=vendor.max_tokens_field,
        requires_max_tokens=vendor.requires_max_tokens,
        accesses=_with_patience(accesses, policy),
        created=_created(model),
        is_multimodal=model.is_multimodal,
        strategy=model.strategy,
        fallbacks=tuple(model.fallbacks),
        context_fallbacks=tuple(model.context_fallbacks),
        filter_fallbacks=tuple(model.filter_fallbacks),
        max_rpm=model.max_rpm,
        max_tpm=model.max_tpm,
        max_parallel=model.max_parallel,
        is_hedged=model.is_hedged,
        unknown_params=model.unknown_params,
        allows_other_upstream=model.allows_other_upstream,
        retries=provider.retries if policy.retries is None else policy.retries,
        drains=provider.on_disconnect == OnDisconnect.DRAIN,
        timeouts=_timeouts(provider).within(policy.timeouts),
        router=(provider.config if isinstance(provider.config, dict) else {}) if vendor.is_router else None,
        pinned=policy.pinned,
        reasoning_effort=policy.reasoning_effort or model.reasoning_effort,
        withholds=_lacked(model),
        first_pause=policy.first_pause or FIRST_PAUSE_SECONDS,
        longest_pause=policy.longest_pause or LONGEST_PAUSE_SECONDS,
        tiers=() if pricing.is_plain(tiers) else tiers,
        price_lists=lists,
    )


def _prices(model: AIModel) -> tuple[tuple[PriceList, ...], Tiers]:
    """The lists to choose from at each call, if one of them is yet to come, and the prices that hold now."""
    lists = pricing.lists_of(model, () if model._state.adding else model.price_list.all())
    now = time.time()
    to_come = any(each.valid_from > now for each in lists)
    return lists if to_come else (), pricing.list_at(lists, now).tiers


def _lacked(model: AIModel) -> frozenset[str]:
    abilities = model.abilities if isinstance(model.abilities, list) else []
    lacked = (each for each in (VISION, TOOLS) if each not in abilities)
    return frozenset(lacked) if model.keeps_to_abilities else frozenset()


def _with_patience(accesses: tuple[Access, ...], policy: Policy) -> tuple[Access, ...]:
    """The same ways in, where the row has less patience than its provider."""
    if not policy.timeouts:
        return accesses
    return tuple(replace(each, requester=each.requester.within(policy.timeouts)) for each in accesses)


def _created(model: AIModel) -> int:
    return 0 if model._state.adding else int(model.created_at.timestamp())
