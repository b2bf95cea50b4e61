"""The shape of every refusal: {"error": …, "code": …}. Answers have none in common: each is an object of its own."""

import logging
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.response import Response

from accounts.errors import EmailTaken, LedgerUnavailable, NotAllowed
from gateway.dialects.incoming import BodyError, BodyTooLarge, BodyTooSlow
from gateway.dialects.openai.schema import SECURITY
from gateway.dialects.providers_api.authentication import AdminAuthentication
from gateway.dialects.providers_api.refusals import Refusal, forbidden, invalid, no_provider
from gateway.dialects.service import BytesJSON, PlainSchema, ServiceView, headers_of, principal_of
from providers.models import Provider

__all__ = ["DialectView", "principal_of", "refuse"]

logger = logging.getLogger(__name__)

UNAVAILABLE = "The database does not answer. Try again shortly."


class KeyedSchema(PlainSchema):
    """How credentials are sent has been described once, with the traffic."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        return SECURITY if self.view.authentication_classes else []


class DialectView(ServiceView):
    """The base of this dialect's views: a key or a token is asked for, and every refusal has this dialect's shape."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (AdminAuthentication,)
    renderer_classes = (BytesJSON,)
    schema = KeyedSchema()

    def lacking(self, scope: str) -> Exception:
        return forbidden(f"This needs the right {scope}.")

    def get_exception_handler(self) -> Any:
        return refuse


def refuse(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What nobody expected is logged, and answered without a word of what it was."""
    refusal = _refusal_of(error)
    if refusal is None:
        logger.error("%s %s failed", context["request"].method, context["request"].path, exc_info=error)
        refusal = Refusal(500, "Internal server error", "INTERNAL_ERROR")
    headers = headers_of(refusal.status, refusal.retry_after)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return Response(refusal.content, refusal.status, headers=headers)


def _body(error: Any) -> Refusal:
    statuses = {BodyTooLarge: (413, "PAYLOAD_TOO_LARGE"), BodyTooSlow: (408, "REQUEST_TIMEOUT")}
    status, code = statuses.get(type(error), (400, "INVALID_REQUEST"))
    return Refusal(status, str(error), code)


def _drf(error: Any) -> Refusal:
    code = "METHOD_NOT_ALLOWED" if isinstance(error, MethodNotAllowed) else "INVALID_REQUEST"
    return Refusal(error.status_code, str(error.detail), code)


def _down(error: Any) -> Refusal:
    logger.warning("The database does not answer: %s", error)
    return Refusal(503, UNAVAILABLE, "UNAVAILABLE", retry_after=getattr(error, "retry_after", 2))


# The first that fits.
KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Any], ...] = (
    (Refusal, lambda error: error),
    (NotAllowed, lambda error: forbidden(str(error))),
    (EmailTaken, lambda error: Refusal(409, str(error), "EMAIL_EXISTS")),
    (Provider.DoesNotExist, lambda error: no_provider()),  # deleted while it was changed
    (ValidationError, lambda error: invalid(" ".join(error.messages))),
    (BodyError, _body),
    ((LedgerUnavailable, OperationalError, InterfaceError), _down),
    (APIException, _drf),
)


def _refusal_of(error: Exception) -> Refusal | None:
    made: Refusal | None = next((make(error) for kind, make in KINDS if isinstance(error, kind)), None)
    return made
