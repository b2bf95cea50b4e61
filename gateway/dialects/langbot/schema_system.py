"""What the OpenAPI document says of the system."""

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from gateway.dialects.langbot.schema import (
    JSON,
    STRING,
    TAG,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UUID,
    answer,
    described,
    envelope,
)

BOOLEAN: JSON = {"type": "boolean"}
INTEGER: JSON = {"type": "integer"}
NULL: JSON = {"type": "object", "nullable": True}

INFO_SCHEMA = envelope(
    version=STRING,
    edition=STRING,
    deployment_mode=STRING,
    debug=BOOLEAN,
    beta=BOOLEAN,
    enable_marketplace=BOOLEAN,
    cloud_service_url=STRING,
    allow_modify_login_info=BOOLEAN,
    disable_models_service=BOOLEAN,
    mcp_stdio_enabled=BOOLEAN,
    outbound_ips={"type": "array", "items": STRING},
    limitation=described(max_bots=INTEGER, max_pipelines=INTEGER, max_extensions=INTEGER, max_knowledge_bases=INTEGER),
    invitation_delivery=described(enabled=BOOLEAN, provider={**STRING, "nullable": True}),
    cloud_banner=NULL,
    wizard_status={"type": "string", "enum": ["none", "skipped", "completed"]},
    wizard_progress=NULL,
)
INFO = extend_schema(
    operation_id="getSystemInfo",
    summary="Which version of the API this is, and what there is beside it",
    tags=[TAG],
    responses={
        200: answer(
            "About this server",
            INFO_SCHEMA,
            {
                "allow_modify_login_info": True,
                "beta": False,
                "cloud_banner": None,
                "cloud_service_url": "",
                "debug": False,
                "deployment_mode": "oss",
                "disable_models_service": True,
                "edition": "community",
                "enable_marketplace": False,
                "invitation_delivery": {"enabled": False, "provider": None},
                "limitation": {
                    "max_bots": -1,
                    "max_extensions": -1,
                    "max_knowledge_bases": -1,
                    "max_pipelines": -1,
                },
                "mcp_stdio_enabled": False,
                "outbound_ips": [],
                "version": "v4.11.2",
                "wizard_progress": None,
                "wizard_status": "skipped",
            },
        )
    },
)
CONTEXT = extend_schema(
    operation_id="getKeyContext",
    summary="Where a key belongs and what it may do",
    description="With an API key only.",
    tags=[TAG],
    responses={
        200: answer(
            "The key's place and rights",
            envelope(
                instance_uuid=UUID, workspace_uuid=UUID, api_key_id=UUID, permissions={"type": "array", "items": STRING}
            ),
            {
                "api_key_id": "7c9d3c5e-38d2-4d6b-9a53-8f9b7a1a3a10",
                "instance_uuid": "0b0c8d6f-3a2e-5d7c-8a4f-5f0f6a1b2c3d",
                "permissions": ["resource.view"],
                "workspace_uuid": "5a1f6c1e-9c1b-5a43-9d1d-2f3e4d5c6b7a",
            },
        ),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
    },
)
CAPABILITIES = extend_schema(
    operation_id="getCapabilities",
    summary="Which operations this server has",
    description="With an API key only.",
    tags=[TAG],
    responses={
        200: answer(
            "Those that it has",
            envelope(
                schema_version=INTEGER,
                operations={"type": "object", "additionalProperties": described(supported=BOOLEAN)},
            ),
            {"operations": {"provider.list": {"supported": True}}, "schema_version": 1},
        ),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
    },
)
HEALTHY = {"code": 0, "msg": "ok", "resources": {"database": "ok"}}
HEALTH = extend_schema(
    operation_id="healthz",
    summary="Whether this replica can take calls, in this dialect's envelope",
    tags=[TAG],
    responses={
        200: OpenApiResponse(
            described(code=INTEGER, msg=STRING, resources={"type": "object", "additionalProperties": STRING}),
            "It can",
            [OpenApiExample("It can", HEALTHY, response_only=True)],
        ),
        503: UNAVAILABLE,
    },
)
