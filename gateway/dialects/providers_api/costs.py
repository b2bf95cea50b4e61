"""/api/stats, /api/costs and /api/audit: what calls came to, and each of them."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Scope
from accounts.services import reports
from accounts.services.reports import Bounds
from gateway.dialects.providers_api import schema_costs as schema
from gateway.dialects.providers_api.bodies import query_of
from gateway.dialects.providers_api.envelope import DialectView
from gateway.dialects.providers_api.keys import LONGEST_ID
from gateway.dialects.providers_api.serializers import AuditQuery, CostQuery, Period
from gateway.dialects.providers_api.shapes import audit_shape, cost_shape, number, uuid_of

JSON = dict[str, Any]

ORDERS = {
    "request_timestamp": "time",
    "timestamp": "time",
    "createdAt": "time",
    "provider": "provider",
    "model": "model",
    "spend": "fee",
    "total_ms": "milliseconds",
}


class ReportView(DialectView):
    scopes = {"GET": Scope.AUDIT_VIEW}


class Overview(ReportView):
    @schema.OVERVIEW
    def get(self, request: Request) -> Response:
        found = reports.total(bounds(query_of(Period, request)))
        counts = {"totalRequests": found.calls, "permitCount": found.calls, "forbidCount": 0}
        return Response({**counts, "totalCost": number(found.fee)})


class CostSummary(ReportView):
    @schema.COSTS
    def get(self, request: Request) -> Response:
        query = query_of(CostQuery, request)
        group = query.get("groupBy") or ""
        asked = bounds(query, keys_named(query["executionKey"]))
        found = reports.totals(asked, by=group) if group else [reports.total(asked)]
        return Response({"data": [cost_shape(each, group) for each in found]})


class Audit(ReportView):
    @schema.AUDIT
    def get(self, request: Request) -> Response:
        query = query_of(AuditQuery, request)
        order = ORDERS.get(query["sortBy"])
        found, total = reports.charges(
            audited(query),
            order=order or "time",
            is_ascending=bool(order) and query["sortOrder"].lower() == "asc",
            offset=query["offset"],
            limit=query["limit"],
        )
        return Response({"data": [audit_shape(each) for each in found], "count": len(found), "total": total})


class AuditStatistics(ReportView):
    @schema.STATISTICS
    def get(self, request: Request) -> Response:
        found = reports.totals_by_model(audited(query_of(AuditQuery, request)))
        rows = [{"provider": provider, "model": model, **cost_shape(each)} for provider, model, each in found]
        return Response({"data": rows})


def bounds(query: JSON, keys: QuerySet[ApiKey] | None = None) -> Bounds:
    return Bounds(
        since=query.get("startDate") or None,
        until=query.get("endDate") or None,
        keys=keys,
        provider=query.get("provider", ""),
        model=query.get("model", ""),
        search=query.get("search", ""),
    )


def audited(query: JSON) -> Bounds:
    """A call that was refused leaves no charge, so there is none to show."""
    if query.get("decision") == "forbid":
        return bounds(query, ApiKey.objects.none())
    owned, named = keys_named(query["authId"]), keys_named(query["apiKeyId"])
    both = named if owned is None or named is None else named.filter(pk__in=owned.values("pk"))
    return bounds(query, owned if both is None else both)


def keys_named(text: str) -> QuerySet[ApiKey] | None:
    """A person's keys by the person's id, or a key by its own; None for no name, and none for an unknown one."""
    if not text:
        return None
    if uuid := uuid_of(text):
        return ApiKey.objects.filter(owner__uuid=uuid)
    is_id = text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID
    return ApiKey.objects.filter(pk=int(text)) if is_id else ApiKey.objects.none()
