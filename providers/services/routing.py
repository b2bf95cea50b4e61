"""The catalog as calls see it: an immutable picture of providers and models, and the choice among them."""

import logging
import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Prefetch

from common.money import to_units
from providers import catalog
from providers.models import PRICE_FIELDS, AIModel, Provider, ProviderKey
from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import Timeouts, Transport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a provider: one place that a call can be sent to. Prices in units per million tokens."""

    model_id: int
    provider_id: int
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
    requesters: tuple[Requester, ...]
    created: int
    is_multimodal: bool

    def requester_for(self, caller_id: int) -> Requester | None:
        """The caller's own among the provider's keys, always the same one: the vendor's prompt cache stays warm.

        Rendezvous hashing: when a key comes or goes, only the callers that it serves move.
        """
        if len(self.requesters) < 2:
            return self.requesters[0] if self.requesters else None
        return max(self.requesters, key=lambda each: zlib.crc32(f"{caller_id}/{each.endpoint.api_key}".encode()))


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every enabled target, by (kind, public name), each list in the order of its priority."""

    routes: dict[tuple[str, str], tuple[Target, ...]]

    def candidates(self, kind: str, name: str, may_call: Callable[[int], bool]) -> list[Target]:
        """Those that this caller may use, the first to try first."""
        return in_order([each for each in self.routes.get((kind, name), ()) if may_call(each.model_id)])

    def visible(self, may_call: Callable[[int], bool]) -> list[Target]:
        """One target for each public name that the caller may use, by name."""
        first: dict[str, Target] = {}
        for targets in self.routes.values():
            for target in targets:
                if may_call(target.model_id):
                    first.setdefault(target.name, target)
        return [first[name] for name in sorted(first)]


def in_order(targets: Sequence[Target]) -> list[Target]:
    """By priority; among equals a weighted shuffle, so that shares follow the weights (RFC 2782's rule)."""
    if len(targets) < 2:
        return list(targets)
    return sorted(targets, key=lambda each: (each.priority, -_ticket(each.weight)))


def _ticket(weight: int) -> float:
    """Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w."""
    return float(random.random() ** (1 / weight)) if weight else -1.0


_transport: Transport | None = None


def transport() -> Transport:
    """This process's one way out, with its pool of connections."""
    global _transport
    if _transport is None:
        _transport = Transport(allow_private=settings.EGRESS_ALLOW_PRIVATE, pool_size=settings.UPSTREAM_POOL_SIZE)
    return _transport


def load_catalog() -> Catalog:
    """Read all that calls can be sent to."""
    requesters = {provider.pk: requesters_of(provider) for provider in _enabled_providers()}
    routes: dict[tuple[str, str], list[Target]] = {}
    for model in AIModel.objects.routable().select_related("provider").order_by("priority", "id"):
        target = _target(model, requesters.get(model.provider_id, ()))
        routes.setdefault((target.kind, target.name), []).append(target)
    return Catalog({route: tuple(targets) for route, targets in routes.items()})


def _enabled_providers() -> Iterable[Provider]:
    # The secrets are read one by one: one that can't be decrypted must not take the others along.
    keys = Prefetch("keys", ProviderKey.objects.defer("secret"))
    return Provider.objects.filter(is_enabled=True).prefetch_related(keys)


def requesters_of(provider: Provider) -> tuple[Requester, ...]:
    """One requester for each enabled key; a provider that needs no key gets one without."""
    vendor = catalog.find(provider.requester) or catalog.VENDORS["openai-compatible"]
    secrets = [secret for key in provider.keys.all() if (secret := _secret(key))]
    if not provider.keys.all() and not vendor.needs_key:
        secrets = [""]  # one whose keys are all off is not called without
    return tuple(vendor.requester(_endpoint(provider, vendor, secret), transport()) for secret in secrets)


def _secret(key: ProviderKey) -> str | None:
    secret = key.readable_secret if key.is_enabled else None
    if key.is_enabled and secret is None:
        logger.error("%s's key %r can't be decrypted: FIELD_ENCRYPTION_KEYS lacks its key", key.provider.name, key.name)
    return secret


def _endpoint(provider: Provider, vendor: catalog.Vendor, secret: str) -> Endpoint:
    return Endpoint(
        base_url=provider.base_url.rstrip("/"),
        api_key=secret,
        timeouts=Timeouts(
            connect=provider.connect_timeout,
            first_byte=provider.first_byte_timeout,
            idle=provider.idle_timeout,
            total=provider.total_timeout,
        ),
        headers=provider.config.get("headers", {}),
        config=provider.config,
        rename=vendor.rename,
        drop=vendor.drop,
    )


def _target(model: AIModel, requesters: tuple[Requester, ...]) -> Target:
    vendor = catalog.find(model.provider.requester) or catalog.VENDORS["openai-compatible"]
    price_in, price_out, cached_read, cached_write = (getattr(model, name) for name in PRICE_FIELDS)
    prices = (price_in, price_out, cached_read, cached_write)
    units = tuple(None if price is None else to_units(price) for price in prices)
    return Target(
        model_id=model.pk,
        provider_id=model.provider_id,
        kind=model.kind,
        name=model.name,
        provider_name=model.provider.name,
        upstream_name=model.upstream_name,
        prices=(units[0], units[1], units[2], units[3]),
        max_output=model.max_output,
        context_length=model.context_length,
        weight=model.weight,
        priority=model.priority,
        extra_args=model.extra_args,
        max_tokens_field=vendor.max_tokens_field,
        requires_max_tokens=vendor.requires_max_tokens,
        requesters=requesters,
        created=int(model.created_at.timestamp()),
        is_multimodal=model.is_multimodal,
    )
