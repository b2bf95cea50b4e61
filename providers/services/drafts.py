"""A provider and a model that are not stored, made ready to be called."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Prefetch

from providers import catalog
from providers.models import AIModel, Provider, ProviderKey
from providers.services import providers
from providers.services.routing import Target, accesses_if_sound, accesses_with, target_of

NAME = "unsaved provider"


def target(
    *,
    requester: str,
    base_url: str,
    secrets: Sequence[str],
    config: Mapping[str, Any],
    kind: str,
    upstream_name: str,
    extra_args: Mapping[str, Any],
    reasoning_effort: str = "",
) -> Target:
    """A deployment that exists only here. Without secrets it is called without one. Raises ValidationError."""
    provider = Provider(
        name=NAME, requester=catalog.canonical(requester), base_url=base_url, config=dict(config), retries=0
    )
    provider.clean_fields()
    provider.clean()
    providers.check_egress(provider.address)
    model = AIModel(
        provider=provider,
        name=upstream_name,
        upstream_name=upstream_name,
        kind=kind,
        extra_args=dict(extra_args),
        reasoning_effort=reasoning_effort,
    )
    model.clean_fields(exclude={"provider"})
    model.clean()
    keys = [(None, 1, secret) for secret in secrets if secret] or [(None, 1, "")]
    return target_of(model, accesses_with(provider, keys))


def variant(*, model: AIModel, extra_args: Mapping[str, Any]) -> Target:
    """A stored deployment as it would be with these arguments laid over its own. Raises ValidationError."""
    changed = copy.copy(model)
    changed.extra_args = {**model.extra_args, **extra_args}
    changed.clean()
    return _on_stored(changed)


def of(*, model: AIModel) -> Target:
    """A deployment of a model that is not stored, on a provider that is. Raises ValidationError."""
    model.clean_fields(exclude={"provider"})
    model.clean()
    return _on_stored(model)


def _on_stored(model: AIModel) -> Target:
    # The secrets are read one by one: one that can't be decrypted must not take the others along.
    keys = Prefetch("keys", ProviderKey.objects.defer("secret"))
    return target_of(model, accesses_if_sound(Provider.objects.prefetch_related(keys).get(pk=model.provider_id)))
