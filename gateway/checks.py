"""System checks: settings that would fail later, or would be a hole, are said at start. `manage.py check --deploy`."""

from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from providers import catalog

SHORTEST_PEPPER = 32


@register(Tags.security)
def check_keyring(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Every field key must be one that Fernet takes, or no provider secret can be read."""
    return [
        Error(
            f"FIELD_ENCRYPTION_KEYS: key {number} is not a Fernet key (32 bytes in URL-safe base64).",
            hint="cryptography.fernet.Fernet.generate_key() makes one.",
            id="weighbridge.E001",
        )
        for number, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, 1)
        if not _is_fernet_key(key)
    ]


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(Tags.security)
def check_pepper(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The pepper is what makes a stolen table of digests useless."""
    if len(settings.API_KEY_PEPPER) >= SHORTEST_PEPPER:
        return []
    return [Error(f"API_KEY_PEPPER is shorter than {SHORTEST_PEPPER} characters.", id="weighbridge.E002")]


@register(Tags.compatibility)
def check_catalog(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """A vendor's row names itself and an address that can be called."""
    return list(_catalog_errors())


def _catalog_errors() -> Iterator[CheckMessage]:
    for name, vendor in catalog.VENDORS.items():
        if name != vendor.name or not vendor.label:
            yield Error(f"The catalog's row {name!r} has another name or no label.", id="weighbridge.E003")
        if vendor.base_url and not vendor.base_url.startswith("https://"):
            yield Error(f"The catalog's row {name!r} has a base URL without TLS.", id="weighbridge.E004")


@register(Tags.security, deploy=True)
def check_egress(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """In production a provider's address should not lead into the private network unless that is wanted."""
    if not settings.EGRESS_ALLOW_PRIVATE:
        return []
    return [
        Warning(
            "EGRESS_ALLOW_PRIVATE is on: an administrator can point a provider at the private network.",
            hint="Switch it off unless your upstreams live there, and then silence this check.",
            id="weighbridge.W001",
        )
    ]


@register(Tags.security, deploy=True)
def check_hosts(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Any host name is nobody's."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [Warning("ALLOWED_HOSTS admits every host name.", id="weighbridge.W002")]
