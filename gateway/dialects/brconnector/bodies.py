"""A request's body: a JSON object or a form's fields, whatever its content type says of JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import QueryDict
from rest_framework.request import Request

from common import objects
from common.objects import NoObject
from gateway.dialects.brconnector.refusals import NO_NULLS, Refusal
from gateway.dialects.brconnector.values import needed_id
from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.service import has_null_character

JSON = dict[str, Any]
RowType = TypeVar("RowType", bound=Model)

FORM = "application/x-www-form-urlencoded"


def body_of(request: Request) -> JSON:
    """Raises Refusal or a BodyError. No body is an empty object."""
    raw = read_body(request._request)
    is_form = str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower() == FORM
    if is_form and not raw.lstrip().startswith(b"{"):
        body: JSON = QueryDict(raw).dict()
    else:
        body = parse_object(raw) if raw.strip() else {}
    if has_null_character(body):
        raise Refusal(NO_NULLS)
    return body


def text_in(body: JSON, name: str, default: str = "") -> str:
    """A field that is a text; absent, null or blank is `default`. Raises Refusal."""
    value = body.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise Refusal(f"{name}: Give a text.")
    return value.strip() or default


def object_in(body: JSON, name: str) -> JSON | None:
    """A field that is an object, or a text that is one; absent, null or blank is None. Raises Refusal."""
    value = body.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = objects.parse_object(value) if isinstance(value, str) else value
    except NoObject:
        found = None
    if not isinstance(found, dict):
        raise Refusal(f"{name}: Give a JSON object, or a text that is one.")
    if has_null_character(found):
        raise Refusal(NO_NULLS)
    return found


def required(body: JSON, name: str, message: str = "") -> str:
    """A text that must be there. Raises Refusal, by default with "<name> is required"."""
    text = text_in(body, name)
    if not text:
        raise Refusal(message or f"{name} is required")
    return text


def row_in(body: JSON, rows: QuerySet[RowType], what: str, name: str = "id") -> RowType:
    """The row whose number the body has. Raises Refusal."""
    id = needed_id(body, name)
    with known(what, name):
        return rows.get(pk=id)


@contextmanager
def known(what: str, name: str = "id") -> Iterator[None]:
    """Tells of a row that is not there, or not any more. Raises Refusal."""
    try:
        yield
    except ObjectDoesNotExist as error:
        raise Refusal(f"{name} is invalid: there is no such {what}", 404, "not_found") from error
