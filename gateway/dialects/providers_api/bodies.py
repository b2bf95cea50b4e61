"""A request's body and its query, checked by serializers: what comes out has its types, or a refusal went out."""

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.providers_api.refusals import invalid
from gateway.dialects.service import first_error, has_null_character

JSON = dict[str, Any]


def body_of(request: Request) -> JSON:
    """The body as a JSON object, whatever its content type says; none is an empty one. Raises Refusal or BodyError."""
    raw = read_body(request._request)
    body = parse_object(raw) if raw.strip() else {}
    if has_null_character(body):
        raise invalid("Null characters are not allowed.")
    return body


def parsed(serializer_class: type[Serializer[Any]], body: JSON) -> JSON:
    """The fields that the serializer knows; raises Refusal for the first that is wrong."""
    return _checked(serializer_class(data=body))


def query_of(serializer_class: type[Serializer[Any]], request: Request) -> JSON:
    """The query's parameters; of one given twice the last counts."""
    return _checked(serializer_class(data=request.query_params.dict()))


def _checked(serializer: Serializer[Any]) -> JSON:
    if not serializer.is_valid():
        raise invalid(first_error(serializer.errors))
    values: JSON = serializer.validated_data
    return values
