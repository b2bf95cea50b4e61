"""What the OpenAPI document says of the models that keys and groups may call."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from gateway.dialects.brconnector.schema import (
    ANY_OBJECT,
    MONEY,
    STRING,
    TAG,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    admin_refusals,
    answer,
    body_refusals,
    described,
    list_parameters,
    page,
    query,
    sent,
)

View = TypeVar("View", bound=Callable[..., Any])

CHANGED = {"type": "string", "enum": ["created", "deleted"]}
TURNED = (
    "A model that may not be called may be from the next call on, and the other way round. With an action, what it "
    "says holds afterwards, whatever held before."
)


def _row(owner: str) -> dict[str, Any]:
    return described(
        id=WHOLE,
        model_id=WHOLE,
        **{f"{owner}_id": WHOLE},
        created_at=TIME,
        updated_at=TIME,
        **{f"{owner}_name": STRING},
        model_name=STRING,
        multiple=WHOLE,
        price_in={**MONEY, "description": "USD a token."},
        price_out={**MONEY, "description": "USD a token."},
        provider=STRING,
        config=ANY_OBJECT,
    )


def _example(owner: str) -> dict[str, Any]:
    return {
        "id": 1,
        "model_id": 3,
        f"{owner}_id": 1,
        "created_at": TIME_EXAMPLE,
        "updated_at": TIME_EXAMPLE,
        f"{owner}_name": "group 1" if owner == "group" else "jack",
        "model_name": "small",
        "multiple": 0,
        "price_in": "0.0000030000",
        "price_out": "0.0000150000",
        "provider": "openai-compatible",
        "config": {"baseURL": "https://llm.example.com/v1", "apiKey": "***"},
    }


def _list(owner: str, operation_id: str, summary: str) -> Callable[[View], View]:
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=[TAG],
        parameters=[
            query(f"{owner}_id", f"Those of this {owner}."),
            query("model_id", "Those of this model."),
            *list_parameters(f"the {owner}'s or the model's name"),
        ],
        responses={
            200: page("A page of them", _row(owner), _example(owner)),
            **admin_refusals("limit must not be negative", f"{owner}_id is invalid", "model_id is invalid"),
        },
    )


def _bind(owner: str, operation_id: str) -> Callable[[View], View]:
    numbers = {f"{owner}_id": serializers.IntegerField(), "model_id": serializers.IntegerField()}
    action = serializers.ChoiceField(["bind", "unbind"], required=False, help_text="Left out: it is turned round.")
    required = [f"{name} is required" for name in numbers]
    unknown = [f"{name} is invalid: there is no such {name.removesuffix('_id')}" for name in numbers]
    return extend_schema(
        operation_id=operation_id,
        summary=f"Let a {owner} call a model, or no longer",
        description=TURNED,
        tags=[TAG],
        request=inline_serializer(f"BRBindingTo{owner.capitalize()}", {**numbers, "action": action}),
        examples=[
            sent("Turn it round", {f"{owner}_id": 1, "model_id": 3}),
            sent("Let it", {f"{owner}_id": 1, "model_id": 3, "action": "bind"}),
        ],
        responses={
            200: answer("Whether it may now (created) or may not (deleted)", CHANGED, "created"),
            **body_refusals(*required, *unknown, "action: Give bind or unbind, or leave it out."),
        },
    )


LIST_OF_GROUPS = _list("group", "brListGroupModels", "Which models the keys of groups may call")
LIST_OF_KEYS = _list("key", "brListKeyModels", "Which models keys may call beside those of their group")
BIND_TO_GROUP = _bind("group", "brBindModelToGroup")
BIND_TO_KEY = _bind("key", "brBindModelToKey")
