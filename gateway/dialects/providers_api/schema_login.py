"""/api/auth and /api/health in the OpenAPI document."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.providers_api.schema import (
    BODY,
    STRING,
    SUCCESS,
    WHOLE,
    answer,
    described,
    refusals,
    sent,
)
from gateway.dialects.providers_api.serializers import AdminCredentials, RefreshTokenBody, UserCredentials

TAG = "Providers API: log-in"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…"
SESSION = answer(
    "Tokens: one for the next hour, and one for the next pair",
    described(
        accessToken=STRING,
        refreshToken={**STRING, "description": "Good once, for seven days; a log-in ends after thirty in any case."},
        expiresIn={**WHOLE, "description": "Seconds."},
        tokenType=STRING,
        user=described(userId=STRING, email=STRING, role=STRING, name=STRING),
    ),
    {
        "accessToken": TOKEN,
        "refreshToken": "8Zk…",
        "expiresIn": 3600,
        "tokenType": "Bearer",
        "user": {
            "userId": "user-0123456789abcdef0123456789abcdef",
            "email": "admin@example.com",
            "role": "admin",
            "name": "Ada",
        },
    },
)
LOGIN = ("MISSING_CREDENTIALS", "INVALID_CREDENTIALS", "TOO_MANY_ATTEMPTS", "METHOD_NOT_ALLOWED", "UNAVAILABLE", *BODY)

ADMIN_LOGIN = extend_schema(
    operation_id="adminLogin",
    summary="Log in to manage",
    description="For people who may manage something. Too many wrong passwords lock the name out for a while, here "
    "and in the console.",
    tags=[TAG],
    request=AdminCredentials,
    examples=[sent("By e-mail", {"email": "admin@example.com", "password": "correct horse battery"})],
    responses={200: SESSION, **refusals("ACCOUNT_DISABLED", *LOGIN)},
)
USER_LOGIN = extend_schema(
    operation_id="userLogin",
    summary="Log in, whoever one is",
    tags=[TAG],
    request=UserCredentials,
    examples=[sent("By e-mail", {"userId": "bob@example.com", "password": "correct horse battery"})],
    responses={200: SESSION, **refusals("USER_INACTIVE", *LOGIN)},
)
REFRESH = extend_schema(
    operation_id="refreshTokens",
    summary="The next pair of tokens",
    description="A refresh token is good once. One that comes back has been copied, so its whole log-in ends; an "
    "access token that is out holds until its hour is over.",
    tags=[TAG],
    request=RefreshTokenBody,
    examples=[sent("A refresh token", {"refreshToken": "8Zk…"})],
    responses={
        200: SESSION,
        **refusals(
            "MISSING_REFRESH_TOKEN",
            "INVALID_REFRESH_TOKEN",
            "REFRESH_TOKEN_INVALID",
            "TOKEN_REUSE_DETECTED",
            "USER_INACTIVE",
            "METHOD_NOT_ALLOWED",
            "UNAVAILABLE",
            *BODY,
        ),
    },
)
LOGOUT = extend_schema(
    operation_id="logout",
    summary="End a log-in",
    description="No token, or an unknown one, ends nothing and is answered alike.",
    tags=[TAG],
    request=RefreshTokenBody,
    examples=[sent("A refresh token", {"refreshToken": "8Zk…"})],
    responses={200: SUCCESS, **refusals("METHOD_NOT_ALLOWED", "UNAVAILABLE", *BODY)},
)
HEALTH = extend_schema(
    operation_id="apiHealth",
    summary="Whether this replica can take calls",
    tags=["Operations"],
    responses={
        200: answer(
            "It can",
            described(status=STRING, timestamp=STRING, sessionId=STRING),
            {"status": "ok", "timestamp": "2025-01-01T12:00:00Z", "sessionId": "0b8e5d3e-8a4c-4f0f-9d43-1f2f0c1b7a55"},
        ),
        **refusals("METHOD_NOT_ALLOWED", "UNAVAILABLE"),
    },
)
