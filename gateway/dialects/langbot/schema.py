"""What the OpenAPI document says of this dialect."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

JSON = dict[str, Any]

TAG = "LangBot"
STRING: JSON = {"type": "string"}
UUID: JSON = {"type": "string", "format": "uuid"}
TIME: JSON = {"type": "string", "description": "UTC, to the second, without a zone.", "example": "2026-01-02T03:04:05"}


def described(**properties: JSON) -> JSON:
    return {"type": "object", "required": list(properties), "properties": properties}


def envelope(**data: JSON) -> JSON:
    return described(code={"type": "integer"}, data=described(**data), msg=STRING)


def answer(description: str, schema: JSON, example: Any) -> OpenApiResponse:
    shown = OpenApiExample(description, {"code": 0, "data": example, "msg": "ok"}, response_only=True)
    return OpenApiResponse(schema, description, [shown])


def refusal(description: str, message: str, code: int | str = -1) -> OpenApiResponse:
    code_schema: JSON = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
    example = OpenApiExample(description, {"code": code, "msg": message}, response_only=True)
    return OpenApiResponse(described(code=code_schema, msg=STRING), description, [example])


def refusals(description: str, *told: tuple[str, int | str]) -> OpenApiResponse:
    """One status that is answered for several reasons: (text, code) of each."""
    each = [refusal(message, message, code) for message, code in told]
    return OpenApiResponse(each[0].response, description, [example for one in each for example in one.examples])


def or_refused(answered: OpenApiResponse, message: str, code: int) -> OpenApiResponse:
    """An answer of status 200 that may be a refusal: only its code tells."""
    refused = refusal(message, message, code)
    schema = {"anyOf": [answered.response, refused.response]}
    return OpenApiResponse(schema, answered.description, [*answered.examples, *refused.examples])


def body(example: JSON) -> list[OpenApiExample]:
    return [OpenApiExample("A request", example, request_only=True)]


DONE = answer("It is done", described(code={"type": "integer"}, data={"type": "object"}, msg=STRING), {})
UNAVAILABLE = refusal("The database does not answer", "The database does not answer. Try again shortly.", "unavailable")
BAD_BODY = refusal("No JSON object, or a field is missing or wrong", "name: This field is required.")
# What every body may be refused for, beside its fields.
BODY_REFUSALS = {
    408: refusal("The body came too slowly", "The request body did not arrive within 120 seconds."),
    413: refusal("The body is too large", "The request body is larger than 20971520 bytes."),
    415: refusal("The body is no JSON", "Send application/json."),
    503: UNAVAILABLE,
}

UNAUTHENTICATED = refusal("No key, or none that holds", "Invalid authentication credentials", "invalid_authentication")


def forbidden(scope: str) -> OpenApiResponse:
    return refusal("The right is missing", f"Missing Workspace permission: {scope}", "permission_denied")


def refused(scope: str) -> dict[int, OpenApiResponse]:
    """What whoever lacks credentials or this right is told."""
    return {401: UNAUTHENTICATED, 403: forbidden(scope), 503: UNAVAILABLE}


TEXTS = described(en_US=STRING, zh_Hans=STRING)
FIELD = described(name=STRING, label=TEXTS, type=STRING, required={"type": "boolean"}, default={})
SPEC = {
    **described(
        config={"type": "array", "items": FIELD},
        support_type={"type": "array", "items": {"type": "string", "enum": ["llm", "text-embedding", "rerank"]}},
        provider_category=STRING,
        alias={**STRING, "description": "Words that it can be searched by."},
    )
}
SPEC["properties"]["litellm_provider"] = STRING
REQUESTER = described(name=STRING, label=TEXTS, description=TEXTS, icon=STRING, spec=SPEC)
EXAMPLE: JSON = {
    "description": {"en_US": "", "zh_Hans": ""},
    "icon": "openai-chat-completions.svg",
    "label": {"en_US": "OpenAI", "zh_Hans": "OpenAI"},
    "name": "openai-chat-completions",
    "spec": {
        "alias": "openai gpt",
        "config": [
            {
                "default": "https://api.openai.com/v1",
                "label": {"en_US": "Base URL", "zh_Hans": "基础 URL"},
                "name": "base_url",
                "required": True,
                "type": "string",
            }
        ],
        "litellm_provider": "openai",
        "provider_category": "manufacturer",
        "support_type": ["llm", "text-embedding"],
    },
}
NOT_FOUND = refusal("There is none of that name", "requester not found")
NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="A requester's name, or an alias of it.")
TYPE = OpenApiParameter(
    "type", str, description="llm, text-embedding or rerank; all without it, and none for another word."
)

LIST = extend_schema(
    operation_id="listRequesters",
    summary="The kinds of provider that can be set up",
    tags=[TAG],
    parameters=[TYPE],
    responses={
        200: answer(
            "All of them", envelope(requesters={"type": "array", "items": REQUESTER}), {"requesters": [EXAMPLE]}
        ),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
    },
)
ONE = extend_schema(
    operation_id="getRequester",
    summary="One kind of provider",
    tags=[TAG],
    parameters=[NAME],
    responses={
        200: answer("It", envelope(requester=REQUESTER), {"requester": EXAMPLE}),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
        404: NOT_FOUND,
    },
)
ICON = extend_schema(
    operation_id="getRequesterIcon",
    summary="Its icon",
    tags=[TAG],
    parameters=[NAME],
    responses={(200, "image/svg+xml"): OpenApiResponse(OpenApiTypes.STR, "SVG"), 404: NOT_FOUND},
)
