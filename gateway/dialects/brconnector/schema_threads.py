"""What the OpenAPI document says of threads."""

from drf_spectacular.utils import extend_schema

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
from gateway.dialects.brconnector.schema_sessions import BAD_ID, BELOW_ZERO, OF_KEY, QUERY_ID

COLUMNS = {
    "id": WHOLE,
    "prompt": {**STRING, "description": "The last message's content as JSON; empty where no history is kept."},
    "completion": {**STRING, "description": "What was thought comes first, between <think> and </think>."},
    "session_id": {**WHOLE, "description": "0: in no session."},
    "tokens_in": WHOLE,
    "tokens_out": WHOLE,
    "fee": MONEY,
}
ROW = described(**COLUMNS)
DETAILS = described(
    **COLUMNS,
    whole_prompt={**STRING, "description": "All messages as JSON; long ones are cut, files left out."},
    thread_type={**WHOLE, "enum": [0, 1], "description": "0: a stream or an embedding. 1: any other."},
    key_id=WHOLE,
    model_id=or_none(WHOLE),
    session_key=STRING,
    price_in={**MONEY, "description": "USD per token."},
    price_out={**MONEY, "description": "USD per token."},
    currency=STRING,
    invocation_latency={**WHOLE, "description": "Milliseconds to the answer's end."},
    first_byte_latency={**WHOLE, "description": "Milliseconds to its first byte."},
    created_at=TIME,
    updated_at=TIME,
)
EXAMPLE = {
    "id": 1,
    "prompt": '"How is a bridge weighed?"',
    "completion": "Bridges and how they are weighed at dawn.",
    "session_id": 1,
    "tokens_in": 12,
    "tokens_out": 34,
    "fee": "0.0005460000",
}
WHOLE_EXAMPLE = {
    **EXAMPLE,
    "whole_prompt": '[{"role":"user","content":"How is a bridge weighed?"}]',
    "thread_type": 1,
    "key_id": 2,
    "model_id": 3,
    "session_key": "chat-7",
    "price_in": "0.0000030000",
    "price_out": "0.0000150000",
    "currency": "USD",
    "invocation_latency": 840,
    "first_byte_latency": 310,
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
}
OF_SESSION = query("session_id", "Those of this session, in the order that they came in; 0: of none.")
SEARCHED = list_parameters("the prompt or the completion")
PAGE = page("A page of them, the newest first; of one session, the oldest", ROW, EXAMPLE)
BAD_SESSION = "session_id is invalid"

LIST = extend_schema(
    operation_id="brListThreads",
    summary="Threads of all keys",
    tags=[TAG],
    parameters=[*SEARCHED, OF_KEY, OF_SESSION],
    responses={200: PAGE, **admin_refusals(BELOW_ZERO, "key_id is invalid", BAD_SESSION)},
)
DETAIL = extend_schema(
    operation_id="brGetThread",
    summary="One thread, whole",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It, or null", or_none(DETAILS), WHOLE_EXAMPLE), **admin_refusals(BAD_ID)},
)
BY_QUERY = extend_schema(
    operation_id="brGetThreadByQuery",
    summary="The same, by a parameter",
    tags=[TAG],
    parameters=[QUERY_ID],
    responses={
        200: answer("It, or null", or_none(DETAILS), WHOLE_EXAMPLE),
        **admin_refusals("id is required", BAD_ID),
    },
)
MY_LIST = extend_schema(
    operation_id="brListMyThreads",
    summary="The calling key's threads",
    tags=[TAG],
    parameters=[*SEARCHED, OF_SESSION],
    responses={200: PAGE, **user_refusals(BELOW_ZERO, BAD_SESSION)},
)
MY_DETAIL = extend_schema(
    operation_id="brGetMyThread",
    summary="One of the calling key's threads, whole",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It", DETAILS, WHOLE_EXAMPLE), **user_refusals("Unauthorized: not your thread.", BAD_ID)},
)
