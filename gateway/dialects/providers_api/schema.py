"""What the OpenAPI document says of this dialect: the pieces that its endpoints share."""

from collections import defaultdict
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

JSON = dict[str, Any]

STRING: JSON = {"type": "string"}
NUMBER: JSON = {"type": "number"}
WHOLE: JSON = {"type": "integer"}
YES_OR_NO: JSON = {"type": "boolean"}
TIME: JSON = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", "description": "UTC."}
TIME_EXAMPLE = "2025-01-01 12:00:00"


def or_none(schema: JSON) -> JSON:
    return {**schema, "nullable": True}


def described(**properties: JSON) -> JSON:
    return {"type": "object", "required": list(properties), "properties": properties}


def listed(schema: JSON) -> JSON:
    return {"type": "array", "items": schema}


def answer(description: str, schema: JSON, example: Any) -> OpenApiResponse:
    return OpenApiResponse(schema, description, [OpenApiExample(description, example, response_only=True)])


SUCCESS = answer("Done", described(success=YES_OR_NO), {"success": True})

ERROR = {**described(error=STRING, code=STRING)}
ERROR["properties"]["reason"] = {**STRING, "description": "Of a right that is missing: which one."}

# Status and text by code.
ERRORS: dict[str, tuple[int, str]] = {
    "INVALID_REQUEST": (400, "The body is not valid JSON: unexpected end of data."),
    "MISSING_FIELDS": (400, "name and apiKey are required"),
    "INVALID_NAME": (400, "Invalid provider name"),
    "INVALID_API_KEY": (400, "Invalid API key format"),
    "CONNECTION_FAILED": (400, "Provider connection failed: Invalid API key"),
    "MISSING_CREDENTIALS": (400, "A name and a password are required"),
    "MISSING_REFRESH_TOKEN": (400, "Refresh token is required"),
    "MISSING_USER_ID": (400, "userId is required"),
    "ROLE_NOT_FOUND": (400, "Role not found"),
    "ADMIN_AUTH_REQUIRED": (401, "Admin authentication required. Please login."),
    "TOKEN_REQUIRED": (401, "Authentication token required"),
    "TOKEN_EXPIRED": (401, "Token expired"),
    "INVALID_TOKEN": (401, "Invalid token"),
    "INVALID_CREDENTIALS": (401, "Invalid credentials"),
    "INVALID_REFRESH_TOKEN": (401, "The refresh token is not one of ours."),
    "REFRESH_TOKEN_INVALID": (401, "The log-in is over."),
    "TOKEN_REUSE_DETECTED": (401, "The refresh token was used before, so its log-in has been ended."),
    "ACCESS_DENIED": (403, "Access denied"),
    "ACCOUNT_DISABLED": (403, "This account is disabled"),
    "USER_INACTIVE": (403, "The user is not active"),
    "PROVIDER_NOT_FOUND": (404, "Provider not found"),
    "USER_NOT_FOUND": (404, "User not found"),
    "KEY_NOT_FOUND": (404, "API key not found"),
    "METHOD_NOT_ALLOWED": (405, 'Method "PATCH" not allowed.'),
    "REQUEST_TIMEOUT": (408, "The request body did not arrive within 120 seconds."),
    "EMAIL_EXISTS": (409, "Somebody has this e-mail address already."),
    "KEY_EXISTS": (409, "They have a key already. Rotate or delete it first."),
    "PAYLOAD_TOO_LARGE": (413, "The request body is larger than 20971520 bytes."),
    "TOO_MANY_ATTEMPTS": (429, "Too many attempts. Try again later."),
    "UNAVAILABLE": (503, "The database does not answer. Try again shortly."),
}
REASONS = {"ACCESS_DENIED": {"reason": "This needs the right resource.view."}}
BODY = ("INVALID_REQUEST", "REQUEST_TIMEOUT", "PAYLOAD_TOO_LARGE")
ADMIN = ("ADMIN_AUTH_REQUIRED", "ACCESS_DENIED", "METHOD_NOT_ALLOWED", "UNAVAILABLE")
PERSON = ("TOKEN_REQUIRED", "TOKEN_EXPIRED", "INVALID_TOKEN", "METHOD_NOT_ALLOWED", "UNAVAILABLE")
STATUSES = {
    400: "The request is wrong",
    401: "Nobody known asks",
    403: "They may not",
    404: "There is none",
    405: "Another method is meant",
    408: "The body came too slowly",
    409: "There is one already",
    413: "The body is too large",
    429: "Too many wrong passwords",
    503: "The database does not answer",
}


def refusals(*codes: str) -> dict[Any, OpenApiResponse]:
    """One response for each status, with an example for each of its codes."""
    examples: dict[int, list[OpenApiExample]] = defaultdict(list)
    for code in codes:
        status, text = ERRORS[code]
        content = {"error": text, "code": code, **REASONS.get(code, {})}
        examples[status].append(OpenApiExample(code, content, response_only=True))
    return {status: OpenApiResponse(ERROR, STATUSES[status], found) for status, found in sorted(examples.items())}


def path_parameter(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.PATH, description=description)


def sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)
