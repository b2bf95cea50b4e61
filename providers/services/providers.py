"""Providers: added with their keys in one step."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction

from providers import catalog
from providers.models import Provider, ProviderKey


def add(
    *,
    name: str,
    requester: str,
    base_url: str = "",
    secrets: Sequence[str] = (),
    config: dict[str, Any] | None = None,
) -> Provider:
    """Store a provider and its keys, or nothing. `requester` may be an alias; without a base URL the vendor's holds.

    Raises ValidationError.
    """
    if reason := catalog.refusal(requester):
        raise ValidationError({"requester": reason})
    provider = Provider(name=name, requester=catalog.canonical(requester), base_url=base_url, config=config or {})
    provider.full_clean()
    with transaction.atomic():
        provider.save()
        for number, secret in enumerate(secrets, 1):
            key = ProviderKey(provider=provider, name=f"key {number}", secret=secret)
            key.full_clean()
            key.save()
    return provider


@transaction.atomic
def change(*, provider: Provider) -> bool:
    """Store an edited provider. True: its address leads elsewhere now, so its stored keys are switched off.

    A secret belongs to the place it was entered for. Whoever may edit an address but not read a secret could
    otherwise have it sent to a server of their own.
    """
    before = Provider.objects.select_for_update().get(pk=provider.pk)
    provider.save()
    has_moved = _origin(before.address) != _origin(provider.address)
    if has_moved:
        provider.keys.update(is_enabled=False)
    return has_moved


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
