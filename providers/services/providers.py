"""Providers: added with their keys in one step."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from providers.models import Provider, ProviderKey


def add(
    *, name: str, requester: str, base_url: str, secrets: Sequence[str] = (), config: dict[str, Any] | None = None
) -> Provider:
    """Store a provider and its keys, or nothing. Raises ValidationError."""
    provider = Provider(name=name, requester=requester, base_url=base_url, config=config or {})
    provider.full_clean()
    with transaction.atomic():
        provider.save()
        for number, secret in enumerate(secrets, 1):
            key = ProviderKey(provider=provider, name=f"key {number}", secret=secret)
            key.full_clean()
            key.save()
    return provider
