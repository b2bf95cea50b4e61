"""What the OpenAPI document says of bots."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from gateway.dialects.brconnector.schema import (
    ANY_OBJECT,
    PATH_ID,
    REFUSED,
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
    sent,
)

JSON = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])

CONFIG = {
    "appId": "cli_a1b2c3",
    "appSecret": "***",
    "apiKey": "***",
    "modelId": "claude-3-sonnet",
    "baseURL": "https://open.larksuite.com",
}
GIVEN = {**CONFIG, "appSecret": "xxxxx", "apiKey": "br-xxxxx"}
NAMES: JSON = {"id": WHOLE, "name": STRING, "provider": STRING}
TIMES: JSON = {"created_at": TIME, "updated_at": TIME}
ROW = described(**NAMES, config=ANY_OBJECT, **TIMES)
EXAMPLE = {
    "id": 1,
    "name": "helper",
    "provider": "feishu",
    "config": CONFIG,
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
}
SAVED = described(**NAMES, **TIMES)
SAVED_EXAMPLE = {name: value for name, value in EXAMPLE.items() if name != "config"}
FEISHU_SAVED = {"type": "object", "required": ["id", "name"], "properties": {**NAMES, "config": ANY_OBJECT, **TIMES}}
FEISHU_EXAMPLE = {"id": 1, "name": "helper"}

UNKNOWN = "id is invalid: there is no such bot"
SECRETS = (
    "Secrets are shown as `***`, and one that comes back so stays as it is stored, unless the bot's address leads "
    "elsewhere: then it has to be entered again."
)
SAVE_TEXTS = (
    "name is required",
    "provider is required",
    "config is required",
    "config: Give a JSON object, or a text that is one.",
    "config.appSecret is required.",
    "helper@[feishu] already exists",
    "no bot has this appId: give the bot's id",
    UNKNOWN,
)
WHICH = inline_serializer("BRBotId", {"id": serializers.IntegerField()})


def _list(name: str, summary: str) -> Callable[[View], View]:
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=SECRETS,
        tags=[TAG],
        parameters=list_parameters("the name or the provider"),
        responses={
            200: page("A page of them, newest first", ROW, EXAMPLE),
            **admin_refusals("limit must not be negative"),
        },
    )


def _platforms(name: str, *examples: str) -> Callable[[View], View]:
    return extend_schema(
        operation_id=name,
        summary="Where bots can be",
        tags=[TAG],
        responses={
            200: answer("Names of platforms", listed(STRING), examples),
            **admin_refusals(),
        },
    )


def _detail(name: str, summary: str) -> Callable[[View], View]:
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=SECRETS,
        tags=[TAG],
        parameters=[PATH_ID],
        responses={200: answer("It, or null", or_none(ROW), EXAMPLE), **admin_refusals("id is invalid")},
    )


def _delete(name: str, summary: str) -> Callable[[View], View]:
    return extend_schema(
        operation_id=name,
        summary=summary,
        tags=[TAG],
        request=WHICH,
        examples=[sent("Which", {"id": 1})],
        responses={200: answer("It is gone", YES_OR_NO, True), **body_refusals("id is required", UNKNOWN)},
    )


def _save(name: str, summary: str, saved: JSON, example: JSON) -> Callable[[View], View]:
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {
        "id": serializers.IntegerField(required=False),
        "name": serializers.CharField(required=False, max_length=64),
        "provider": serializers.CharField(required=False),
        "config": serializers.JSONField(required=False, help_text="An object, or one written as a text."),
    }
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=f"A Feishu bot's config by itself, without an id, changes the bot of that `appId`. {SECRETS}",
        tags=[TAG],
        request=inline_serializer(f"{name[0].upper()}{name[1:]}Request", fields),
        examples=[
            sent("A new one", {"name": "helper", "provider": "feishu", "config": GIVEN}),
            sent("A change", {"id": 1, "config": {**CONFIG, "modelId": "claude-3-haiku"}}),
            sent("A config by itself", GIVEN),
        ],
        responses={200: answer("It", saved, example), **body_refusals(*SAVE_TEXTS)},
    )


LIST = _list("brListBots", "Bots")
PLATFORMS = _platforms("brListBotPlatforms", "feishu", "slack", "webhook")
DETAIL = _detail("brGetBot", "One bot")
DELETE = _delete("brDeleteBot", "Delete a bot")
SAVE = _save("brSaveBot", "Make a bot, or change the one with this id", SAVED, SAVED_EXAMPLE)
FEISHU_LIST = _list("brListFeishuBots", "Feishu's bots")
FEISHU_PLATFORMS = _platforms("brListFeishuBotPlatforms", "feishu")
FEISHU_DETAIL = _detail("brGetFeishuBot", "One of Feishu's bots")
FEISHU_DELETE = _delete("brDeleteFeishuBot", "Delete one of Feishu's bots")
FEISHU_SAVE = _save("brSaveFeishuBot", "Make a Feishu bot, or change one", FEISHU_SAVED, FEISHU_EXAMPLE)


def _told(description: str, schema: JSON = REFUSED) -> JSON:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _in_path(name: str) -> JSON:
    return {"name": name, "in": "path", "required": True, "schema": STRING}


# No DRF view: platforms call it, each in its own way, and none of them has a key of ours.
EVENT_PATHS: JSON = {
    "/bot/{platform}/{name}/webhook/event": {
        "post": {
            "operationId": "brBotEvent",
            "summary": "Where a platform sends its events",
            "description": "Signed, and perhaps encrypted, as the platform's own documents say.",
            "tags": [TAG],
            "security": [],
            "parameters": [_in_path("platform"), _in_path("name")],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ANY_OBJECT}}},
            "responses": {
                "200": _told("It is taken in; to a challenge, its answer", ANY_OBJECT),
                "400": _told("It can't be read"),
                "401": _told("It is not signed by the platform, or too old"),
                "404": _told("There is no such bot, or it is switched off"),
                "408": _told("The body came too slowly"),
                "413": _told("The body is too large"),
                "503": _told("Too much waits, or the database does not answer: send it again"),
            },
        }
    }
}
