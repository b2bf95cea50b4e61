"""The shape of every answer: {"code": 0, "data": …, "msg": "ok"}, and of every refusal: {"code": …, "msg": …}.

Keys are sorted, separators compact, a newline ends the body: some clients compare bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from accounts.errors import LedgerUnavailable
from accounts.services.principals import Principal
from gateway.dialects.langbot.authentication import EitherAuthentication
from gateway.dialects.langbot.refusals import GENERAL, Refusal

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


class SortedJSON(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # bytes: the content type goes without one

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return orjson.dumps(data, option=OPTIONS)


class WhateverIsAsked(BaseContentNegotiation):
    """There is one shape; an Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class DialectView(APIView):
    """The base of this dialect's views: a key or a token is asked for, every answer and refusal is in the envelope.

    `scopes`: what the caller must hold, by method; a method without one is open to whoever has authenticated.
    """

    authentication_classes: Sequence[type[BaseAuthentication]] = (EitherAuthentication,)
    permission_classes = ()
    renderer_classes = (SortedJSON,)
    content_negotiation_class = WhateverIsAsked
    scopes: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        scope = self.scopes.get(request.method or "")
        if scope and not principal_of(request).may(scope):
            raise Refusal(403, f"Missing Workspace permission: {scope}", "permission_denied")

    def get_exception_handler(self) -> Any:
        return refuse


class DialectViewSet(ViewSetMixin, DialectView):
    """The same with a method for each action: list, create, retrieve and so on."""


def principal_of(request: Request) -> Principal:
    """Who calls; set by the view's authentication."""
    return cast(Principal, request.user)


def ok(data: Any) -> Response:
    return Response({"code": 0, "data": data, "msg": "ok"})


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: None lets what nobody expected through, to be logged and answered as 500."""
    refusal = _refusal_of(error)
    if refusal is None:
        return None
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    if refusal.status == 503:
        headers["Retry-After"] = "1"
    return Response({"code": refusal.code, "msg": refusal.message}, refusal.status, headers=headers)


def _refusal_of(error: Exception) -> Refusal | None:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, LedgerUnavailable):
        return Refusal(503, str(error), "unavailable")
    if isinstance(error, APIException):
        return Refusal(error.status_code, str(error.detail), GENERAL)
    return None
