"""/api/me in the OpenAPI document."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.providers_api.schema import PERSON, WHOLE, answer, described, refusals
from gateway.dialects.providers_api.schema_costs import MONEY
from gateway.dialects.providers_api.schema_keys import KEYS as KEYS_ANSWER
from gateway.dialects.providers_api.schema_keys import ROTATED, SECRET, secret
from gateway.dialects.providers_api.schema_people import ONE_USER

TAG = "Providers API: me"
COUNTS = ("totalRequests", "requestsToday", "requestsThisMonth", "totalInputTokens", "totalOutputTokens")
SUMS = ("currentDailySpend", "currentMonthlySpend", "totalSpend")

PROFILE = extend_schema(
    operation_id="me",
    summary="Who asks",
    description="With a person's token, or with a key that a person has.",
    tags=[TAG],
    responses={200: ONE_USER, **refusals(*PERSON)},
)
KEYS = extend_schema(
    operation_id="myKeys",
    summary="One's own key",
    tags=[TAG],
    responses={200: KEYS_ANSWER, **refusals(*PERSON)},
)
USAGE = extend_schema(
    operation_id="myUsage",
    summary="What one's own calls came to",
    description="With all keys that one ever had. Days and months are those of the gateway's time zone.",
    tags=[TAG],
    responses={
        200: answer(
            "The sums",
            described(usage=described(**dict.fromkeys(COUNTS, WHOLE), **dict.fromkeys(SUMS, MONEY))),
            {"usage": {**dict.fromkeys(COUNTS, 2), **dict.fromkeys(SUMS, 0.000064)}},
        ),
        **refusals(*PERSON),
    },
)
ROTATE = extend_schema(
    operation_id="rotateMyKey",
    summary="A new secret for one's own key",
    description="Of the key that asks; where a token does, of the newest one, unless that may do more than its person. "
    "The old secret is refused from the next call on.",
    tags=[TAG],
    request=None,
    responses={
        200: answer("The new secret", SECRET, secret(ROTATED)),
        **refusals("KEY_NOT_FOUND", "ACCESS_DENIED", *PERSON),
    },
)
