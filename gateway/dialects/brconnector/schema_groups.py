"""What the OpenAPI document says of groups."""

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from gateway.dialects.brconnector.schema import (
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
    or_none,
    page,
    sent,
)

ROW = described(id=WHOLE, name=STRING, key=STRING, created_at=TIME, updated_at=TIME)
EXAMPLE = {"id": 1, "name": "group 1", "key": "", "created_at": TIME_EXAMPLE, "updated_at": TIME_EXAMPLE}

LIST = extend_schema(
    operation_id="brListGroups",
    summary="Groups",
    tags=[TAG],
    parameters=list_parameters("the name"),
    responses={200: page("A page of them, by number", ROW, EXAMPLE), **admin_refusals("limit must not be negative")},
)
DETAIL = extend_schema(
    operation_id="brGetGroup",
    summary="One group",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It, or null", or_none(ROW), EXAMPLE), **admin_refusals("id is invalid")},
)
SAVE = extend_schema(
    operation_id="brSaveGroup",
    summary="Make a group, or change the one with this id",
    tags=[TAG],
    request=inline_serializer(
        "BRGroup",
        {
            "id": serializers.IntegerField(required=False),
            "name": serializers.CharField(required=False, max_length=255),
            "key": serializers.CharField(required=False, max_length=64, help_text="A code of your own."),
        },
    ),
    examples=[sent("A new one", {"name": "research", "key": "r-1"}), sent("A change", {"id": 1, "name": "research"})],
    responses={
        200: answer("It", ROW, EXAMPLE),
        **body_refusals("name is required", "research already exists", "id is invalid: there is no such group"),
    },
)
DELETE = extend_schema(
    operation_id="brDeleteGroup",
    summary="Delete a group",
    description="Its keys stay, without a group; what they may call by their own grants stays, too.",
    tags=[TAG],
    request=inline_serializer("BRGroupId", {"id": serializers.IntegerField()}),
    examples=[sent("Which", {"id": 1})],
    responses={
        200: answer("It is gone", YES_OR_NO, True),
        **body_refusals("id is required", "id is invalid: there is no such group"),
    },
)
