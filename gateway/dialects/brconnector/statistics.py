"""/admin/statistics: what all keys came to (contract A2.6)."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey
from accounts.services import reports
from gateway.dialects.brconnector import schema_statistics as schema
from gateway.dialects.brconnector.envelope import AdminView, ok


class Total(AdminView):
    @schema.TOTAL
    def get(self, request: Request) -> Response:
        totals = reports.key_totals(ApiKey.objects.handed_out())
        return ok(
            {
                "count_key": totals.count,
                "active_key": totals.active,
                "active_key_this_month": totals.active_this_month,
                "total_fee": float(totals.total_spent),
                "total_month_fee": float(totals.total_month_fee),
            }
        )


urlpatterns = [path("total", Total.as_view())]
