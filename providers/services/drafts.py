"""A provider and a model that are not stored, made ready to be called."""

from collections.abc import Mapping, Sequence
from typing import Any

from providers import catalog
from providers.models import AIModel, Provider
from providers.services.routing import Target, accesses_with, target_of

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
) -> Target:
    """A deployment that exists only here. Without secrets it is called without one. Raises ValidationError."""
    provider = Provider(
        name=NAME, requester=catalog.canonical(requester), base_url=base_url, config=dict(config), retries=0
    )
    provider.clean_fields()
    provider.clean()
    model = AIModel(
        provider=provider, name=upstream_name, upstream_name=upstream_name, kind=kind, extra_args=dict(extra_args)
    )
    model.clean_fields(exclude={"provider"})
    model.clean()
    keys = [(None, 1, secret) for secret in secrets if secret] or [(None, 1, "")]
    return target_of(model, accesses_with(provider, keys))
