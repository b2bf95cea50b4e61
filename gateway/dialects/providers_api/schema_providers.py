"""/api/providers in the OpenAPI document."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.providers_api.schema import (
    ADMIN,
    BODY,
    STRING,
    SUCCESS,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    YES_OR_NO,
    answer,
    described,
    listed,
    path_parameter,
    refusals,
    sent,
)
from gateway.dialects.providers_api.serializers import Page, ProviderChange, ProviderConfiguration

TAG = "Providers API"
NAME = path_parameter("name", "The provider's name, in capitals or not.")
PROVIDER = described(
    id=WHOLE,
    name=STRING,
    displayName=STRING,
    baseUrl=STRING,
    createdAt=TIME,
    updatedAt=TIME,
    models={**listed(STRING), "description": "Public names of its models that are switched on."},
    defaultModel=STRING,
    hasCredentials={**YES_OR_NO, "description": "Whether it has a key that is switched on."},
    metadata={
        "type": "object",
        "additionalProperties": True,
        "description": "As it was sent; a text under a name like that of a secret is shown as ***.",
    },
)
EXAMPLE = {
    "id": 1,
    "name": "openai",
    "displayName": "OpenAI",
    "baseUrl": "https://api.openai.com/v1",
    "createdAt": TIME_EXAMPLE,
    "updatedAt": TIME_EXAMPLE,
    "models": [],
    "defaultModel": "",
    "hasCredentials": True,
    "metadata": {"displayName": "OpenAI", "baseUrl": "https://api.openai.com/v1"},
}
ONE_PROVIDER = answer("The provider", described(provider=PROVIDER), {"provider": EXAMPLE})
METADATA = {"displayName": "OpenAI", "baseUrl": "https://api.openai.com/v1"}

LIST = extend_schema(
    operation_id="listProviders",
    summary="Providers, searched, sorted and in pages",
    description="`search` looks in name, displayName and baseUrl. An unknown `sortBy` or `sortOrder` is none: the "
    "newest come first. A `limit` or `offset` that is no number above zero is none, too.",
    tags=[TAG],
    parameters=[Page],
    responses={
        200: answer(
            "The page, and how many match",
            described(providers=listed(PROVIDER), total=WHOLE),
            {"providers": [EXAMPLE], "total": 1},
        ),
        **refusals("INVALID_REQUEST", *ADMIN),
    },
)
PUT = extend_schema(
    operation_id="putProvider",
    summary="Create a provider, or update the one of that name",
    description="The key is encrypted before it is stored, and never returned. On an update the metadata is replaced "
    "as a whole and the provider's first key gets the new secret; when its address moves to another host, its other "
    "keys are switched off. Without a `baseUrl` the name's own holds, where it has one; another name needs one. Names "
    "in `models` that have no row yet get one.",
    tags=[TAG],
    request=ProviderConfiguration,
    examples=[sent("openai", {"name": "openai", "apiKey": "sk-...", "metadata": METADATA})],
    responses={200: ONE_PROVIDER, **refusals("MISSING_FIELDS", "INVALID_NAME", "INVALID_API_KEY", *BODY, *ADMIN)},
)
ONE = extend_schema(
    operation_id="getProvider",
    summary="One provider by its name",
    tags=[TAG],
    parameters=[NAME],
    responses={200: ONE_PROVIDER, **refusals("PROVIDER_NOT_FOUND", *ADMIN)},
)
CHANGE = extend_schema(
    operation_id="changeProvider",
    summary="Another key or another display name for a provider",
    tags=[TAG],
    parameters=[NAME],
    request=ProviderChange,
    examples=[sent("A new key", {"apiKey": "sk-..."})],
    responses={
        200: ONE_PROVIDER,
        **refusals("MISSING_FIELDS", "INVALID_API_KEY", "PROVIDER_NOT_FOUND", *BODY, *ADMIN),
    },
)
DELETE = extend_schema(
    operation_id="deleteProvider",
    summary="Delete a provider, its keys and its models",
    description="Charges of its calls keep the names that they were made under.",
    tags=[TAG],
    parameters=[NAME],
    responses={200: SUCCESS, **refusals("PROVIDER_NOT_FOUND", *ADMIN)},
)
TEST = extend_schema(
    operation_id="testProvider",
    summary="Whether a provider answers and takes its key",
    description="Asks it for its list of models; one that has none is called. Waits ten seconds at most.",
    tags=[TAG],
    parameters=[NAME],
    request=None,
    responses={
        200: answer(
            "It does",
            described(success=YES_OR_NO, message=STRING),
            {"success": True, "message": "Provider connection successful"},
        ),
        **refusals("CONNECTION_FAILED", "PROVIDER_NOT_FOUND", *ADMIN),
    },
)
