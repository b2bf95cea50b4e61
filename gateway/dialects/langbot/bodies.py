"""A request's body: a JSON object, checked by a serializer, or a refusal that names the field and the reason."""

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import CharField, Serializer

from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.langbot.refusals import GENERAL, Refusal
from gateway.dialects.service import first_error, has_null_character

JSON = dict[str, Any]

JSON_TYPES = ("", "application/json")  # a body of no said type is taken for JSON: there is no other kind here
ABSENT = ("required", "null", "blank")


class Text(CharField):
    """A text; a number is none. `missing`: what its absence is told by, in place of "<field>: <reason>"."""

    def __init__(self, *, missing: str = "", missing_code: int | str = GENERAL, **options: Any) -> None:
        super().__init__(**options)
        self.missing = missing
        self.missing_code = missing_code

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)

    def fail(self, key: str, **parameters: Any) -> Any:
        if self.missing and key in ABSENT:
            raise Refusal(400, self.missing, self.missing_code)
        super().fail(key, **parameters)


def parsed(
    serializer_class: type[Serializer[Any]],
    request: Request,
    *,
    partial: bool = False,
    is_optional: bool = False,
    code: int | str = GENERAL,
    message: str = "",
    context: JSON | None = None,
) -> JSON:
    """The body's fields as the serializer has them; what it does not know is dropped.

    `partial`: only what was sent, nothing is required. `is_optional`: no body is an empty object. `code` and `message`:
    what a refused field is told by, in place of -1 and "<field>: <reason>".
    Raises Refusal (400, 415) or a BodyError, which the envelope tells as 400, 408 or 413.
    """
    body = json_object(request, is_optional=is_optional)
    serializer = serializer_class(data=body, partial=partial, context=context or {})
    if not serializer.is_valid():
        raise Refusal(400, message or first_error(serializer.errors), code)
    values: JSON = serializer.validated_data
    for name, value in values.items():
        if has_null_character(value):
            raise Refusal(400, message or f"{name}: Null characters are not allowed.", code)
    return values


def json_object(request: Request, *, is_optional: bool = False) -> JSON:
    """The body as a JSON object, of known fields and unknown ones; raises as `parsed` does."""
    raw = read_body(request._request)
    if is_optional and not raw.strip():
        return {}
    kind = str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    if kind not in JSON_TYPES and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Refusal(415, "Send application/json.")
    return parse_object(raw)
