"""What the OpenAPI document says of the providers."""

from drf_spectacular.utils import OpenApiParameter, extend_schema

from accounts.models import Scope
from gateway.dialects.langbot.bodies_providers import ProviderFields
from gateway.dialects.langbot.schema import (
    BODY_REFUSALS,
    DONE,
    JSON,
    STRING,
    TAG,
    TIME,
    UUID,
    answer,
    body,
    described,
    envelope,
    refusal,
    refusals,
    refused,
)

COUNT: JSON = {"type": "integer", "minimum": 0}
MASKS: JSON = {"type": "array", "items": STRING, "description": "`***` for each: no secret is told to anybody."}
OBJECT: JSON = {"type": "object", "additionalProperties": {}}
STRINGS: JSON = {"type": "array", "items": STRING}
PERHAPS: JSON = {**STRING, "nullable": True}

PLAIN = described(
    uuid=UUID,
    workspace_uuid=UUID,
    name=STRING,
    requester=STRING,
    base_url=STRING,
    api_keys=MASKS,
    created_at=TIME,
    updated_at=TIME,
)
PROVIDER = described(**PLAIN["properties"], llm_count=COUNT, embedding_count=COUNT, rerank_count=COUNT)
PROVIDER["properties"]["requester_config"] = {**OBJECT, "description": "Where this kind of provider has settings."}
PLAIN_EXAMPLE: JSON = {
    "api_keys": ["***"],
    "base_url": "https://api.openai.com/v1",
    "created_at": "2026-01-02T03:04:05",
    "name": "OpenAI",
    "requester": "openai-chat-completions",
    "updated_at": "2026-01-02T03:04:05",
    "uuid": "3f0c2c0e-6f5c-4a57-9d57-0e6f8ac5b1de",
    "workspace_uuid": "5a1f6c1e-9c1b-5a43-9d1d-2f3e4d5c6b7a",
}
EXAMPLE: JSON = {**PLAIN_EXAMPLE, "embedding_count": 1, "llm_count": 2, "rerank_count": 0}
SCANNED = described(
    id=STRING,
    name=STRING,
    type={"type": "string", "enum": ["llm", "embedding", "rerank"]},
    abilities=STRINGS,
    display_name=PERHAPS,
    description=PERHAPS,
    context_length={"type": "integer", "nullable": True},
    owned_by=PERHAPS,
    input_modalities=STRINGS,
    output_modalities=STRINGS,
    already_added={"type": "boolean"},
)
SCANNED_EXAMPLE: JSON = {
    "abilities": ["vision", "func_call"],
    "already_added": False,
    "context_length": 128000,
    "description": None,
    "display_name": "GPT-4o",
    "id": "gpt-4o",
    "input_modalities": [],
    "name": "gpt-4o",
    "output_modalities": [],
    "owned_by": "openai",
    "type": "llm",
}
REQUEST: JSON = {
    "name": "OpenAI",
    "requester": "openai-chat-completions",
    "base_url": "https://api.openai.com/v1",
    "api_keys": ["sk-…"],
}

UUID_IN_PATH = OpenApiParameter("uuid", str, OpenApiParameter.PATH, description="The row's uuid.")
INCLUDE_SECRET = OpenApiParameter(
    "include_secret", str, enum=["true", "false"], description="Checked, and without effect: secrets are never told."
)
CASCADE = OpenApiParameter("cascade", str, enum=["true", "false"], description="true: its models are deleted, too.")
TYPE = OpenApiParameter("type", str, enum=["llm", "embedding", "rerank"], description="Only these.")


VIEW, SECRETS, MANAGE = (
    refused(scope) for scope in (Scope.RESOURCE_VIEW, Scope.PROVIDER_SECRET_MANAGE, Scope.RESOURCE_MANAGE)
)
GONE = refusal("There is none of that uuid", "Resource not found", "resource_not_found")
BAD_FLAG = refusal("include_secret is neither", "include_secret must be either true or false")
WRONG = refusals(
    "A field is missing or wrong; nothing is stored",
    ("name: This field is required.", -1),
    ("name: A provider of this name exists already.", -1),
    ("base_url: Give an http:// or https:// URL with a host name.", -1),
    ("Masked secret has no existing value", -1),
)

LIST = extend_schema(
    operation_id="listServiceProviders",
    summary="All providers",
    tags=[TAG],
    parameters=[INCLUDE_SECRET],
    responses={
        200: answer("All of them", envelope(providers={"type": "array", "items": PROVIDER}), {"providers": [EXAMPLE]}),
        400: BAD_FLAG,
        **VIEW,
    },
)
CREATE = extend_schema(
    operation_id="createServiceProvider",
    summary="Add a provider",
    tags=[TAG],
    request=ProviderFields,
    examples=body(REQUEST),
    responses={
        200: answer("It is stored", envelope(uuid=UUID), {"uuid": EXAMPLE["uuid"]}),
        400: WRONG,
        **SECRETS,
        **BODY_REFUSALS,
    },
)
ONE = extend_schema(
    operation_id="getServiceProvider",
    summary="One provider",
    tags=[TAG],
    parameters=[UUID_IN_PATH, INCLUDE_SECRET],
    responses={
        200: answer("It", envelope(provider=PROVIDER), {"provider": EXAMPLE}),
        400: BAD_FLAG,
        404: refusal("There is none of that uuid", "provider not found"),
        **VIEW,
    },
)
CHANGE = extend_schema(
    operation_id="updateServiceProvider",
    summary="Change a provider, for all of its models",
    description=(
        "What is left out stays; `***` keeps the key at its place. When the address leads to another host, its keys "
        "are to be entered again in the same request."
    ),
    tags=[TAG],
    parameters=[UUID_IN_PATH],
    request=ProviderFields(partial=True),
    examples=body({**REQUEST, "api_keys": ["***", "sk-…"]}),
    responses={200: DONE, 400: WRONG, 404: GONE, **SECRETS, **BODY_REFUSALS},
)
DELETE = extend_schema(
    operation_id="deleteServiceProvider",
    summary="Remove a provider",
    tags=[TAG],
    parameters=[UUID_IN_PATH, CASCADE],
    responses={
        200: DONE,
        400: refusals(
            "It has models, or cascade is neither",
            ("Cannot delete provider: LLM models still reference it", -1),
            ("cascade must be a single true or false value", -1),
        ),
        404: GONE,
        **MANAGE,
    },
)
SCAN = extend_schema(
    operation_id="scanModels",
    summary="Ask a provider which models it has",
    tags=[TAG],
    parameters=[UUID_IN_PATH, TYPE],
    responses={
        200: answer(
            "What it has",
            envelope(models={"type": "array", "items": SCANNED}, debug={"type": "object", "nullable": True}),
            {"models": [SCANNED_EXAMPLE], "debug": None},
        ),
        400: refusals(
            "It can't be asked, or does not answer",
            ("Model request failed: Model scan failed: 401", -1),
            ("Model request failed: Model scan timeout", -1),
            ("type must be llm, embedding or rerank", -1),
        ),
        404: GONE,
        **SECRETS,
    },
)
