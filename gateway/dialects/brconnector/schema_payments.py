"""What the OpenAPI document says of payments."""

from drf_spectacular.utils import extend_schema

from gateway.dialects.brconnector.schema import (
    TAG,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    admin_refusals,
    described,
    list_parameters,
    page,
    query,
)

FEE = {"type": "string", "pattern": r"^-?\d+\.\d{2,}$", "description": "USD, exactly.", "example": "0.23"}
ROW = described(id=WHOLE, key_id=WHOLE, fee=FEE, created_at=TIME, updated_at=TIME)
EXAMPLE = {"id": 1, "key_id": 2, "fee": "0.23", "created_at": TIME_EXAMPLE, "updated_at": TIME_EXAMPLE}

LIST = extend_schema(
    operation_id="brListPayments",
    summary="Recharges, the newest first",
    tags=[TAG],
    parameters=[query("key_id", "Those of this key."), *list_parameters("nothing: it is passed over")[1:]],
    responses={
        200: page("A page of them", ROW, EXAMPLE),
        **admin_refusals("limit must not be negative", "key_id is invalid"),
    },
)
