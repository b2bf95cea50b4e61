"""Providers: added with their keys in one step, changed, and kept from addresses that may not be called."""

import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from common.models import ConfigVersion
from providers import catalog
from providers.models import Provider, ProviderKey
from providers.requesters import addresses
from providers.requesters.connections import parse_target
from providers.requesters.errors import EgressRefused

HEADERS = "headers"
URL = re.compile(r"\s*https?:", re.IGNORECASE)

Origin = tuple[str, str, int | None]


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
    check_egress(provider.address)
    with transaction.atomic():
        provider.save()
        for number, secret in enumerate(secrets, 1):
            key = ProviderKey(provider=provider, name=f"key {number}", secret=secret)
            key.full_clean()
            key.save()
    return provider


def locked(*, provider: Provider) -> Provider:
    """The row as it is now and stays until the transaction ends: what masks stand for, and where they lead, must not
    change between being read and being stored. Raises Provider.DoesNotExist once it has gone."""
    ConfigVersion.lock()
    return Provider.objects.select_for_update().get(pk=provider.pk)


@transaction.atomic
def change(*, provider: Provider) -> bool:
    """Store an edited provider. True: its address leads elsewhere now, so its stored keys are switched off.

    A secret belongs to the place it was entered for. Whoever may edit an address but not read a secret could
    otherwise have it sent to a server of their own.
    """
    ConfigVersion.lock()
    before = Provider.objects.select_for_update().get(pk=provider.pk)
    provider.save()
    is_elsewhere = has_moved(before, provider)
    if is_elsewhere:
        provider.keys.update(is_enabled=False)
    return is_elsewhere


def has_moved(before: Provider, after: Provider) -> bool:
    """Whether calls, or what they need, go to another origin (RFC 6454) than before: a setting may name a place, too,
    such as where tokens are fetched, or where a reranker may live beside the rest. So does a Host header: behind one
    address there may be many hosts, and not all of them one owner's."""
    own, known = _origin(before.address), set(_named(before.config))
    is_elsewhere = _origin(after.address) != own or _hosts(after.config) != _hosts(before.config)
    return is_elsewhere or not set(_named(after.config)) <= {own, *known}


def check_egress(base_url: str) -> None:
    """Raises ValidationError for an address that no call would be let through to. Names are judged when called."""
    why = _refusal(_host(base_url))
    if why:
        raise ValidationError({"base_url": f"This address may not be called: {why}."})


def _refusal(host: str) -> str | None:
    allow_private = settings.EGRESS_ALLOW_PRIVATE
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761
        return None if allow_private else "loopback"
    try:
        return addresses.refusal(_dotted(host), allow_private=allow_private)
    except ValueError:  # a name
        return None


def _dotted(host: str) -> str:
    """127.1, 0x7f000001 and the like are addresses as well, to whoever connects."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host.isascii() else host
    except OSError:
        return host


def _host(url: str) -> str:
    _, host, _ = _origin(url)
    return host.strip("[]").rstrip(".")  # of what is no URL none: whoever cleans the row says so


def _named(config: Any) -> Iterator[Origin]:
    """The origins that settings name. Headers are sent to the provider itself (but see `_hosts`)."""
    if isinstance(config, dict):
        config = [value for name, value in config.items() if name != HEADERS]
    if isinstance(config, list):
        for value in config:
            yield from _named(value)
    elif isinstance(config, str) and URL.match(config):
        yield _origin(config.strip())


def _hosts(config: Any) -> list[str]:
    headers = config.get(HEADERS) if isinstance(config, dict) else None
    named = headers.items() if isinstance(headers, dict) else ()
    return sorted(str(value).lower() for name, value in named if name.strip().lower() == "host")


def _origin(url: str) -> Origin:
    """As the transport reads it: with a backslash in it, a text is one URL to this parser and another one to that."""
    try:
        target = parse_target(url)
    except EgressRefused:  # nobody is called there
        return url, "", None
    return target.scheme, target.host, target.port
