"""What one key's text says about who calls AWS. The one place that takes it apart.

Forms: `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, the same with `:SESSION_TOKEN` at the end, a JSON object with access_key_id,
secret_access_key and session_token (or their names in camelCase, as the AWS CLI and SDKs write them), or else a Bedrock
API key, which is a bearer token (docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.requesters.errors import AuthFailed
from providers.requesters.forms import MIN_SECRET_LENGTH

NAMES = {
    "access_key_id": ("access_key_id", "accessKeyId", "AccessKeyId"),
    "secret_access_key": ("secret_access_key", "secretAccessKey", "SecretAccessKey"),
    "session_token": ("session_token", "sessionToken", "SessionToken"),
}
# Those of people and roles; it opens nothing by itself. (docs: IAM, "Understanding unique ID prefixes")
LONE_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{12,124}")
# A key travels in a header.
SENDABLE = re.compile(r"[\x21-\x7e]+")
FORMS = "ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN if there is one, or a Bedrock API key"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair to sign with, or a bearer token to show."""

    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        parts = (self.secret_access_key, self.session_token, self.bearer_token, self.access_key_id)
        return [part for part in parts if len(part) >= MIN_SECRET_LENGTH]


def parse(text: str) -> Credentials:
    """Raises AuthFailed, which never quotes the text."""
    found = _read(text.strip())
    is_pair = bool(found.access_key_id and found.secret_access_key)
    if not is_pair and (not found.bearer_token or LONE_KEY_ID.fullmatch(found.bearer_token)):
        raise AuthFailed(f"the AWS key is incomplete: it must be {FORMS}")
    if not all(SENDABLE.fullmatch(part) for part in _parts(found)):
        raise AuthFailed("the AWS key holds characters that no key has")
    return found


def secrets(text: str) -> list[str]:
    """The parts of any text, whether a whole key or not, to be blotted out of messages."""
    return _read(text.strip()).secrets()


def has_session(text: str) -> bool:
    """Whether it is good for a session alone."""
    return bool(_read(text.strip()).session_token)


def _read(text: str) -> Credentials:
    if text.startswith("{"):
        return _from_object(text)
    if ":" not in text:
        return Credentials(bearer_token=text)
    key_id, secret, *rest = (part.strip() for part in text.split(":", 2))
    # A trailing colon promises a token that is not there.
    return Credentials() if rest == [""] else Credentials(key_id, secret, *rest)


def _from_object(text: str) -> Credentials:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        given = {}
    return Credentials(**{name: _first(given, spellings) for name, spellings in NAMES.items()})


def _first(given: Mapping[str, Any], spellings: tuple[str, ...]) -> str:
    values = (given.get(name) for name in spellings)
    return next((value.strip() for value in values if isinstance(value, str)), "")


def _parts(credentials: Credentials) -> list[str]:
    every = (
        credentials.access_key_id,
        credentials.secret_access_key,
        credentials.session_token,
        credentials.bearer_token,
    )
    return [part for part in every if part]
