"""The shape of every answer: {"code": 0, "data": …, "msg": "ok"}, and of every refusal: {"code": …, "msg": …}.

Keys are sorted, separators compact, a newline ends the body: some clients compare bytes.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSetMixin

from accounts.models import User
from gateway.dialects.langbot.authentication import EitherAuthentication
from gateway.dialects.langbot.bodies import parsed
from gateway.dialects.langbot.refusals import Refusal, refusal_of
from gateway.dialects.service import BytesJSON, ServiceView, headers_of, principal_of

__all__ = ["DialectView", "DialectViewSet", "ok", "parsed", "person_of", "principal_of", "time_text"]

logger = logging.getLogger(__name__)

LONGEST_REQUEST_ID = 128


class SortedJSON(BytesJSON):
    options = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


class DialectView(ServiceView):
    """The base of this dialect's views: a key or a token is asked for, every answer and refusal is in the envelope."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (EitherAuthentication,)
    parser_classes = (JSONParser,)  # for the OpenAPI document; `parsed` reads the body itself
    renderer_classes = (SortedJSON,)

    def lacking(self, scope: str) -> Exception:
        return Refusal(403, f"Missing Workspace permission: {scope}", "permission_denied")

    def get_exception_handler(self) -> Any:
        return refuse

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["X-Request-Id"] = request_id_of(request)
        return answer


class DialectViewSet(ViewSetMixin, DialectView):
    """The same with a method for each action: list, create, retrieve and so on."""


def person_of(request: Request) -> User:
    """Who calls, where a user's token is asked for."""
    return cast(User, principal_of(request).user)


def ok(data: Any, *, is_secret: bool = False) -> Response:
    """`is_secret`: nobody on the way may keep it."""
    headers = {"Cache-Control": "no-store"} if is_secret else None
    return Response({"code": 0, "data": data, "msg": "ok"}, headers=headers)


def time_text(moment: datetime | None) -> str | None:
    """UTC to the second, without a zone: this dialect's way."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if moment else None


class Unknown(DialectView):
    """A path of this dialect's that leads nowhere: told in the envelope, whatever the method."""

    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Refusal(404, "Not found")


def request_id_of(request: Request) -> str:
    """The caller's own `X-Request-Id` if it can be a header and a word of a log, else one made here."""
    told: str | None = request.META.get("weighbridge.request_id")
    if told is None:
        asked = str(request.META.get("HTTP_X_REQUEST_ID", ""))
        is_good = 0 < len(asked) <= LONGEST_REQUEST_ID and asked.isascii() and asked.isprintable()
        told = request.META["weighbridge.request_id"] = asked if is_good else str(uuid.uuid4())
    return told


def refuse(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What nobody expected is logged, and answered without a word of what it was."""
    refusal = refusal_of(error)
    if refusal is None:
        return _failed(error, request_id_of(context["request"]))
    if refusal.status >= 500:
        logger.warning("Request %s is refused: %s", request_id_of(context["request"]), error)
    headers = headers_of(refusal.status, refusal.retry_after)
    return Response({"code": refusal.code, "msg": refusal.message}, refusal.status, headers=headers)


def _failed(error: Exception, request_id: str) -> Response:
    logger.error("Request %s failed", request_id, exc_info=error)
    content = {"code": "internal_error", "msg": "Internal server error", "request_id": request_id}
    return Response(content, 500)
