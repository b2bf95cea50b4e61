"""Every refusal and failure in OpenAI's shape: {"error": {message, type, param, code}}.

Types and codes as in OpenAI's error guide (platform.openai.com/docs/guides/error-codes) and its SDKs, which raise by
status and retry 408, 409, 429 and 5xx unless `x-should-retry` says no.
"""

import logging
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from accounts.errors import (
    BudgetReached,
    CodeExpired,
    CodeRefused,
    CodeUnknown,
    CodeUsed,
    CodeVoid,
    InsufficientQuota,
    InvalidKey,
    KeyWithoutLimit,
    LedgerUnavailable,
    LimitReached,
    TooManyTries,
    UnknownCharge,
)
from chat.errors import AnswerNotKept, BadCall, KeyReused, StillRunning, UnknownModel
from gateway.dialects.base import json_response
from gateway.dialects.brconnector import llm
from gateway.dialects.incoming import BodyNotForm, BodyNotJSON, BodyTooLarge, BodyTooSlow
from providers.requesters.errors import ProviderError

logger = logging.getLogger(__name__)

INVALID = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of exception is told."""

    status: int
    type: str
    code: str | None
    headers: tuple[tuple[str, str], ...] = ()


SHAPES: dict[type[Exception], Shape] = {
    InvalidKey: Shape(401, INVALID, "invalid_api_key", (("www-authenticate", "Bearer"),)),
    InsufficientQuota: Shape(429, "insufficient_quota", "insufficient_quota", (("x-should-retry", "false"),)),
    BudgetReached: Shape(429, "insufficient_quota", "insufficient_quota"),
    LimitReached: Shape(429, "rate_limit_error", "rate_limit_exceeded"),
    LedgerUnavailable: Shape(503, "server_error", "ledger_unavailable"),
    UnknownModel: Shape(404, INVALID, "model_not_found"),
    BadCall: Shape(400, INVALID, None),
    KeyReused: Shape(422, INVALID, "idempotency_key_reused"),
    StillRunning: Shape(409, INVALID, "idempotency_in_progress"),
    AnswerNotKept: Shape(409, INVALID, "idempotency_answer_not_kept", (("x-should-retry", "false"),)),
    UnknownCharge: Shape(404, INVALID, "charge_not_found"),
    CodeUnknown: Shape(400, INVALID, "code_unknown"),
    CodeUsed: Shape(400, INVALID, "code_used"),
    CodeVoid: Shape(400, INVALID, "code_void"),
    CodeExpired: Shape(400, INVALID, "code_expired"),
    KeyWithoutLimit: Shape(400, INVALID, "key_without_limit"),
    TooManyTries: Shape(429, "rate_limit_error", "too_many_tries", (("x-should-retry", "false"),)),
    CodeRefused: Shape(400, INVALID, "code_refused"),
    BodyNotJSON: Shape(400, INVALID, None),
    BodyNotForm: Shape(400, INVALID, None),
    BodyTooLarge: Shape(413, INVALID, "request_too_large"),
    BodyTooSlow: Shape(408, INVALID, "request_timeout", (("connection", "close"),)),
}
INTERNAL = Shape(500, "server_error", "internal_error")
UPSTREAM_TYPES = {400: INVALID, 429: "rate_limit_error", 504: "timeout_error"}


def error_response(error: Exception, request: HttpRequest, request_id: str) -> HttpResponse:
    """The answer to a call that failed before anything of its answer was sent."""
    error = _known(error)
    shape, content = _describe(error)
    if shape is INTERNAL:
        logger.error("%s failed", request_id, exc_info=error)
    status, told = llm.told(request, error, shape.status, content)
    response = json_response(told, status)
    # The charge and our own log say what happened; Django's line for each 4xx and 5xx would only say it again.
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own switch, undocumented
    response["x-request-id"] = request_id
    for name, value in (*shape.headers, *getattr(error, "headers", {}).items()):
        response[name] = value
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response["retry-after"] = str(max(int(retry_after + 0.999), 1))
    return response


def error_frame(error: Exception) -> bytes:
    """The same as an event, for a stream that broke after its start."""
    return b"data: " + orjson.dumps({"error": _describe(_known(error))[1]}) + b"\n\n"


def _known(error: Exception) -> Exception:
    """A database that goes away in the middle of a request says so in words of its own."""
    if isinstance(error, OperationalError | InterfaceError):
        return LedgerUnavailable()
    return error


def _describe(error: Exception) -> tuple[Shape, dict[str, Any]]:
    shape = _shape(error)
    message = str(error) if shape is not INTERNAL else "The gateway failed on this call. It has been logged."
    param = getattr(error, "param", None)
    return shape, {"message": message, "type": shape.type, "param": param, "code": shape.code}


def _told_code(error: ProviderError) -> str | None:
    """A bad request has the upstream's own code, which OpenAI leaves empty where the type says it all."""
    if error.status != 400:
        return error.code
    return None if error.upstream_code == INVALID else error.upstream_code


def _shape(error: Exception) -> Shape:
    if isinstance(error, ProviderError):
        kind = UPSTREAM_TYPES.get(error.status, "upstream_error")
        return Shape(error.status, kind, _told_code(error))
    return next((shape for kind, shape in SHAPES.items() if isinstance(error, kind)), INTERNAL)
