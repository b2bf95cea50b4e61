"""What the OpenAPI document says of models."""

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from gateway.dialects.brconnector.schema import (
    ANY_OBJECT,
    PATH_ID,
    STRING,
    TAG,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    YES_OR_NO,
    admin_refusals,
    answer,
    body_refusals,
    described,
    list_parameters,
    listed,
    or_none,
    page,
    query,
    sent,
    user_refusals,
)

JSON = dict[str, Any]

PER_TOKEN: JSON = {
    "type": "string",
    "pattern": r"^\d+\.\d{10,}$",
    "description": "USD per token; 0 where it is unknown.",
    "example": "0.0000030000",
}
SWITCH: JSON = {"type": "integer", "enum": [0, 1], "description": "Takes pictures."}
CONFIG = {**ANY_OBJECT, "description": "The settings as they were sent, each secret as ***."}
ROW = described(
    id=WHOLE,
    name=STRING,
    config=CONFIG,
    created_at=TIME,
    updated_at=TIME,
    multiple=SWITCH,
    model_type=WHOLE,
    price_in=PER_TOKEN,
    price_out=PER_TOKEN,
    provider=STRING,
)
CONFIG_EXAMPLE = {"baseURL": "https://llm.example.com/v1", "apiKey": "***", "model": "big-1"}
EXAMPLE = {
    "id": 1,
    "name": "big",
    "config": CONFIG_EXAMPLE,
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
    "multiple": 0,
    "model_type": 1,
    "price_in": "0.0000030000",
    "price_out": "0.0000150000",
    "provider": "openai-compatible",
}
NEW = {
    "name": "big",
    "provider": "openai-compatible",
    "config": {**CONFIG_EXAMPLE, "apiKey": "sk-…"},
    "multiple": 0,
    "price_in": 3,
    "price_out": 15,
}
SAVED = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {"id": WHOLE, "name": STRING, "config": CONFIG, "updated_at": TIME},
}
SAVED_EXAMPLE = {name: EXAMPLE[name] for name in ("id", "name", "config", "updated_at")}
GONE = "id is invalid: there is no such model"

LIST = extend_schema(
    operation_id="brListModels",
    summary="Models",
    tags=[TAG],
    parameters=[*list_parameters("the name"), query("provider", "A provider id, as `list-providers` has it.")],
    responses={200: page("A page of them, the newest first", ROW, EXAMPLE), **admin_refusals()},
)
DETAIL = extend_schema(
    operation_id="brGetModel",
    summary="One model",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It, or null", or_none(ROW), EXAMPLE), **admin_refusals("id is invalid")},
)
SAVE = extend_schema(
    operation_id="brSaveModel",
    summary="Make a model, or change the one with this id",
    description="A model is named after nothing but itself, and `config` says how it is reached: which fields it has"
    " follows from the provider id. What a change leaves out stays; `config` is replaced as a whole, where `***` stands"
    " for the secret that is stored. A new address needs its secrets again.",
    tags=[TAG],
    request=inline_serializer(
        "BRModel",
        {
            "id": serializers.IntegerField(required=False),
            "name": serializers.CharField(required=False, max_length=255),
            "provider": serializers.CharField(required=False),
            "config": serializers.JSONField(required=False, help_text="An object, or a text that is one in JSON."),
            "multiple": serializers.IntegerField(required=False, min_value=0, max_value=1, help_text="Or a boolean."),
            "price_in": serializers.FloatField(required=False, help_text="USD per million tokens; 0 is free."),
            "price_out": serializers.FloatField(required=False, help_text="USD per million tokens; 0 is free."),
            "group_id": serializers.IntegerField(required=False, help_text="Grants a new model to this group."),
        },
    ),
    examples=[sent("A new one", NEW), sent("A change", {"id": 1, "price_in": 2.5})],
    responses={
        200: answer("A new one's id and name; of a changed one its config, too", SAVED, SAVED_EXAMPLE),
        **body_refusals(
            "name is required",
            "provider is required",
            "big already exists",
            "nowhere: There is no such provider.",
            "config: Give a JSON object, or a text that is one.",
            "config.apiKey is required",
            "The address leads elsewhere: enter the keys again for the new address.",
            GONE,
        ),
    },
)
SAVE_KNOWLEDGE_BASE = extend_schema(
    operation_id="brSaveKnowledgeBaseModel",
    summary="Refused: a knowledge base is no model",
    tags=[TAG],
    request=inline_serializer("BRKnowledgeBaseModel", {"name": serializers.CharField(required=False)}),
    responses=body_refusals("A knowledge base searches documents elsewhere."),
)
DELETE = extend_schema(
    operation_id="brDeleteModel",
    summary="Delete a model",
    description="Its grants go with it. Calls that are under way end as they would have, and are charged.",
    tags=[TAG],
    request=inline_serializer("BRModelId", {"id": serializers.IntegerField()}),
    examples=[sent("Which", {"id": 1})],
    responses={200: answer("It is gone", YES_OR_NO, True), **body_refusals("id is required", GONE)},
)
LIST_PROVIDERS = extend_schema(
    operation_id="brListModelProviders",
    summary="The provider ids that models can be saved with",
    tags=[TAG],
    responses={200: answer("The ids", listed(STRING), ["openai-compatible"]), **admin_refusals()},
)

# The user's

GRANTED = described(
    id=WHOLE,
    model_id=WHOLE,
    created_at=TIME,
    updated_at=TIME,
    model_name=STRING,
    multiple=SWITCH,
    price_in=PER_TOKEN,
    price_out=PER_TOKEN,
    provider=STRING,
    config={**CONFIG, "description": "Empty, except for administrators."},
)
GRANTED["properties"] |= {"group_id": WHOLE, "group_name": STRING, "key_id": WHOLE, "key_name": STRING}
GRANTED_EXAMPLE = {
    "id": 1,
    "model_id": 1,
    "group_id": 1,
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
    "group_name": "group 1",
    "model_name": "big",
    "multiple": 0,
    "price_in": "0.0000030000",
    "price_out": "0.0000150000",
    "provider": "openai-compatible",
    "config": {},
}
FOR_CLIENT = described(
    name=STRING,
    available=YES_OR_NO,
    modelId=STRING,
    multiple=YES_OR_NO,
    displayName=STRING,
    provider=described(id=STRING, name=STRING, providerName=STRING),
)
FOR_CLIENT_EXAMPLE = {
    "name": "big",
    "available": True,
    "modelId": "big",
    "multiple": False,
    "displayName": "big",
    "provider": {"id": "aws", "name": "AWS", "providerName": "BRConnector"},
}

LIST_OF_USER = extend_schema(
    operation_id="brListMyModels",
    summary="The models that this key may call",
    tags=[TAG],
    responses={
        200: answer("Its group's, then its own", listed(GRANTED), [GRANTED_EXAMPLE]),
        **user_refusals(),
    },
)
LIST_FOR_CLIENT = extend_schema(
    operation_id="brListMyModelsForClient",
    summary="The same for BRClient, each name once",
    tags=[TAG],
    responses={200: answer("The models", listed(FOR_CLIENT), [FOR_CLIENT_EXAMPLE]), **user_refusals()},
)
