"""Which values in JSON that others sent are secrets, by the names that they stand under."""

import re
from typing import Any

MASK = "***"
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


def hides(name: str) -> bool:
    """Whether all that stands under this name may be secret."""
    return name == HEADERS or is_sensitive(name)


def has_secret(value: Any, *, is_secret: bool = False) -> bool:
    if isinstance(value, dict):
        return any(has_secret(inner, is_secret=is_secret or hides(name)) for name, inner in value.items())
    if isinstance(value, list):
        return any(has_secret(inner, is_secret=is_secret) for inner in value)
    return is_secret and value not in (None, "")


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """The same with every leaf masked that stands under a sensitive name."""
    if isinstance(value, dict):
        return {name: masked(inner, is_secret=is_secret or hides(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, is_secret=is_secret) for inner in value]
    return MASK if is_secret and value not in (None, "") else value


def has_mask(value: Any, *, is_secret: bool = False) -> bool:
    """Whether a mask stands where a secret should: it came from a reader who was not shown it."""
    if isinstance(value, dict):
        return any(has_mask(inner, is_secret=is_secret or hides(name)) for name, inner in value.items())
    if isinstance(value, list):
        return any(has_mask(inner, is_secret=is_secret) for inner in value)
    return is_secret and value == MASK


def blotted(value: Any, secret: str) -> Any:
    """The same without this secret, in names as well: it has a place of its own, where it is encrypted."""
    if isinstance(value, dict):
        return {blotted(name, secret): blotted(inner, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [blotted(inner, secret) for inner in value]
    return value.replace(secret, MASK) if isinstance(value, str) else value
