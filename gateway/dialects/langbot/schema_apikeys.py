"""What the OpenAPI document says of the API keys."""

from drf_spectacular.utils import OpenApiParameter, extend_schema

from accounts.models import Scope
from gateway.dialects.langbot.bodies_apikeys import KeyChangeSerializer, NewKeySerializer
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

PERHAPS_TIME: JSON = {**TIME, "nullable": True}
KEY = described(
    id={"type": "integer"},
    uuid=UUID,
    workspace_uuid=UUID,
    created_by_account_uuid={**UUID, "nullable": True},
    name=STRING,
    description=STRING,
    scopes={"type": "array", "items": {"type": "string", "enum": Scope.values}},
    status={"type": "string", "enum": ["active", "revoked"]},
    expires_at=PERHAPS_TIME,
    last_used_at=PERHAPS_TIME,
    created_at=TIME,
    updated_at=TIME,
    secret_available={"type": "boolean", "description": "True in the answer that the key is made by."},
)
NEW_KEY = described(**KEY["properties"], key={**STRING, "description": "The secret. It is shown here and never again."})
EXAMPLE: JSON = {
    "created_at": "2026-01-02T03:04:05",
    "created_by_account_uuid": "3f0c2c0e-6f5c-4a57-9d57-0e6f8ac5b1de",
    "description": "Reads what there is",
    "expires_at": "2030-01-01T00:00:00",
    "id": 7,
    "last_used_at": None,
    "name": "monitor",
    "scopes": ["resource.view"],
    "secret_available": False,
    "status": "active",
    "updated_at": "2026-01-02T03:04:05",
    "uuid": "7c9d3c5e-38d2-4d6b-9a53-8f9b7a1a3a10",
    "workspace_uuid": "5a1f6c1e-9c1b-5a43-9d1d-2f3e4d5c6b7a",
}
ID = OpenApiParameter("id", int, OpenApiParameter.PATH, description="The key's number.")
NO_KEY = "No key of that number"
GONE = refusal(NO_KEY, "Resource not found", "resource_not_found")
REFUSED = refused(Scope.API_KEY_MANAGE)

LIST = extend_schema(
    operation_id="listApiKeys",
    summary="All keys, the oldest first, revoked ones too",
    tags=[TAG],
    responses={
        200: answer("The keys", envelope(keys={"type": "array", "items": KEY}), {"keys": [EXAMPLE]}),
        **REFUSED,
    },
)
CREATE = extend_schema(
    operation_id="createApiKey",
    summary="Make a key",
    description="Without `scopes` it may do all that you may. It calls models only with the scope runtime.operate.",
    tags=[TAG],
    request=NewKeySerializer,
    examples=body(
        {
            "name": "monitor",
            "description": "Reads what there is",
            "scopes": ["resource.view"],
            "expires_at": "2030-01-01T00:00:00Z",
        }
    ),
    responses={
        200: answer(
            "The key and its secret",
            envelope(key=NEW_KEY),
            {"key": {**EXAMPLE, "key": "lbk_…", "secret_available": True}},
        ),
        400: refusals(
            "A field is missing or wrong",
            ("Name is required", "invalid_api_key"),
            ("Unknown API key scope: x", "invalid_api_key"),
            ("API key scopes must be strings", "invalid_api_key"),
            ("API key expiry must be in the future", "invalid_api_key"),
            ("Invalid API key expiry", "invalid_expiry"),
        ),
        **REFUSED,
        **BODY_REFUSALS,
    },
)
ONE = extend_schema(
    operation_id="getApiKey",
    summary="One key",
    tags=[TAG],
    parameters=[ID],
    responses={
        200: answer("It", envelope(key=KEY), {"key": EXAMPLE}),
        **REFUSED,
        404: refusal(NO_KEY, "API key not found", "resource_not_found"),
    },
)
CHANGE = extend_schema(
    operation_id="changeApiKey",
    summary="Rename a key or describe it",
    description="Its scopes and its expiry stay: make another key for others.",
    tags=[TAG],
    parameters=[ID],
    request=KeyChangeSerializer,
    examples=body({"name": "monitor", "description": "Reads what there is"}),
    responses={
        200: DONE,
        400: refusal("A field is wrong", "Name is required", "invalid_api_key"),
        **REFUSED,
        404: GONE,
        **BODY_REFUSALS,
    },
)
REVOKE = extend_schema(
    operation_id="revokeApiKey",
    summary="Revoke a key, at once and everywhere",
    description="Its row stays, for what it has spent. Revoking twice is no mistake.",
    tags=[TAG],
    parameters=[ID],
    responses={200: DONE, **REFUSED, 404: GONE},
)
