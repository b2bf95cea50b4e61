"""What the OpenAPI document says of the models: the same for each kind, but for what only language models have."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view

from gateway.dialects.langbot.bodies_providers import ModelFields, StarredFields
from gateway.dialects.langbot.schema import (
    BODY_REFUSALS,
    DONE,
    JSON,
    STRING,
    TAG,
    TIME,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UUID,
    answer,
    body,
    described,
    envelope,
    refusal,
    refusals,
)
from gateway.dialects.langbot.schema_providers import (
    BAD_FLAG,
    GONE,
    INCLUDE_SECRET,
    MANAGE,
    OBJECT,
    PLAIN,
    PLAIN_EXAMPLE,
    SECRETS,
    STRINGS,
    VIEW,
)
from providers.models import Kind

NAMES = {Kind.LLM: "LLM", Kind.EMBEDDING: "Embedding", Kind.RERANK: "Rerank"}
PERHAPS_UUID: JSON = {**UUID, "nullable": True}

GROUP = described(name=STRING, keys=STRINGS)
USUAL = described(
    uuid=UUID,
    workspace_uuid=UUID,
    name={**STRING, "description": "What callers ask for."},
    description=STRING,
    provider_uuid=UUID,
    extra_args=OBJECT,
    prefered_ranking={"type": "integer"},
    created_at=TIME,
    updated_at=TIME,
    requester=STRING,
    requester_config={**OBJECT, "description": "base_url, model (what the provider calls it), args, timeout."},
    api_keys={"type": "array", "items": GROUP, "description": "`***` for each key."},
)
USUAL["properties"]["provider"] = {**PLAIN, "description": "Absent where one provider's models are listed."}
LANGUAGE = described(
    **{name: schema for name, schema in USUAL["properties"].items() if name != "provider"},
    abilities=STRINGS,
    context_length={"type": "integer", "nullable": True},
    reasoning_config=OBJECT,
    reasoning_capabilities=described(levels=STRINGS, source=STRING, supported={"type": "boolean"}),
)
LANGUAGE["properties"]["provider"] = USUAL["properties"]["provider"]
MODELS = {Kind.LLM: LANGUAGE, Kind.EMBEDDING: USUAL, Kind.RERANK: USUAL}

USUAL_EXAMPLE: JSON = {
    "api_keys": [{"keys": ["***"], "name": "default"}],
    "created_at": "2026-01-02T03:04:05",
    "description": "",
    "extra_args": {},
    "name": "text-embedding-3-small",
    "prefered_ranking": 0,
    "provider": PLAIN_EXAMPLE,
    "provider_uuid": PLAIN_EXAMPLE["uuid"],
    "requester": "openai-chat-completions",
    "requester_config": {
        "args": {},
        "base_url": "https://api.openai.com/v1",
        "model": "text-embedding-3-small",
        "timeout": 120,
    },
    "updated_at": "2026-01-02T03:04:05",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "workspace_uuid": PLAIN_EXAMPLE["workspace_uuid"],
}
LANGUAGE_EXAMPLE: JSON = {
    **USUAL_EXAMPLE,
    "abilities": ["vision", "func_call"],
    "context_length": 128000,
    "description": "OpenAI GPT-4 model",
    "name": "GPT-4",
    "reasoning_capabilities": {"levels": ["provider_default"], "source": "unknown", "supported": False},
    "reasoning_config": {"level": "provider_default"},
    "requester_config": {**USUAL_EXAMPLE["requester_config"], "model": "gpt-4"},
}
EXAMPLES = {Kind.LLM: LANGUAGE_EXAMPLE, Kind.EMBEDDING: USUAL_EXAMPLE, Kind.RERANK: USUAL_EXAMPLE}

ONE_LAYER: JSON = {
    "name": "GPT-4",
    "description": "OpenAI GPT-4 model",
    "requester": "openai-chat-completions",
    "requester_config": {"base_url": "https://api.openai.com/v1", "model": "gpt-4", "args": {}},
    "api_keys": [{"name": "default", "keys": ["sk-…"]}],
    "extra_args": {},
}
MODEL_UUID = OpenApiParameter("uuid", str, OpenApiParameter.PATH, description="The model's uuid.")
OR_UNSAVED = OpenApiParameter(
    "uuid", str, OpenApiParameter.PATH, description="The model's uuid; `_` for the model that the body describes."
)
OF_PROVIDER = OpenApiParameter("provider_uuid", str, description="Only this provider's.")
NO_PROVIDER = refusal("There is no such provider", "Resource not found", "resource_not_found")
WRONG = refusals(
    "A field is missing or wrong; nothing is stored",
    ("name: This field is required.", -1),
    ("name: A model of this name and kind exists on this provider already.", -1),
    ("Provider openai-chat-completions does not support rerank models", -1),
    ("Masked secret has no existing value", -1),
)
FAILED = refusals(
    "The call failed, or a field is wrong",
    ("Model request failed: Invalid API key", "model_test_failed"),
    ("Model request failed: Connection failed", "model_test_failed"),
    ("extra_args: These are the caller's or the gateway's: model.", -1),
)
TEXT = (
    "A provider is named by `provider_uuid`, or found by `provider` or by `requester`, `requester_config` and "
    "`api_keys`, and made where there is none like that."
)
COPY = (
    "What is left out stays; `***` keeps what is stored. A new `requester`, `requester_config` or `api_keys` never "
    "change another model: where the provider is shared, this model gets one of its own."
)


def of_kind(kind: str) -> Any:
    """The documentation of a kind's view set."""
    name, model, example = NAMES[Kind(kind)], MODELS[Kind(kind)], EXAMPLES[Kind(kind)]
    request = {**ONE_LAYER, "abilities": ["vision", "func_call"]} if kind == Kind.LLM else ONE_LAYER
    listed = envelope(models={"type": "array", "items": model})
    common: JSON = {"tags": [TAG]}
    return extend_schema_view(
        list=extend_schema(
            operation_id=f"list{name}Models",
            summary=f"All models: {kind}",
            parameters=[OF_PROVIDER, INCLUDE_SECRET],
            responses={200: answer("They", listed, {"models": [example]}), 400: BAD_FLAG, 404: NO_PROVIDER, **VIEW},
            **common,
        ),
        create=extend_schema(
            operation_id=f"create{name}Model",
            summary=f"Add a model: {kind}",
            description=TEXT,
            request=ModelFields,
            examples=body(request),
            responses={
                200: answer("It is stored", envelope(uuid=UUID), {"uuid": example["uuid"]}),
                400: WRONG,
                404: NO_PROVIDER,
                **SECRETS,
                **BODY_REFUSALS,
            },
            **common,
        ),
        retrieve=extend_schema(
            operation_id=f"get{name}Model",
            summary=f"One model: {kind}",
            parameters=[MODEL_UUID, INCLUDE_SECRET],
            responses={
                200: answer("It", envelope(model=model), {"model": example}),
                400: BAD_FLAG,
                404: refusal("There is none of that uuid", "model not found"),
                **VIEW,
            },
            **common,
        ),
        update=extend_schema(
            operation_id=f"update{name}Model",
            summary=f"Change a model: {kind}",
            description=COPY,
            parameters=[MODEL_UUID],
            request=ModelFields(partial=True),
            examples=body(request),
            responses={200: DONE, 400: WRONG, 404: GONE, **SECRETS, **BODY_REFUSALS},
            **common,
        ),
        destroy=extend_schema(
            operation_id=f"delete{name}Model",
            summary=f"Remove a model: {kind}",
            description="Its provider stays.",
            parameters=[MODEL_UUID],
            responses={200: DONE, 404: GONE, **MANAGE},
            **common,
        ),
    )


def test_of_kind(kind: str) -> Any:
    """The documentation of a kind's test."""
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"test{NAMES[Kind(kind)]}Model",
            summary=f"Make a real, small call: {kind}",
            description="For a stored model, `extra_args` of the body are laid over its own for this one call.",
            tags=[TAG],
            parameters=[OR_UNSAVED],
            request=ModelFields(partial=True),
            examples=body({}),
            responses={200: DONE, 400: FAILED, 404: GONE, **SECRETS, **BODY_REFUSALS},
        )
    )


OF_PERSON = {401: UNAUTHENTICATED, 503: UNAVAILABLE}
STARRED_ANSWER = answer("It", envelope(uuid=PERHAPS_UUID), {"uuid": USUAL_EXAMPLE["uuid"]})
STARRED = extend_schema(
    operation_id="getStarredModel",
    summary="The model that you like best",
    tags=[TAG],
    responses={200: STARRED_ANSWER, **OF_PERSON},
)
STAR = extend_schema(
    operation_id="starModel",
    summary="Say which model you like best",
    description="null: none.",
    tags=[TAG],
    request=StarredFields,
    examples=body({"uuid": USUAL_EXAMPLE["uuid"]}),
    responses={
        200: STARRED_ANSWER,
        400: refusal("There is no such model", "uuid: There is no such model."),
        **OF_PERSON,
        **BODY_REFUSALS,
    },
)
DEFAULT = extend_schema(
    operation_id="getDefaultModel",
    summary="The starred model, else the first",
    tags=[TAG],
    responses={200: STARRED_ANSWER, **OF_PERSON},
)
