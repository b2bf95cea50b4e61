"""What the dialects share whose programs manage the gateway: DRF views, each refusal in the dialect's own shape."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

import orjson
from django.core.exceptions import NON_FIELD_ERRORS, SuspiciousOperation, ValidationError
from drf_spectacular.openapi import AutoSchema
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.services.principals import Principal
from gateway.dialects.incoming import discard_body

TOO_MANY_FIELDS = "The request has too many or too long fields."


class BytesJSON(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # bytes: the content type goes without one
    options: ClassVar[int] = 0

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return orjson.dumps(data, option=self.options)


class WhateverIsAsked(BaseContentNegotiation):
    """There is one shape; an Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class PlainSchema(AutoSchema):
    """Says of each answer what its view says: a list here is inside an object, never an answer by itself."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def get_description(self) -> str:  # type: ignore[override]  # as in spectacular's
        """What a base says of itself is for those who write views."""
        return inspect.cleandoc(type(self.view).__doc__ or "")


class ServiceView(APIView):
    """`scopes`: what the caller must hold, by method; a method without one is open to whoever has authenticated."""

    schema = PlainSchema()
    permission_classes = ()
    content_negotiation_class = WhateverIsAsked
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    scopes: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if (request.method or "").lower() not in map(str.lower, self.allowed_methods):
            self.http_method_not_allowed(request)  # before anybody is asked who they are
        super().initial(request, *args, **kwargs)
        scope = self.scopes.get("GET" if request.method == "HEAD" else request.method or "")
        if scope and not principal_of(request).may(scope):
            raise self.lacking(scope)

    def handle_exception(self, exc: Exception) -> Any:
        """Django's own bounds, such as that on the number of parameters, are refusals of what was sent, too."""
        if isinstance(exc, SuspiciousOperation):
            exc = ParseError(TOO_MANY_FIELDS)
        return super().handle_exception(exc)

    def lacking(self, scope: str) -> Exception:
        """The dialect's refusal of a caller who lacks a right."""
        raise NotImplementedError

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if response.status_code >= 400:
            discard_body(request._request)
        return super().finalize_response(request, response, *args, **kwargs)


def principal_of(request: Request) -> Principal:
    """Who calls; set by the view's authentication."""
    return cast(Principal, request.user)


def first_error(errors: Any, at: str = "") -> str:
    """A serializer's first error as "<field>: <reason>"; `at` is the path to it, its steps joined by dots."""
    if isinstance(errors, dict):
        name, inner = next(iter(errors.items()))
        return first_error(inner, at if name == "non_field_errors" else f"{at}.{name}".strip("."))
    if isinstance(errors, list):
        place, inner = next((place, each) for place, each in enumerate(errors) if each)
        return first_error(inner, f"{at}.{place}" if isinstance(inner, dict) else at)
    return f"{at}: {errors}" if at else str(errors)


def first_complaint(error: ValidationError, names: Mapping[str, str] | None = None) -> str:
    """A row's first complaint as "<field>: <reason>", or all that is said of no field in particular. `names`: what the
    dialect calls our columns."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    field, reasons = next(iter(error.message_dict.items()))
    return reasons[0] if field == NON_FIELD_ERRORS else f"{(names or {}).get(field, field)}: {reasons[0]}"


def headers_of(status: int, retry_after: int | None) -> dict[str, str]:
    """What a refusal says beside its text. `retry_after` is in seconds."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return headers if retry_after is None else {**headers, "Retry-After": str(retry_after)}


def has_null_character(value: Any) -> bool:
    """Not every database takes one in a text. A body's depth is bounded where it is read."""
    return any("\0" in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
