"""System checks: settings that would fail later, or would be a hole, are said at start. `manage.py check --deploy`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from providers import catalog
from providers.catalog import Vendor
from providers.catalog.rows import ROWS
from providers.catalog.settings import NOTHING, TYPES
from providers.models import Kind

SHORTEST_PEPPER = 32
SHORTEST_RECOVERY_KEY = 20
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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


@register(Tags.security)
def check_recovery_key(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Whoever guesses it sets anybody's password."""
    if not settings.RECOVERY_KEY or len(settings.RECOVERY_KEY) >= SHORTEST_RECOVERY_KEY:
        return []
    return [Error(f"RECOVERY_KEY is shorter than {SHORTEST_RECOVERY_KEY} characters.", id="weighbridge.E006")]


@register(Tags.compatibility)
def check_catalog(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """A vendor's row can be shown, found and called."""
    return [*row_errors(ROWS), *name_errors(ROWS)]


def row_errors(rows: Iterable[Vendor]) -> Iterator[CheckMessage]:
    """What is wrong with a row by itself."""
    for vendor in rows:
        for problem in _problems(vendor):
            yield Error(f"The catalog's row {vendor.name!r} {problem}.", id="weighbridge.E003")
        if vendor.base_url and not _is_safe(vendor.base_url):
            yield Error(f"The catalog's row {vendor.name!r} has a base URL without TLS.", id="weighbridge.E004")


def _problems(vendor: Vendor) -> Iterator[str]:
    if not (vendor.name and vendor.label and vendor.label_zh):
        yield "lacks its name or a label"
    if vendor.category not in catalog.CATEGORIES:
        yield f"has an unknown category, {vendor.category!r}"
    if not vendor.kinds or vendor.kinds - set(Kind.values):
        yield "serves no kind of model, or an unknown one"
    for field in vendor.fields:
        if field.type not in TYPES:
            yield f"has a field {field.name!r} of unknown type, {field.type!r}"
        elif field.default not in NOTHING and not TYPES[field.type][0](field.default):
            yield f"has a field {field.name!r} whose default is not of its type"


def _is_safe(url: str) -> bool:
    """TLS, or not leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def name_errors(rows: Iterable[Vendor]) -> Iterator[CheckMessage]:
    """A name means one row, and none that is refused."""
    names = Counter(name for vendor in rows for name in (vendor.name, *vendor.aliases))
    names.update(list(catalog.REFUSED))
    for name, count in names.items():
        if count > 1:
            yield Error(f"The catalog has {name!r} {count} times.", id="weighbridge.E005")


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
