"""From a vendor's error answer to the project's error: the HTTP status first, the body's code second, its text never.

The shapes read: OpenAI's {"error": {message, type, param, code}} (Anthropic's has type and message only), a bare
{"error": "text"}, vLLM's {"object": "error", message, ...}, FastAPI's {"detail": ...}, Gemini's list around the first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from providers.requesters.errors import (
    AuthFailed,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Unavailable,
)

MAX_MESSAGE = 500
MASK = "***"

BY_STATUS: dict[int, type[ProviderError]] = {
    400: BadRequest,
    401: AuthFailed,
    402: RateLimited,  # DeepSeek and OpenRouter: the deployment's own account is empty
    403: AuthFailed,
    404: ModelNotFound,
    405: ModelNotFound,
    408: Timeout,
    410: ModelNotFound,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    429: RateLimited,
    503: Overloaded,
    504: Timeout,
    529: Overloaded,  # Anthropic
}
# Asked only where the status says little: 400, or an error inside a stream that began with 200.
BY_CODE: dict[str, type[ProviderError]] = {
    "authentication_error": AuthFailed,
    "billing_error": RateLimited,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "context_length_exceeded": ContextTooLong,
    "insufficient_quota": RateLimited,
    "invalid_api_key": AuthFailed,
    "invalid_request_error": BadRequest,
    "model_not_found": ModelNotFound,
    "moderation_blocked": ContentFiltered,  # OpenAI's and Azure's images
    "not_found_error": ModelNotFound,
    "overloaded_error": Overloaded,
    "permission_error": AuthFailed,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "request_too_large": BadRequest,
    "timeout_error": Timeout,
}
# The one thing that some vendors say in words alone. It only tells one bad request from another.
TOO_LONG = re.compile(
    r"maximum context length|prompt is too long|input is too long|too many (input )?tokens"
    r"|exceeds? the (model's )?(maximum|available) (context|number of tokens)|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
# Said instead of the vendor's words, which like to quote (a part of) the key.
AUTH_MESSAGE = "upstream refused the gateway's credentials"


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says, whatever its shape."""

    message: str = ""
    codes: tuple[str, ...] = ()
    param: str | None = None


def read_problem(payload: Any) -> Problem:
    if isinstance(payload, list) and payload:
        payload = payload[0]
    if not isinstance(payload, dict):
        return Problem()
    inner = payload.get("error") or payload
    if not isinstance(inner, dict):
        return Problem(str(inner))
    message = inner.get("message") or inner.get("detail") or ""
    codes = tuple(str(inner[name]) for name in ("code", "type") if isinstance(inner.get(name), str | int))
    param = inner.get("param")
    return Problem(str(message), codes, param if isinstance(param, str) else None)


def to_error(status: int, payload: Any, headers: Mapping[str, str], secrets: Iterable[str]) -> ProviderError:
    """`secrets` are blotted out of everything that upstream said before anyone gets to see it."""
    problem = read_problem(payload)
    kind = _kind(status, problem.codes)
    if kind is BadRequest and TOO_LONG.search(problem.message):
        kind = ContextTooLong
    message = scrub(problem.message, secrets)[:MAX_MESSAGE] or f"upstream answered {status}"
    return kind(
        AUTH_MESSAGE if kind is AuthFailed else message,
        upstream_status=status,
        retry_after=read_retry_after(headers),
        param=scrub(problem.param, secrets) if problem.param else None,
        upstream_code=scrub(problem.codes[0], secrets)[:100] if problem.codes else None,
    )


def _kind(status: int, codes: tuple[str, ...]) -> type[ProviderError]:
    if status < 400:
        # OpenRouter puts the HTTP status that it would have sent into the code of an error inside a stream.
        inner = next((int(code) for code in codes if code.isdecimal() and len(code) == 3), 0)
        return next((BY_CODE[code] for code in codes if code in BY_CODE), BY_STATUS.get(inner, Unavailable))
    known = BY_STATUS.get(status)
    if known is None or known is BadRequest:
        known = next((BY_CODE[code] for code in codes if code in BY_CODE), known)
    return known or (Unavailable if status >= 500 else BadRequest)


def scrub(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from Retry-After (a number or an HTTP date) or the finer retry-after-ms of OpenAI and Azure."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    return _seconds_until(value) if seconds is None else seconds


def _seconds_until(date: str) -> float | None:
    try:
        when = parsedate_to_datetime(date).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(number, 0.0) if isfinite(number) else None
