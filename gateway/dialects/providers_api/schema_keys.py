"""/api/keys in the OpenAPI document."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.providers_api.schema import (
    ADMIN,
    BODY,
    STRING,
    SUCCESS,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    answer,
    described,
    listed,
    or_none,
    path_parameter,
    refusals,
    sent,
)
from gateway.dialects.providers_api.schema_people import USER_ID
from gateway.dialects.providers_api.serializers import Page, PersonalKeyOf

TAG = "Providers API: keys"
MADE = "API key created. It is shown only now."
ROTATED = "API key rotated. The new one is shown only now."

KEY = described(id=WHOLE, userId=or_none(STRING), keySuffix=STRING, createdAt=TIME)
EXAMPLE = {
    "id": 3,
    "userId": "user-0123456789abcdef0123456789abcdef",
    "keySuffix": "x7Kq2",
    "createdAt": TIME_EXAMPLE,
}
KEYS = answer("Those that are not revoked", described(keys=listed(KEY)), {"keys": [EXAMPLE]})
SECRET = described(apiKey=STRING, userId=STRING, message=STRING)


def secret(message: str) -> dict[str, object]:
    return {"apiKey": "wb-…", "userId": EXAMPLE["userId"], "message": message}


LIST = extend_schema(
    operation_id="listPersonalKeys",
    summary="The keys that people have",
    description="`search`, `sortBy` and `sortOrder` are taken and not used: the newest come first.",
    tags=[TAG],
    parameters=[Page],
    responses={
        200: answer(
            "The page, and how many there are",
            described(keys=listed(KEY), total=WHOLE),
            {"keys": [EXAMPLE], "total": 1},
        ),
        **refusals("INVALID_REQUEST", *ADMIN),
    },
)
CREATE = extend_schema(
    operation_id="createPersonalKey",
    summary="A key for somebody who has none",
    description="It is no open purse: its month's quota is 0 and it may call no model, until both are given in the "
    "console. One key a person; its secret is shown only now.",
    tags=[TAG],
    request=PersonalKeyOf,
    examples=[sent("For Bob", {"userId": EXAMPLE["userId"]})],
    responses={
        201: answer("The key", SECRET, secret(MADE)),
        **refusals("MISSING_USER_ID", "USER_INACTIVE", "USER_NOT_FOUND", "KEY_EXISTS", *BODY, *ADMIN),
    },
)
OF_USER = extend_schema(
    operation_id="listKeysOfUser",
    summary="The keys that one person has",
    tags=[TAG],
    parameters=[USER_ID],
    responses={200: KEYS, **refusals("USER_NOT_FOUND", *ADMIN)},
)
ROTATE = extend_schema(
    operation_id="rotateKeyOfUser",
    summary="A new secret for somebody's key",
    description="The old secret is refused from the next call on; quota, balance and grants stay.",
    tags=[TAG],
    parameters=[USER_ID],
    request=None,
    responses={
        200: answer("The new secret", SECRET, secret(ROTATED)),
        **refusals("USER_NOT_FOUND", "KEY_NOT_FOUND", *ADMIN),
    },
)
DELETE_OF_USER = extend_schema(
    operation_id="deleteKeysOfUser",
    summary="Revoke what somebody has of keys",
    tags=[TAG],
    parameters=[USER_ID],
    responses={200: SUCCESS, **refusals("USER_NOT_FOUND", "KEY_NOT_FOUND", *ADMIN)},
)
DELETE = extend_schema(
    operation_id="deletePersonalKey",
    summary="Revoke one key",
    tags=[TAG],
    parameters=[path_parameter("key_id", "The key's id, a whole number.")],
    responses={200: SUCCESS, **refusals("KEY_NOT_FOUND", *ADMIN)},
)
