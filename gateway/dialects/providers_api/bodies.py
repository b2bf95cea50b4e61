"""A request's body and its query, checked by serializers: what comes out has its types, or a refusal went out."""

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.providers_api.refusals import invalid

JSON = dict[str, Any]


def body_of(request: Request) -> JSON:
    """The body as a JSON object, whatever its content type says; none is an empty one. Raises Refusal or BodyError."""
    raw = read_body(request._request)
    body = parse_object(raw) if raw.strip() else {}
    if not _is_storable(body):
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


def first_error(errors: Any, at: str = "") -> str:
    """A serializer's first error as "<field>: <reason>"; `at` is the path to it, its steps joined by dots."""
    if isinstance(errors, dict):
        name, inner = next(iter(errors.items()))
        return first_error(inner, f"{at}.{name}".strip("."))
    if isinstance(errors, list):
        place, inner = next((place, each) for place, each in enumerate(errors) if each)
        return first_error(inner, f"{at}.{place}" if isinstance(inner, dict) else at)
    return f"{at}: {errors}" if at else str(errors)


def _is_storable(value: Any) -> bool:
    """Not every database takes NUL in a text. The body's depth is bounded where it is read."""
    if isinstance(value, dict):
        return all(_is_storable(name) and _is_storable(each) for name, each in value.items())
    if isinstance(value, list):
        return all(map(_is_storable, value))
    return "\0" not in value if isinstance(value, str) else True
