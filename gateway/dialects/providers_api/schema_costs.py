"""/api/stats, /api/costs and /api/audit in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema

from gateway.dialects.providers_api.schema import (
    ADMIN,
    NUMBER,
    STRING,
    TIME,
    TIME_EXAMPLE,
    WHOLE,
    answer,
    described,
    listed,
    or_none,
    refusals,
)
from gateway.dialects.providers_api.serializers import AuditQuery, CostQuery, Period

TAG = "Providers API: costs"
REFUSED_ARE_NOT_KEPT = (
    "A call that is refused before it is sent leaves no record, so all that is here was permitted and forbidden calls "
    "are none."
)
MONEY = {**NUMBER, "description": "USD, exact."}
REFUSALS = refusals("INVALID_REQUEST", *ADMIN)

COST: dict[str, Any] = described(
    request_count=WHOLE,
    total_input_tokens=WHOLE,
    total_output_tokens=WHOLE,
    total_cost=MONEY,
    avg_cost_per_request=MONEY,
)
COST_EXAMPLE = {
    "request_count": 2,
    "total_input_tokens": 24,
    "total_output_tokens": 20,
    "total_cost": 0.000064,
    "avg_cost_per_request": 0.000032,
}
GROUPED = {
    **COST,
    "properties": {
        **COST["properties"],
        "period": {
            **STRING,
            "description": "When grouped by day: one of the gateway's TIME_ZONE.",
        },
        "provider": {**STRING, "description": "When grouped by provider."},
        "model_used": {**STRING, "description": "When grouped by model."},
    },
}
BY_MODEL = {
    **COST,
    "required": [*COST["required"], "provider", "model"],
    "properties": {**COST["properties"], "provider": STRING, "model": STRING},
}
ROW = described(
    id=WHOLE,
    request_id=STRING,
    request_timestamp=TIME,
    auth_id=or_none(STRING),
    api_key_id=WHOLE,
    api_key_suffix=STRING,
    decision=STRING,
    action=STRING,
    provider=STRING,
    model=STRING,
    status=STRING,
    error=or_none(STRING),
    input_tokens=WHOLE,
    output_tokens=WHOLE,
    spend=MONEY,
    total_ms=or_none(WHOLE),
)
ROW_EXAMPLE = {
    "id": 9,
    "request_id": "req_0123456789abcdef0123456789abcdef",
    "request_timestamp": TIME_EXAMPLE,
    "auth_id": "user-0123456789abcdef0123456789abcdef",
    "api_key_id": 3,
    "api_key_suffix": "x7Kq2",
    "decision": "permit",
    "action": "chat",
    "provider": "openai",
    "model": "gpt-4o",
    "status": "ok",
    "error": None,
    "input_tokens": 12,
    "output_tokens": 10,
    "spend": 0.000032,
    "total_ms": 812,
}

OVERVIEW = extend_schema(
    operation_id="statsOverview",
    summary="How many calls there were, and what they cost",
    description=REFUSED_ARE_NOT_KEPT,
    tags=[TAG],
    parameters=[Period],
    responses={
        200: answer(
            "The sums",
            described(totalRequests=WHOLE, permitCount=WHOLE, forbidCount=WHOLE, totalCost=MONEY),
            {"totalRequests": 2, "permitCount": 2, "forbidCount": 0, "totalCost": 0.000064},
        ),
        **REFUSALS,
    },
)
COSTS = extend_schema(
    operation_id="costSummary",
    summary="What calls cost, by day, provider or model",
    description="Without `groupBy` there is one row. `executionKey` is a person's id or a key's. Input tokens include "
    "those that a vendor's cache served. A call counts when it is over, and not while it runs.",
    tags=[TAG],
    parameters=[CostQuery],
    responses={
        200: answer("The sums", described(data=listed(GROUPED)), {"data": [{**COST_EXAMPLE, "provider": "openai"}]}),
        **REFUSALS,
    },
)
AUDIT = extend_schema(
    operation_id="listAudit",
    summary="Calls one by one",
    description=f"`authId` is a person's id. `sortBy` is request_timestamp, provider, model, spend or total_ms; the "
    f"newest come first without it. {REFUSED_ARE_NOT_KEPT}",
    tags=[TAG],
    parameters=[AuditQuery],
    responses={
        200: answer(
            "The page, how many are on it, and how many match",
            described(data=listed(ROW), count=WHOLE, total=WHOLE),
            {"data": [ROW_EXAMPLE], "count": 1, "total": 1},
        ),
        **REFUSALS,
    },
)
STATISTICS = extend_schema(
    operation_id="auditStatistics",
    summary="What the same calls came to, by provider and model",
    tags=[TAG],
    parameters=[AuditQuery],
    responses={
        200: answer(
            "The sums",
            described(data=listed(BY_MODEL)),
            {"data": [{**COST_EXAMPLE, "provider": "openai", "model": "gpt-4o"}]},
        ),
        **REFUSALS,
    },
)
