"""What the OpenAPI document says of this dialect: the pieces that its endpoints share."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from gateway.dialects.brconnector import refusals

JSON = dict[str, Any]

TAG = "BRConnector"
STRING: JSON = {"type": "string"}
WHOLE: JSON = {"type": "integer"}
NUMBER: JSON = {"type": "number"}
YES_OR_NO: JSON = {"type": "boolean"}
ANY_OBJECT: JSON = {"type": "object", "additionalProperties": True}
MONEY: JSON = {"type": "string", "pattern": r"^-?\d+\.\d{10,}$", "description": "USD.", "example": "20.0000000000"}
TIME: JSON = {"type": "string", "format": "date-time", "example": "2026-01-02T03:04:05.678Z"}
TIME_EXAMPLE = "2026-01-02T03:04:05.678Z"


def described(**properties: JSON) -> JSON:
    return {"type": "object", "required": list(properties), "properties": properties}


def or_none(schema: JSON) -> JSON:
    return {**schema, "nullable": True}


def listed(schema: JSON) -> JSON:
    return {"type": "array", "items": schema}


def envelope(data: JSON) -> JSON:
    return described(success=YES_OR_NO, data=data)


def answer(description: str, data: JSON, example: Any) -> OpenApiResponse:
    shown = OpenApiExample(description, {"success": True, "data": example}, response_only=True)
    return OpenApiResponse(envelope(data), description, [shown])


def page(description: str, row: JSON, example: Any) -> OpenApiResponse:
    """A list's answer."""
    data = described(items=listed(row), total=WHOLE, limit=WHOLE, offset=WHOLE)
    return answer(description, data, {"items": [example], "total": 1, "limit": 20, "offset": 0})


ERROR = described(message=STRING, error_type=STRING, error_code=STRING, request_id=STRING)
REFUSED = described(success=YES_OR_NO, data=STRING, error=ERROR)


def refusal(description: str, *messages: str) -> OpenApiResponse:
    """One status and the texts that it comes with."""
    return OpenApiResponse(REFUSED, description, [_example(message) for message in dict.fromkeys(messages)])


def _example(message: str) -> OpenApiExample:
    told = {"message": message, "error_type": "Error", "error_code": "bad_request", "request_id": "req_0123456789"}
    return OpenApiExample(message, {"success": False, "data": message, "error": told}, response_only=True)


KEY_TEXTS = (refusals.NO_KEY, refusals.UNKNOWN_KEY)
STATUS = "Status 400 whatever the reason, as its clients expect; with TRUE_STATUS_CODES 401, 403, 404, 409 and 429, too"
UNAVAILABLE = refusal("The database does not answer", refusals.UNAVAILABLE)


def _refusals(*messages: str) -> dict[Any, OpenApiResponse]:
    return {400: refusal(STATUS, *messages), 503: UNAVAILABLE}


def user_refusals(*messages: str) -> dict[Any, OpenApiResponse]:
    """What anybody may be refused with, and what else this endpoint says."""
    return _refusals(*messages, *KEY_TEXTS)


def admin_refusals(*messages: str) -> dict[Any, OpenApiResponse]:
    return _refusals(*messages, *KEY_TEXTS, refusals.NOT_ADMIN)


def body_refusals(*messages: str) -> dict[Any, OpenApiResponse]:
    """An administrator's, of an endpoint that takes a body."""
    return {
        **admin_refusals(*messages, "The body is not valid JSON: unexpected end of data."),
        408: refusal("The body came too slowly", "The request body did not arrive within 120 seconds."),
        413: refusal("The body is too large", "The request body is larger than 20971520 bytes."),
    }


def query(name: str, description: str, kind: Any = str) -> OpenApiParameter:
    return OpenApiParameter(name, kind, description=description)


def list_parameters(searched: str) -> list[OpenApiParameter]:
    return [
        query("q", f"A text in {searched}; capitals count."),
        query("limit", "20 unless given, 2000 at most."),
        query("offset", "0 unless given."),
    ]


PATH_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The row's number.")


def sent(description: str, value: Any) -> OpenApiExample:
    return OpenApiExample(description, value, request_only=True)
