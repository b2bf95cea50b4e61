"""/admin/payment: what was put on the keys' balances (contract A2.2)."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Payment
from common.money import show, to_units
from gateway.dialects.brconnector import schema_payments as schema
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import id_parameter, listed, page_of
from gateway.dialects.brconnector.values import time_text

JSON = dict[str, Any]


class PaymentList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        found = Payment.objects.filter(key__in=ApiKey.objects.handed_out()).order_by("-id")
        key_id = id_parameter(request, "key_id")
        return ok(listed(found if key_id is None else found.filter(key=key_id), page_of(request), shape))


def shape(payment: Payment) -> JSON:
    """The fee exactly, where the original shows whole cents."""
    return {
        "id": payment.pk,
        "key_id": payment.key_id,
        "fee": show(to_units(payment.amount)),
        "created_at": time_text(payment.created_at),
        "updated_at": time_text(payment.updated_at),
    }


urlpatterns = [path("list", PaymentList.as_view())]
