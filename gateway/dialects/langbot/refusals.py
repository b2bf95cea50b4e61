"""What this dialect refuses with, and how it tells the refusals of the services."""

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from rest_framework.exceptions import APIException

from accounts import errors
from gateway.dialects.incoming import BodyError, BodyTooLarge, BodyTooSlow
from gateway.dialects.service import first_complaint
from gateway.jobs.queue import QueueFull
from providers.models import AIModel, Provider

GENERAL = -1  # the code of all refusals that have no name of their own
NOT_LOGGED_IN = 1  # the code of those that clients look for in an answer of status 200


class Refusal(Exception):
    """`code` is a whole number or a word, as the contract has it for each case; `retry_after` is in seconds."""

    def __init__(self, status: int, message: str, code: int | str = GENERAL, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after


GONE = (404, "resource_not_found", "Resource not found")  # removed while it was changed
# Status, code and text, by the exception; of two that fit, the first. `{error}` is what it says itself.
TOLD: dict[type[Exception], tuple[int, int | str, str]] = {
    errors.WrongCredentials: (200, NOT_LOGGED_IN, "Invalid username or password"),
    errors.RegistrationClosed: (409, "registration_closed", "System already initialized"),
    errors.AlreadyInitialized: (200, NOT_LOGGED_IN, "System already initialized"),
    errors.NotInitialized: (400, GENERAL, "System not initialized"),
    errors.LockedOut: (429, GENERAL, "Too many attempts, try again later"),
    errors.WrongPassword: (400, GENERAL, "{error}"),
    errors.WrongRecoveryKey: (403, GENERAL, "Invalid recovery key"),
    errors.NoRecoveryKey: (403, GENERAL, "{error}"),
    errors.UnknownPerson: (400, GENERAL, "User not found"),
    errors.RightMissing: (403, "permission_denied", "Missing Workspace permission: {error.right}"),
    Provider.DoesNotExist: GONE,
    AIModel.DoesNotExist: GONE,
    QueueFull: (429, "task_capacity_exceeded", "{error}"),
    errors.LedgerUnavailable: (503, "unavailable", "{error}"),
    OperationalError: (503, "unavailable", "The database does not answer. Try again shortly."),
    InterfaceError: (503, "unavailable", "The database does not answer. Try again shortly."),
    BodyTooLarge: (413, GENERAL, "{error}"),
    BodyTooSlow: (408, GENERAL, "{error}"),
    BodyError: (400, GENERAL, "{error}"),
}
RETRY_AFTER = {503: 2, 429: 10}  # seconds, for those that say nothing of it


def refusal_of(error: Exception) -> Refusal | None:
    """None for what nobody expected."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, APIException):
        return Refusal(error.status_code, str(error.detail))
    if isinstance(error, ValidationError):
        return Refusal(400, first_complaint(error))
    for kind, (status, code, message) in TOLD.items():
        if isinstance(error, kind):
            retry_after = getattr(error, "retry_after", RETRY_AFTER.get(status))
            return Refusal(status, message.format(error=error), code, retry_after=retry_after)
    return None
