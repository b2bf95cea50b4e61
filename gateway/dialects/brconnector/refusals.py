"""What this dialect refuses with, and how it tells the refusals of the services.

Its original answers every refusal of its own with 400, and its clients look at the text alone (contract A1).
"""

import logging

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from rest_framework.exceptions import APIException

from accounts import errors
from common.duplicates import TAKEN
from gateway.dialects.incoming import BodyError, BodyTooLarge, BodyTooSlow
from gateway.dialects.service import first_complaint

logger = logging.getLogger(__name__)

NOT_TOLD = frozenset({401, 403, 404, 409, 429})  # 400 instead, unless TRUE_STATUS_CODES

NO_KEY = "Unauthorized: api key required."
UNKNOWN_KEY = "Your key does not exist. If it was just created, please try again after a short wait."
NOT_ADMIN = "Unauthorized: you are not an admin role."
RECHARGE = "Please recharge."
NO_MODEL = "The model [{model}] not found."
NOT_PERMITTED = "You do not have permission to access the [{model}] model, please contact the administrator."
NOT_FOUND = "Not Found"
NO_NULLS = "Null characters are not allowed."
FIELDS = {  # as this dialect calls our columns
    "amount": "balance",
    "code": "key",
    "group": "group_id",
    "base_url": "address",
    "requester": "provider",
    "upstream_name": "config",
}
INTERNAL = "The gateway failed on this request. It has been logged."
UNAVAILABLE = "The database does not answer. Try again shortly."


class Refusal(Exception):
    """`code` is a word for programs; `is_status_kept`: the status is told as it is, whatever the settings.

    `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        code: str = "bad_request",
        *,
        is_status_kept: bool = False,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.true_status = status
        self.code = code
        self.is_status_kept = is_status_kept
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The one to answer with."""
        return self.true_status if self.is_status_kept else told_status(self.true_status)


def told_status(status: int) -> int:
    """What this dialect's clients are told of a refusal's status."""
    return 400 if status in NOT_TOLD and not settings.TRUE_STATUS_CODES else status


# Status, code and text, by the exception; of two that fit, the first. `{error}` is what it says itself.
Told = dict[type[Exception], tuple[int, str, str]]
TOLD: Told = {
    errors.KeyRevoked: (401, "invalid_api_key", UNKNOWN_KEY),
    errors.KeyExpired: (401, "invalid_api_key", "{error}"),
    errors.InvalidKey: (401, "invalid_api_key", UNKNOWN_KEY),
    errors.InsufficientQuota: (429, "insufficient_quota", RECHARGE),
    errors.BudgetReached: (429, "insufficient_quota", "{error}"),
    errors.LimitReached: (429, "rate_limit_exceeded", "{error}"),
    errors.NotAllowed: (403, "not_allowed", "{error}"),
    errors.LedgerUnavailable: (503, "unavailable", "{error}"),
    OperationalError: (503, "unavailable", UNAVAILABLE),
    InterfaceError: (503, "unavailable", UNAVAILABLE),
    BodyTooLarge: (413, "too_large", "{error}"),
    BodyTooSlow: (408, "timeout", "{error}"),
    BodyError: (400, "bad_request", "{error}"),
}


def refusal_of(error: Exception, request_id: str, own: Told | None = None) -> Refusal:
    """`own`: what an endpoint tells beside TOLD, and before it. What nobody expected is logged, and told without a word
    of what it was."""
    refusal = _expected(error, {**(own or {}), **TOLD})
    if refusal is None:
        logger.error("%s failed", request_id, exc_info=error)
        return Refusal(INTERNAL, 500, "internal_error")
    return refusal


def _expected(error: Exception, told: Told) -> Refusal | None:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, APIException):
        return Refusal(str(error.detail), error.status_code, is_status_kept=True)
    if isinstance(error, ValidationError):
        return Refusal(text_of(error), 409, "conflict") if is_taken(error) else Refusal(text_of(error))
    for kind, (status, code, message) in told.items():
        if isinstance(error, kind):
            retry_after = getattr(error, "retry_after", 2 if status == 503 else None)
            return Refusal(message.format(error=error), status, code, retry_after=retry_after)
    return None


def is_taken(error: ValidationError) -> bool:
    """Whether another row has what only one may have."""
    reasons = getattr(error, "error_dict", {}).values() or [error.error_list]
    return any(reason.code == TAKEN for each in reasons for reason in each)


def text_of(error: ValidationError) -> str:
    return first_complaint(error, FIELDS)
