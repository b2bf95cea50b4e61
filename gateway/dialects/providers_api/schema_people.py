"""/api/users in the OpenAPI document."""

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
    or_none,
    path_parameter,
    refusals,
    sent,
)
from gateway.dialects.providers_api.serializers import NewPerson, PersonChange, UserPage

TAG = "Providers API: people"
MADE = "User created. The password is shown only now."
RESET_MADE = "Password reset. The new one is shown only now."
USER_ID = path_parameter("user_id", "Such as user-0123456789abcdef0123456789abcdef.")

USER = described(
    id=WHOLE,
    userId=STRING,
    email=STRING,
    name=STRING,
    tenant=or_none(STRING),
    isAgent=YES_OR_NO,
    limitRequestsPerMinute=or_none({**WHOLE, "description": "Kept and shown; not enforced yet."}),
    status={"type": "string", "enum": ["active", "inactive"]},
    roleId={"type": "string", "enum": ["admin", "staff", "user"]},
    createdAt=TIME,
    updatedAt=TIME,
    lastSignIn=or_none(TIME),
)
EXAMPLE = {
    "id": 2,
    "userId": "user-0123456789abcdef0123456789abcdef",
    "email": "bob@example.com",
    "name": "Bob",
    "tenant": None,
    "isAgent": False,
    "limitRequestsPerMinute": 100,
    "status": "active",
    "roleId": "user",
    "createdAt": TIME_EXAMPLE,
    "updatedAt": TIME_EXAMPLE,
    "lastSignIn": None,
}
ONE_USER = answer("The person", described(user=USER), {"user": EXAMPLE})
CREATED = described(user=USER, password=STRING, message=STRING)
CREATED["properties"]["apiKey"] = {**STRING, "description": "If one was asked for. Shown only now."}

LIST = extend_schema(
    operation_id="listUsers",
    summary="People, searched, sorted and in pages",
    tags=[TAG],
    parameters=[UserPage],
    responses={
        200: answer(
            "The page, and how many match",
            described(users=listed(USER), total=WHOLE),
            {"users": [EXAMPLE], "total": 1},
        ),
        **refusals("INVALID_REQUEST", *ADMIN),
    },
)
CREATE = extend_schema(
    operation_id="createUser",
    summary="Ask somebody in, with a password that is made here",
    description="They have no rights in the console unless `roleId` is admin, which takes an admin. `createApiKey` "
    "also makes a key, as POST /api/keys does.",
    tags=[TAG],
    request=NewPerson,
    examples=[sent("Bob", {"email": "bob@example.com", "name": "Bob", "createApiKey": True})],
    responses={
        201: answer("They are in", CREATED, {"user": EXAMPLE, "password": "vQ7…", "message": MADE, "apiKey": "wb-…"}),
        **refusals("MISSING_FIELDS", "ROLE_NOT_FOUND", "EMAIL_EXISTS", *BODY, *ADMIN),
    },
)
ONE = extend_schema(
    operation_id="getUser",
    summary="One person",
    tags=[TAG],
    parameters=[USER_ID],
    responses={200: ONE_USER, **refusals("USER_NOT_FOUND", *ADMIN)},
)
CHANGE = extend_schema(
    operation_id="changeUser",
    summary="Change a person",
    description="What is left out stays. Nobody changes somebody who may do more than they may themselves.",
    tags=[TAG],
    parameters=[USER_ID],
    request=PersonChange,
    examples=[sent("Another name", {"name": "Robert"})],
    responses={200: ONE_USER, **refusals("ROLE_NOT_FOUND", "USER_NOT_FOUND", "EMAIL_EXISTS", *BODY, *ADMIN)},
)
DELETE = extend_schema(
    operation_id="deleteUser",
    summary="Switch a person off",
    description="They log in no more and their keys are revoked; the person and what they did stay on record.",
    tags=[TAG],
    parameters=[USER_ID],
    responses={200: SUCCESS, **refusals("USER_NOT_FOUND", *ADMIN)},
)
RESET = extend_schema(
    operation_id="resetUserPassword",
    summary="A new password for a person, made here",
    description="Ends all that they are logged in with.",
    tags=[TAG],
    parameters=[USER_ID],
    request=None,
    responses={
        200: answer(
            "It is made",
            described(user=USER, password=STRING, message=STRING),
            {"user": EXAMPLE, "password": "vQ7…", "message": RESET_MADE},
        ),
        **refusals("USER_NOT_FOUND", *ADMIN),
    },
)
