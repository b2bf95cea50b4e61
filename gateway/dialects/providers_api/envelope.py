"""The shape of every refusal: {"error": …, "code": …}. Answers have none in common: each is an object of its own."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.errors import EmailTaken, LedgerUnavailable, NotAllowed
from accounts.services.principals import Principal
from gateway.dialects.incoming import BodyError, BodyTooLarge, BodyTooSlow, discard_body
from gateway.dialects.openai.schema import SECURITY
from gateway.dialects.providers_api.authentication import AdminAuthentication
from gateway.dialects.providers_api.refusals import Refusal, forbidden, invalid

logger = logging.getLogger(__name__)

UNAVAILABLE = "The database does not answer. Try again shortly."


class PlainJSON(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # bytes: the content type goes without one

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return orjson.dumps(data)


class WhateverIsAsked(BaseContentNegotiation):
    """There is one shape; an Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class KeyedSchema(AutoSchema):
    """How credentials are sent has been described once, with the traffic."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        return SECURITY if self.view.authentication_classes else []


class DialectView(APIView):
    """The base of this dialect's views: a key or a token is asked for, and every refusal has this dialect's shape.

    `scopes`: what the caller must hold, by method; a method without one is open to whoever has authenticated.
    """

    authentication_classes: Sequence[type[BaseAuthentication]] = (AdminAuthentication,)
    permission_classes = ()
    renderer_classes = (PlainJSON,)
    content_negotiation_class = WhateverIsAsked
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    schema = KeyedSchema()
    scopes: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if (request.method or "").lower() not in map(str.lower, self.allowed_methods):
            self.http_method_not_allowed(request)  # before anybody is asked who they are
        super().initial(request, *args, **kwargs)
        scope = self.scopes.get("GET" if request.method == "HEAD" else request.method or "")
        if scope and not principal_of(request).may(scope):
            raise forbidden(f"This needs the right {scope}.")

    def get_exception_handler(self) -> Any:
        return refuse

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if response.status_code >= 400:
            discard_body(request._request)
        return super().finalize_response(request, response, *args, **kwargs)


def principal_of(request: Request) -> Principal:
    """Who calls; set by the view's authentication."""
    return cast(Principal, request.user)


def refuse(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What nobody expected is logged, and answered without a word of what it was."""
    refusal = _refusal_of(error)
    if refusal is None:
        logger.error("%s %s failed", context["request"].method, context["request"].path, exc_info=error)
        refusal = Refusal(500, "Internal server error", "INTERNAL_ERROR")
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
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
    (ValidationError, lambda error: invalid(" ".join(error.messages))),
    (BodyError, _body),
    ((LedgerUnavailable, OperationalError, InterfaceError), _down),
    (APIException, _drf),
)


def _refusal_of(error: Exception) -> Refusal | None:
    made: Refusal | None = next((make(error) for kind, make in KINDS if isinstance(error, kind)), None)
    return made
