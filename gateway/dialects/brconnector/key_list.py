"""/admin/api-key/list: searched, narrowed and put in order (contract A2.1)."""

from typing import Any

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey
from accounts.services import reports
from accounts.services.ledger.decisions import this_month
from common.money import LIMIT_USD, MoneyField
from gateway.dialects.brconnector import keys
from gateway.dialects.brconnector import schema_keys as schema
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import containing, id_parameter, listed, page_of, parameter

JSON = dict[str, Any]

USUAL_ORDER = "update-1"
QUOTA = Coalesce("month_quota", Value(LIMIT_USD, output_field=MoneyField()))
ORDERS: dict[str, Any] = {
    "id": F("id"),
    "month": F("fee_now"),
    "name": F("name"),
    "total": F("spent"),
    "quota": QUOTA,
    "balance": F("balance"),
    "update": reports.KEY_MOVED,
}
ASCENDING, DESCENDING = "0", "1"


class KeyList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        page = page_of(request)
        found = containing(narrowed(request), page.q, "name", "email")
        return ok(listed(ordered(found, parameter(request, "orderBy")), page, shape))


def narrowed(request: Request) -> QuerySet[ApiKey]:
    """Raises Refusal. Group 0: those without one."""
    texts = {name: parameter(request, name) for name in ("name", "role")}
    found = ApiKey.objects.handed_out().filter(**{name: text for name, text in texts.items() if text})
    group_id = id_parameter(request, "group_id")
    return found if group_id is None else found.filter(group=group_id or None)


def ordered(rows: QuerySet[ApiKey], asked: str) -> QuerySet[ApiKey]:
    """`asked`: a name of ORDERS, then -0 for ascending or -1; anything else counts as not given. Ties by number."""
    name, _, direction = asked.rpartition("-")
    if name not in ORDERS or direction not in (ASCENDING, DESCENDING):
        return ordered(rows, USUAL_ORDER)
    columns = [ORDERS[name], F("id")]
    directed = [each.asc() if direction == ASCENDING else each.desc() for each in columns]
    month = this_month()
    return rows.select_related("group").alias(fee_now=reports.month_fee(month)).order_by(*directed)


def shape(key: ApiKey) -> JSON:
    return {**keys.shape(key), "group_name": key.group.name if key.group else None}


urlpatterns = [path("list", KeyList.as_view())]
