"""What the OpenAPI document says of keys."""

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from gateway.dialects.brconnector.schema import (
    MONEY,
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
    listed,
    or_none,
    page,
    query,
    sent,
    user_refusals,
)

AMOUNT: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 900000000, "description": "USD."}
SHORT = {"id": WHOLE, "name": STRING, "email": STRING, "api_key": STRING, "role": STRING}
SHORT_ROW = described(**SHORT, month_quota=MONEY, balance=MONEY)
CHANGED_ROW = described(**SHORT, month_quota=MONEY, balance=MONEY, group_id=WHOLE)
FULL = {
    "id": WHOLE,
    "group_id": WHOLE,
    "api_key": STRING,
    "name": STRING,
    "email": STRING,
    "role": STRING,
    "total_fee": MONEY,
    "balance": MONEY,
    "month_fee": MONEY,
    "month_quota": MONEY,
    "created_at": TIME,
    "updated_at": TIME,
}
FULL_ROW = described(**FULL)
LISTED_ROW = described(**FULL, group_name=or_none(STRING))

SECRET, MASKED = "br-Zy1Xw2Vu3Ts4Rq5Po6Nm7Lk8Ji9Hg0", "br-Zy1Xw2V***i9Hg0"
SHORT_EXAMPLE = {
    "id": 2,
    "name": "jack",
    "email": "jack@example.com",
    "api_key": MASKED,
    "role": "user",
    "month_quota": "1.0000000000",
    "balance": "0.2300000000",
}
TOLD_EXAMPLE = {**SHORT_EXAMPLE, "api_key": SECRET}
EXAMPLE = {
    **SHORT_EXAMPLE,
    "group_id": 1,
    "total_fee": "0.5000000000",
    "month_fee": "0.5000000000",
    "created_at": TIME_EXAMPLE,
    "updated_at": TIME_EXAMPLE,
}
LISTED_EXAMPLE = {**EXAMPLE, "group_name": "group 1"}

NO_GROUP = "group_id is invalid: there is no such group"
WHICH = ("api_key or id is required", "api_key or id is invalid")
NO_LIMIT = "900000000 stands for no limit, here and in what is sent."
BAD_FILE = "Please upload a properly formatted CSV file."

ORDER = "One of id, month, name, total, quota, balance and update, then -0 (ascending) or -1; update-1 unless given."

LIST = extend_schema(
    operation_id="brListKeys",
    summary="Keys",
    description=f"Secrets are masked. month_fee counts this month alone. {NO_LIMIT}",
    tags=[TAG],
    parameters=[
        *list_parameters("the name or the e-mail address"),
        query("name", "Exactly this one."),
        query("group_id", "0: those without a group."),
        query("role", "admin or user."),
        query("orderBy", ORDER),
    ],
    responses={
        200: page("A page of them", LISTED_ROW, LISTED_EXAMPLE),
        **admin_refusals("limit must not be negative", "group_id is invalid"),
    },
)
DETAIL = extend_schema(
    operation_id="brGetKey",
    summary="One key",
    tags=[TAG],
    parameters=[PATH_ID],
    responses={200: answer("It, or null", or_none(FULL_ROW), EXAMPLE), **admin_refusals("id is invalid")},
)
MINE = extend_schema(
    operation_id="brGetMyKey",
    summary="The caller's own key",
    tags=[TAG],
    responses={200: answer("It", FULL_ROW, EXAMPLE), **user_refusals()},
)


def _money(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(required=False, min_value=0, max_value=900_000_000, help_text=help_text)


APPLY = extend_schema(
    operation_id="brApplyForKey",
    summary="Make a key",
    description=f"The answer has its secret, which nobody is told again. It may call its group's models. {NO_LIMIT}",
    tags=[TAG],
    request=inline_serializer(
        "BRNewKey",
        {
            "name": serializers.CharField(max_length=255),
            "group_id": serializers.IntegerField(required=False, help_text="0: none."),
            "role": serializers.ChoiceField(["user", "admin"], required=False),
            "email": serializers.CharField(required=False, allow_blank=True, max_length=254),
            "month_quota": _money("USD a calendar month; 0 unless given: only the balance pays."),
            "balance": _money("USD to start with."),
        },
    ),
    examples=[sent("A user's", {"name": "jack", "group_id": 1, "role": "user", "email": "", "month_quota": 1.0})],
    responses={
        200: answer("It, with its secret", SHORT_ROW, TOLD_EXAMPLE),
        **body_refusals("name is required", NO_GROUP, "email: Enter a valid email address."),
    },
)
UPDATE = extend_schema(
    operation_id="brUpdateKey",
    summary="Change a key",
    description="What is blank or left out stays as it is. An e-mail address, a balance and group 0 are passed over.",
    tags=[TAG],
    request=inline_serializer(
        "BRKeyChange",
        {
            "id": serializers.IntegerField(),
            "name": serializers.CharField(required=False, max_length=255),
            "group_id": serializers.IntegerField(required=False),
            "role": serializers.ChoiceField(["user", "admin"], required=False),
            "month_quota": _money("USD a calendar month."),
        },
    ),
    examples=[sent("Another quota", {"id": 2, "name": "jack", "month_quota": 10.0})],
    responses={
        200: answer("It", CHANGED_ROW, {**SHORT_EXAMPLE, "group_id": 1}),
        **body_refusals("id is required", WHICH[1], NO_GROUP),
    },
)
WHICH_KEY: dict[str, Any] = {
    "id": serializers.IntegerField(required=False),
    "api_key": serializers.CharField(required=False, help_text="Its secret, where no id is given."),
}
RECHARGE = extend_schema(
    operation_id="brRechargeKey",
    summary="Put money on a key's balance",
    description="It is used when the month's quota is used up; so a key without a limit is refused.",
    tags=[TAG],
    request=inline_serializer("BRRecharge", {**WHICH_KEY, "balance": serializers.FloatField(help_text="USD to add.")}),
    examples=[sent("By its secret", {"api_key": SECRET, "balance": 0.23})],
    responses={
        200: answer("It", SHORT_ROW, SHORT_EXAMPLE),
        **body_refusals(*WHICH, "balance is required", "balance: A balance is at most 900000000 USD."),
    },
)
RESET = extend_schema(
    operation_id="brResetKey",
    summary="Give a key a new secret",
    description="The old one is refused from the next request on. All else about the key stays as it is.",
    tags=[TAG],
    request=inline_serializer("BRKeyToReset", WHICH_KEY),
    examples=[sent("Which", {"id": 2})],
    responses={200: answer("It, with its new secret", SHORT_ROW, TOLD_EXAMPLE), **body_refusals(*WHICH)},
)
DELETE = extend_schema(
    operation_id="brDeleteKey",
    summary="Delete a key",
    description="It is refused from the next request on; its grants, sessions and threads are removed. What its calls "
    "have cost and what was paid for it stays in the ledger, where no list of these shows it.",
    tags=[TAG],
    request=inline_serializer("BRKeyToDelete", WHICH_KEY),
    examples=[sent("Which", {"id": 1})],
    responses={200: answer("It is gone", YES_OR_NO, True), **body_refusals(*WHICH)},
)
IMPORTED = {"oneOf": [{"type": "string", "enum": ["OK"]}, listed(SHORT_ROW)]}
IMPORT = extend_schema(
    operation_id="brImportKeys",
    summary="Make a key for each row of a CSV file",
    description="In UTF-8, at most 10,000 rows under a row that names the columns: `name` or `cognito:username`, and "
    "`email` if there are addresses. One row that can't be, and no key is made. Secrets can't be seen afterwards: with "
    "`show=keys` the answer has them, in the order of the rows.",
    tags=[TAG],
    parameters=[query("show", "keys: the answer has the new keys in the place of OK.")],
    request={
        "multipart/form-data": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary", "example": "name,email\njack,jack@example.com\n"},
                "month_quota": {**AMOUNT, "description": "USD a calendar month for each; 0 unless given."},
                "group_id": {**WHOLE, "description": "The group of all; 0: none."},
            },
        }
    },
    responses={
        200: answer("They are made", IMPORTED, "OK"),
        **body_refusals(BAD_FILE, f"{BAD_FILE} Row 3: name is required.", NO_GROUP),
    },
)
