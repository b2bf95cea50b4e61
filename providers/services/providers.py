"""Providers: added with their keys in one step, changed, and kept from addresses that may not be called."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from providers import catalog
from providers.models import Provider, ProviderKey
from providers.requesters import addresses


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
    check_egress(base_url)
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
    is_elsewhere = has_moved(before, provider)
    if is_elsewhere:
        provider.keys.update(is_enabled=False)
    return is_elsewhere


def has_moved(before: Provider, after: Provider) -> bool:
    """Whether calls go to another origin (RFC 6454) than before."""
    return _origin(before.address) != _origin(after.address)


def check_egress(base_url: str) -> None:
    """Raises ValidationError for an address that no call would be let through to. Names are judged when called."""
    host = urlsplit(base_url).hostname or ""
    try:
        why = addresses.refusal(host, allow_private=settings.EGRESS_ALLOW_PRIVATE)
    except ValueError:  # a name
        return
    if why:
        raise ValidationError({"base_url": f"This address may not be called: {why}."})


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
