"""What every dialect's traffic needs to know of its caller."""

import re
import secrets
from collections.abc import Callable, Mapping
from math import inf, nan
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from accounts.errors import InvalidKey
from accounts.services import keys
from accounts.services.keys import Caller
from chat.errors import BadCall
from chat.services import idempotency
from chat.services.counted import read_tags
from chat.services.idempotency import Asked
from providers.requesters.call import Timeouts

IDEMPOTENCY_KEY = re.compile("[!-~]{1,255}")


def json_response(
    content: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> HttpResponse:
    """An answer in JSON; bytes are taken for it already, or for what their content type says. With its length, as no
    middleware adds one on this lane."""
    data = content if isinstance(content, bytes) else orjson.dumps(content)
    length = {"content-length": str(len(data))}
    return HttpResponse(data, status=status, content_type=content_type, headers={**length, **(headers or {})})


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


def asked_of(
    request: HttpRequest, key_id: int, digest: str, request_id: str, content: Callable[[], bytes]
) -> Asked | None:
    """What the caller's Idempotency-Key says of this request, whose body says `content`; None without such a header.
    Raises BadCall."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise BadCall("The header Idempotency-Key is 1 to 255 visible ASCII characters.", "Idempotency-Key")
    return Asked(key_id, digest, key, idempotency.fingerprint(request.path, content()), request_id)


def tags_of(request: HttpRequest) -> tuple[str, ...]:
    """What the caller's header calls this request; raises BadCall."""
    text = request.META.get("HTTP_X_WEIGHBRIDGE_TAGS", "")
    return read_tags(text) if text else ()


# The caller's own patience, in seconds: shorter than the providers', or without effect.
TIMEOUT_HEADERS = {
    "connect": "HTTP_X_WEIGHBRIDGE_CONNECT_TIMEOUT",
    "first_byte": "HTTP_X_WEIGHBRIDGE_FIRST_BYTE_TIMEOUT",
    "idle": "HTTP_X_WEIGHBRIDGE_IDLE_TIMEOUT",
    "total": "HTTP_X_WEIGHBRIDGE_TIMEOUT",
}


def limits_of(request: HttpRequest) -> Timeouts | None:
    """What the caller's headers ask for; raises BadCall for what is no number of seconds above 0."""
    given = {timer: request.META[name] for timer, name in TIMEOUT_HEADERS.items() if name in request.META}
    return Timeouts(**{timer: _seconds(given.get(timer), timer) for timer in TIMEOUT_HEADERS}) if given else None


def _seconds(text: str | None, timer: str) -> float:
    try:
        seconds = inf if text is None else float(text)
    except ValueError:
        seconds = nan
    if seconds > 0:
        return seconds
    header = TIMEOUT_HEADERS[timer].removeprefix("HTTP_").replace("_", "-").title()
    raise BadCall(f"The header {header} is a number of seconds above 0.", header)
