"""What the OpenAPI document says of sessions."""

from drf_spectacular.utils import OpenApiParameter, extend_schema

from gateway.dialects.brconnector.schema import (
    MONEY,
    PATH_ID,
    STRING,
    TAG,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    admin_refusals,
    answer,
    described,
    list_parameters,
    or_none,
    page,
    query,
    user_refusals,
)

ROW = described(
    id=WHOLE,
    key={**STRING, "description": "The caller's Session-Id."},
    title={**STRING, "description": "The first words of its first answer."},
    key_id=WHOLE,
    total_in_tokens=WHOLE,
    total_out_tokens=WHOLE,
    total_fee=MONEY,
    currency=STRING,
    created_at=TIME,
    updated_at=TIME,
)
EXAMPLE = {
    "id": 1,
    "key": "chat-7",
    "title": "Bridges and how they are",
    "key_id": 2,
    "total_in_tokens": 12,
    "total_out_tokens": 34,
    "total_fee": "0.0005460000",
    "currency": "USD",
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
}
QUERY_ID = OpenApiParameter("id", str, required=True, description="The row's number.")
OF_KEY = query("key_id", "Those of this key.")
PAGE = page("A page of them, the newest first", ROW, EXAMPLE)
BELOW_ZERO = "limit must not be negative"
BAD_ID = "id is invalid"

LIST = extend_schema(
    operation_id="brListSessions",
    summary="Sessions of all keys",
    tags=[TAG],
    parameters=[*list_parameters("the title"), OF_KEY],
    responses={200: PAGE, **admin_refusals(BELOW_ZERO, "key_id is invalid")},
)
DETAIL = extend_schema(
    operation_id="brGetSession",
    summary="One session",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It, or null", or_none(ROW), EXAMPLE), **admin_refusals(BAD_ID)},
)
BY_QUERY = extend_schema(
    operation_id="brGetSessionByQuery",
    summary="The same, by a parameter",
    tags=[TAG],
    parameters=[QUERY_ID],
    responses={200: answer("It, or null", or_none(ROW), EXAMPLE), **admin_refusals("id is required", BAD_ID)},
)
MY_LIST = extend_schema(
    operation_id="brListMySessions",
    summary="The calling key's sessions",
    tags=[TAG],
    parameters=list_parameters("the title"),
    responses={200: PAGE, **user_refusals(BELOW_ZERO)},
)
MY_DETAIL = extend_schema(
    operation_id="brGetMySession",
    summary="One of the calling key's sessions",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It", ROW, EXAMPLE), **user_refusals("Unauthorized: not your session.", BAD_ID)},
)
