"""What readers see of values that may be secret, and what a mask means that comes back (contract 1.5)."""

import re
from typing import Any

from django.core.exceptions import ValidationError

from providers.services.keyrings import MASK, NO_VALUE

SENSITIVE_NAMES = frozenset(
    {
        *("api_key", "api_keys", "apikey", "apikeys", "auth", "authorization", "cookie", "credentials", "dsn"),
        *("database_url", "header_value", "key", "webhook_url", "set_cookie", "proxy_authorization"),
    }
)
SENSITIVE_WORDS = frozenset({"apikey", "credential", "credentials", "passwd", "password", "secret", "token"})
KEY_WORDS = frozenset({"key", "keys"})
KINDS_OF_KEY = frozenset({"access", "api", "auth", "bearer", "client", "debug", "encryption", "private", "signing"})
HEADERS = "headers"  # their values may all be secrets

WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def is_sensitive(name: str) -> bool:
    words = [word.lower() for word in WORD_ENDS.split(name) if word]
    known = set(words)
    is_a_key = bool(known & KEY_WORDS and known & KINDS_OF_KEY)
    return "_".join(words) in SENSITIVE_NAMES or bool(known & SENSITIVE_WORDS) or is_a_key


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """The same with every leaf masked that stands under a sensitive name."""
    if isinstance(value, dict):
        return {name: masked(inner, is_secret=is_secret or _hides(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, is_secret=is_secret) for inner in value]
    return MASK if is_secret and value not in (None, "") else value


def unmasked(value: Any, stored: Any, *, is_secret: bool = False) -> Any:
    """What was sent, with what is stored in the place of each mask; raises ValidationError where nothing is."""
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {
            name: unmasked(inner, known.get(name), is_secret=is_secret or _hides(name)) for name, inner in value.items()
        }
    if isinstance(value, list):
        places = stored if isinstance(stored, list) else []
        return [
            unmasked(inner, places[place] if place < len(places) else None, is_secret=is_secret)
            for place, inner in enumerate(value)
        ]
    if not is_secret or value != MASK:
        return value
    if stored in (None, "") or isinstance(stored, dict | list):
        raise ValidationError(NO_VALUE)
    return stored


def keeps_stored(value: Any, sent: Any, *, is_secret: bool = False) -> bool:
    """Whether a secret is in `value` that was not sent in clear."""
    if isinstance(value, dict):
        known = sent if isinstance(sent, dict) else {}
        inner = ((value[name], known.get(name), is_secret or _hides(name)) for name in value)
    elif isinstance(value, list):
        places = sent if isinstance(sent, list) else []
        padded = [*places, *[None] * len(value)]
        inner = ((each, padded[place], is_secret) for place, each in enumerate(value))
    else:
        return is_secret and value not in (None, "") and sent in (None, MASK)
    return any(keeps_stored(each, told, is_secret=hidden) for each, told, hidden in inner)


def _hides(name: str) -> bool:
    return name == HEADERS or is_sensitive(name)
