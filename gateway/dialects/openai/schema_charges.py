"""What the OpenAPI document says of charges and of redemption codes."""

from typing import Any

from gateway.dialects.openai.schema import (
    CHAT_MODEL,
    IDEMPOTENCY_KEY,
    REPLAYED,
    REQUEST_ID,
    SECURITY,
    STRING,
    TAG,
    answer,
    errors,
    failure,
    object_of,
)

JSON = dict[str, Any]

USD: JSON = {"type": "string", "pattern": r"^-?\d+\.\d{2,}$", "description": "USD, exactly."}
USD_OR_NULL: JSON = {**USD, "nullable": True}
WHOLE: JSON = {"type": "integer"}
WHOLE_OR_NULL: JSON = {**WHOLE, "nullable": True}
TEXT_OR_NULL: JSON = {**STRING, "nullable": True}
TIME: JSON = {**WHOLE, "description": "Seconds since 1970."}
USD_OR_COUNT: JSON = {"oneOf": [USD, WHOLE], "description": "USD for a limit of cost, else a count."}


def _list_of(items: JSON) -> JSON:
    return {"type": "array", "items": items}


def _whole(**properties: JSON) -> JSON:
    return object_of(list(properties), **properties)


SUMMARY: JSON = {
    "id": {**STRING, "description": "The x-request-id of the call's answer."},
    "object": STRING,
    "created": TIME,
    "model": STRING,
    "provider": STRING,
    "endpoint": STRING,
    "stream": {"type": "boolean"},
    "state": {**STRING, "enum": ["held", "settled", "released"]},
    "outcome": {
        **STRING,
        "description": "running, ok, bad_request, upstream_error, client_closed, server_stopped or gateway_error.",
    },
    "prompt_tokens": {**WHOLE, "description": "Cached ones included."},
    "completion_tokens": WHOLE,
    "fee_usd": {**USD, "description": "What the key paid: the cost less the shortfall."},
    "shortfall_usd": {**USD, "description": "What the key could not pay; nobody did."},
    "total_ms": WHOLE_OR_NULL,
}
LINE = _whole(
    kind={**STRING, "description": "input, cached_read, cached_write, output, or what has a price of its own."},
    label=STRING,
    quantity=WHOLE,
    price_usd_per_million={**USD_OR_NULL, "description": "null: unknown, so these cost nothing."},
    cost_usd={**USD, "description": "quantity x price / 1,000,000, not rounded."},
    note=TEXT_OR_NULL,
)
LIMIT = _whole(
    name=STRING,
    member={**TEXT_OR_NULL, "description": "Whose count, where each has one of its own."},
    metric=STRING,
    window=STRING,
    sliding={"type": "boolean"},
    action=STRING,
    most=USD_OR_COUNT,
    used_before=USD_OR_COUNT,
    held_before={**USD_OR_COUNT, "description": "By calls that were running."},
    held={**USD_OR_COUNT, "description": "Set aside for this call."},
    used=USD_OR_COUNT,
    over={**USD_OR_COUNT, "description": "Used beyond the limit; counted nowhere."},
    used_after={**USD_OR_COUNT, "nullable": True},
    note=TEXT_OR_NULL,
)
PAYMENT: JSON = {
    "kind": {**STRING, "enum": ["recharge", "redemption", "refund", "correction"]},
    "usd": USD,
    "note": TEXT_OR_NULL,
    "created": TIME,
}

SCHEMAS: JSON = {
    "ChargeSummary": _whole(**SUMMARY),
    "ChargeList": _whole(
        object=STRING,
        data=_list_of({"$ref": "#/components/schemas/ChargeSummary"}),
        first_id=TEXT_OR_NULL,
        last_id={**TEXT_OR_NULL, "description": "Give it as `after` to have the next page."},
        has_more={"type": "boolean"},
    ),
    "Charge": _whole(
        **SUMMARY,
        settled={**TIME, "nullable": True},
        upstream_model=STRING,
        error=TEXT_OR_NULL,
        usage_source={**STRING, "description": "none, reported, estimated or carried."},
        tags=_list_of({}),
        lines=_list_of(LINE),
        sum_usd={**USD, "description": "All lines together, not rounded."},
        cost_usd={**USD, "description": "The sum, rounded once, half up, to ten decimals: fee and shortfall."},
        adds_up={"type": "boolean", "description": "Whether the cost is what was charged and what was missing."},
        price_ratio={**USD, "description": "The group's; it is in the prices already."},
        hold=_whole(usd=USD, prompt_tokens=WHOLE, output_tokens=WHOLE, note=STRING),
        paid=_list_of(
            _whole(
                by={**STRING, "enum": ["quota", "balance"]},
                usd=USD,
                before_usd={**USD_OR_NULL, "description": "A quota counts up, a balance down."},
                after_usd=USD_OR_NULL,
            )
        ),
        month={**TEXT_OR_NULL, "description": "That the quota's part counts for.", "example": "2026-11"},
        month_quota_usd={**USD_OR_NULL, "description": "null: no limit."},
        limits=_list_of(LIMIT),
        attempts={**WHOLE, "description": "Requests sent to upstreams."},
        tries={**_list_of(STRING), "description": "Where it was sent in turn, and why it went on."},
        left_out=TEXT_OR_NULL,
        why={**_list_of(STRING), "description": "Why it costs what it does, in sentences."},
        payments={**_list_of(_whole(**PAYMENT)), "description": "Refunds of it, and corrections of those."},
        rated_anew=_list_of(_whole(id=STRING, created=TIME, fee_usd=USD)),
        first_byte_ms=WHOLE_OR_NULL,
    ),
    "RedeemRequest": object_of(
        ["code"], code={**STRING, "minLength": 1, "maxLength": 100, "description": "As printed; dashes may be missing."}
    ),
    "Redemption": _whole(object=STRING, **PAYMENT, balance_usd={**USD, "description": "The key's, with it."}),
}

SUMMARY_EXAMPLE: JSON = {
    "id": "req_5b0c6f5d9b7c4b0f8a3c2d1e0f9a8b7c",
    "object": "charge",
    "created": 1767225600,
    "model": CHAT_MODEL,
    "provider": "built-in",
    "endpoint": "chat",
    "stream": False,
    "state": "settled",
    "outcome": "ok",
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "fee_usd": "0.0014",
    "shortfall_usd": "0.00",
    "total_ms": 1830,
}
NO_TOKENS: JSON = {"quantity": 0, "price_usd_per_million": "1.00", "cost_usd": "0.00"}
CHARGE_EXAMPLE: JSON = {
    **SUMMARY_EXAMPLE,
    "settled": 1767225602,
    "upstream_model": CHAT_MODEL,
    "error": None,
    "usage_source": "reported",
    "tags": [],
    "lines": [
        {
            "kind": "input",
            "label": "Prompt",
            "quantity": 1000,
            "price_usd_per_million": "1.00",
            "cost_usd": "0.001",
            "note": None,
        },
        {
            "kind": "cached_read",
            "label": "Prompt, read from cache",
            **NO_TOKENS,
            "note": "at the input price: it has none of its own",
        },
        {
            "kind": "cached_write",
            "label": "Prompt, written to cache",
            **NO_TOKENS,
            "note": "at the input price: it has none of its own",
        },
        {
            "kind": "output",
            "label": "Answer",
            "quantity": 200,
            "price_usd_per_million": "2.00",
            "cost_usd": "0.0004",
            "note": None,
        },
    ],
    "sum_usd": "0.0014",
    "cost_usd": "0.0014",
    "adds_up": True,
    "price_ratio": "1.00",
    "hold": {
        "usd": "0.012192",
        "prompt_tokens": 4000,
        "output_tokens": 4096,
        "note": "4,000 prompt tokens x 1 and 4,096 answer tokens x 2 per million, at most.",
    },
    "paid": [
        {"by": "quota", "usd": "0.001", "before_usd": "9.999", "after_usd": "10.00"},
        {"by": "balance", "usd": "0.0004", "before_usd": "2.5004", "after_usd": "2.50"},
    ],
    "month": "2026-01",
    "month_quota_usd": "10.00",
    "limits": [
        {
            "name": "team a day",
            "member": None,
            "metric": "requests",
            "window": "day",
            "sliding": False,
            "action": "block",
            "most": 1000,
            "used_before": 41,
            "held_before": 2,
            "held": 1,
            "used": 1,
            "over": 0,
            "used_after": 44,
            "note": None,
        }
    ],
    "attempts": 1,
    "tries": [f"{CHAT_MODEL}@built-in"],
    "left_out": None,
    "why": ["The answer came whole.", "The counts are the upstream's own."],
    "payments": [],
    "rated_anew": [],
    "first_byte_ms": 420,
}
CODE_EXAMPLE = "ABCD-EFGH-JKMN-PQRS-TUVW"
REDEMPTION_EXAMPLE: JSON = {
    "object": "redemption",
    "kind": "redemption",
    "usd": "5.00",
    "note": "Code ABCD… of spring",
    "created": 1767225600,
    "balance_usd": "7.50",
}

INVALID = "invalid_request_error"
LIMIT_PARAMETER: JSON = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
}
AFTER_PARAMETER: JSON = {
    "name": "after",
    "in": "query",
    "schema": STRING,
    "description": "The id of the last charge of the page before.",
}
ID_PARAMETER: JSON = {
    "name": "charge_id",
    "in": "path",
    "required": True,
    "schema": STRING,
    "example": SUMMARY_EXAMPLE["id"],
}
REFUSED_CODE = (
    "The body is wrong, or the code brings no money: code_unknown, code_used, code_void, code_expired; or the key has "
    "no limit, so that it would never use a balance: key_without_limit."
)


def _read(name: str, summary: str, text: str, good: JSON, bad: JSON, parameters: list[JSON]) -> JSON:
    operation = {"operationId": name, "summary": summary, "description": text, "tags": [TAG], "security": SECURITY}
    responses = {"200": good, **bad, **errors(("401", "503"))}
    return {"get": {**operation, "parameters": parameters, "responses": responses}}


PATHS: JSON = {
    "/v1/charges": _read(
        "listCharges",
        "The key's own charges, newest first",
        "One for each admitted call, whatever came of it.",
        answer(
            "ChargeList",
            {
                "object": "list",
                "data": [SUMMARY_EXAMPLE],
                "first_id": SUMMARY_EXAMPLE["id"],
                "last_id": SUMMARY_EXAMPLE["id"],
                "has_more": False,
            },
            REQUEST_ID,
        ),
        {"400": failure("`limit` is no such number, or `after` no charge of this key.", INVALID, None, {})},
        [LIMIT_PARAMETER, AFTER_PARAMETER],
    ),
    "/v1/charges/{charge_id}": _read(
        "explainCharge",
        "How a call came to its fee",
        "For the key that made the call, and for keys of the role admin. The fee is the sum of quantity x price over "
        "`lines`, rounded once, less what the key could not pay.",
        answer("Charge", CHARGE_EXAMPLE, REQUEST_ID),
        {"404": failure("There is no such charge, or it is not yours.", INVALID, "charge_not_found", {})},
        [ID_PARAMETER],
    ),
    "/v1/redeem": {
        "post": {
            "operationId": "redeemCode",
            "summary": "Put a redemption code's money on the key's balance",
            "description": "A code is good once. After ten wrong ones within an hour the key has to wait.",
            "tags": [TAG],
            "security": SECURITY,
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/RedeemRequest"},
                        "example": {"code": CODE_EXAMPLE},
                    }
                },
            },
            "responses": {
                "200": answer("Redemption", REDEMPTION_EXAMPLE, {**REQUEST_ID, **REPLAYED}),
                "400": failure(REFUSED_CODE, INVALID, "code_used", {}),
                "429": failure(
                    "Too many wrong codes.",
                    "rate_limit_error",
                    "too_many_tries",
                    {"retry-after": {"schema": WHOLE, "description": "Seconds."}},
                ),
                **errors(("401", "408", "409", "413", "422", "503")),
            },
        }
    },
}
