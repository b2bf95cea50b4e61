"""What the OpenAPI document says of the accounts."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.langbot.bodies_users import (
    LogInSerializer,
    PasswordChangeSerializer,
    PasswordResetSerializer,
    PasswordSettingSerializer,
    RegistrationSerializer,
)
from gateway.dialects.langbot.schema import (
    BODY_REFUSALS,
    DONE,
    STRING,
    TAG,
    UNAUTHENTICATED,
    UNAVAILABLE,
    answer,
    body,
    described,
    envelope,
    or_refused,
    refusal,
    refusals,
)

BOOLEAN = {"type": "boolean"}
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYUBleGFtcGxlLmNvbSJ9.c2lnbmF0dXJl"
EMAIL = "admin@example.com"
POOR = ("This password is too short. It must contain at least 8 characters.", -1)
NAMED = answer("Whose it is", envelope(user=STRING), {"user": EMAIL})
TOKEN_ANSWER = answer("A token, good for seven days", envelope(token=STRING), {"token": TOKEN})
TOO_MANY = refusal("Too many failures: see Retry-After", "Too many attempts, try again later")

INITIALIZED = extend_schema(
    operation_id="isInitialized",
    summary="Whether there is a first account",
    tags=[TAG],
    responses={200: answer("Yes or no", envelope(initialized=BOOLEAN), {"initialized": True}), 503: UNAVAILABLE},
)
INITIALIZE = extend_schema(
    operation_id="initialize",
    summary="Make the first account: a superuser",
    tags=[TAG],
    request=RegistrationSerializer,
    examples=body({"user": EMAIL, "password": "correct horse battery"}),
    responses={
        200: or_refused(DONE, "System already initialized", 1),
        400: refusals(
            "A field is missing or wrong, or the password is poor", ("user: Enter an e-mail address.", -1), POOR
        ),
        409: refusal("Somebody else was first, by a moment", "System already initialized", "registration_closed"),
        **BODY_REFUSALS,
    },
)
LOG_IN = extend_schema(
    operation_id="logIn",
    summary="A token for a name and a password",
    description="The name is an e-mail or a username. A refused log-in has status 200 and code 1.",
    tags=[TAG],
    request=LogInSerializer,
    examples=body({"user": EMAIL, "password": "correct horse battery"}),
    responses={
        200: or_refused(TOKEN_ANSWER, "Invalid username or password", 1),
        400: refusal("A field is missing or wrong", "Invalid request parameters"),
        429: TOO_MANY,
        **BODY_REFUSALS,
    },
)
CHECK_TOKEN = extend_schema(
    operation_id="checkToken",
    summary="A fresh token for one that still holds",
    tags=[TAG],
    responses={200: TOKEN_ANSWER, 401: UNAUTHENTICATED, 503: UNAVAILABLE},
)
RESET_PASSWORD = extend_schema(
    operation_id="resetPassword",
    summary="A new password for whoever holds the recovery key",
    description="The key is the setting RECOVERY_KEY. All tokens of the account end, and so does its lock-out.",
    tags=[TAG],
    request=PasswordResetSerializer,
    examples=body({"user": EMAIL, "new_password": "purple monkey dishwasher", "recovery_key": "…"}),
    responses={
        200: NAMED,
        400: refusals(
            "There is no such account, or the new password is poor",
            ("User not found", -1),
            ("System not initialized", -1),
            POOR,
        ),
        403: refusals(
            "Another key, or this installation has none",
            ("Invalid recovery key", -1),
            ("This installation has no recovery key. Set RECOVERY_KEY, or use the console.", -1),
        ),
        429: TOO_MANY,
        **BODY_REFUSALS,
    },
)
CHANGE_PASSWORD = extend_schema(
    operation_id="changePassword",
    summary="A new password for whoever knows the present one",
    description="All tokens of the account end, the one that this is sent with among them.",
    tags=[TAG],
    request=PasswordChangeSerializer,
    examples=body({"current_password": "correct horse battery", "new_password": "purple monkey dishwasher"}),
    responses={
        200: NAMED,
        400: refusals(
            "Another password is the present one, or the new one is poor", ("Current password is incorrect", -1), POOR
        ),
        401: UNAUTHENTICATED,
        429: TOO_MANY,
        **BODY_REFUSALS,
    },
)
SET_PASSWORD = extend_schema(
    operation_id="setPassword",
    summary="A password for an account that may have none yet",
    description="An account that has one is asked for it. All tokens of the account end.",
    tags=[TAG],
    request=PasswordSettingSerializer,
    examples=body({"new_password": "purple monkey dishwasher", "current_password": "correct horse battery"}),
    responses={
        200: NAMED,
        400: refusals(
            "The new password is missing or poor, or another one is the present one",
            ("New password is required", -1),
            ("Current password is required", -1),
            ("Current password is incorrect", -1),
            POOR,
        ),
        401: UNAUTHENTICATED,
        429: TOO_MANY,
        **BODY_REFUSALS,
    },
)
ACCOUNT = extend_schema(
    operation_id="getAccount",
    summary="The account of the token",
    tags=[TAG],
    responses={
        200: answer(
            "It",
            envelope(
                account_uuid={"type": "string", "format": "uuid"},
                user=STRING,
                account_type={"type": "string", "enum": ["local"]},
                has_password=BOOLEAN,
            ),
            {
                "account_uuid": "3f0c2c0e-6f5c-4a57-9d57-0e6f8ac5b1de",
                "account_type": "local",
                "has_password": True,
                "user": EMAIL,
            },
        ),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
    },
)
LOG_IN_WAYS = extend_schema(
    operation_id="getLogInWays",
    summary="How one logs in here",
    description="Before there is a first account only that is told.",
    tags=[TAG],
    responses={
        200: answer(
            "The ways",
            described(
                code={"type": "integer"},
                data={
                    "type": "object",
                    "required": ["initialized"],
                    "properties": {"initialized": BOOLEAN},
                    "additionalProperties": BOOLEAN,
                },
                msg=STRING,
            ),
            {"initialized": True, "password_login_enabled": True, "space_login_enabled": False},
        ),
        503: UNAVAILABLE,
    },
)
CREDITS = extend_schema(
    operation_id="getSpaceCredits",
    summary="Credits in the cloud: there is none",
    tags=[TAG],
    responses={
        200: answer(
            "None",
            envelope(
                credits={"type": "integer", "nullable": True}, is_workspace_owner=BOOLEAN, owner_space_bound=BOOLEAN
            ),
            {"credits": None, "is_workspace_owner": True, "owner_space_bound": False},
        ),
        401: UNAUTHENTICATED,
        503: UNAVAILABLE,
    },
)
