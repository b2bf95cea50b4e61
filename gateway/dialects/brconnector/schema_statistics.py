"""What the OpenAPI document says of statistics."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.brconnector.schema import NUMBER, TAG, WHOLE, admin_refusals, answer, described

TOTALS = described(
    count_key=WHOLE,
    active_key={**WHOLE, "description": "Those whose calls have cost something."},
    active_key_this_month={**WHOLE, "description": "Those of them that were used or changed this month."},
    total_fee={**NUMBER, "description": "USD."},
    total_month_fee={**NUMBER, "description": "USD that the quotas have paid this month."},
)
EXAMPLE = {
    "count_key": 12,
    "active_key": 9,
    "active_key_this_month": 4,
    "total_fee": 31.25,
    "total_month_fee": 2.5,
}

TOTAL = extend_schema(
    operation_id="brGetTotals",
    summary="What all keys came to",
    tags=[TAG],
    responses={200: answer("Of those that are listed", TOTALS, EXAMPLE), **admin_refusals()},
)
