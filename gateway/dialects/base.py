"""What every dialect's traffic needs to know of its caller."""

import secrets

from django.http import HttpRequest

from accounts.errors import InvalidKey
from accounts.services import keys
from accounts.services.keys import Caller


def new_request_id() -> str:
    return f"req_{secrets.token_hex(16)}"


def secret_of(request: HttpRequest) -> str:
    """The key's secret: `X-API-Key` decides alone, else `Authorization: Bearer`. Raises InvalidKey."""
    headers = request.META
    secret: str = headers.get("HTTP_X_API_KEY", "")
    if not secret:
        scheme, _, secret = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise InvalidKey("You didn't provide an API key. Send it as `Authorization: Bearer <key>`.")
    return secret.strip()


def caller_of(request: HttpRequest) -> Caller:
    """Who calls; raises InvalidKey or LedgerUnavailable."""
    return keys.authenticate(secret_of(request))
