"""The ledger's rows, to read: only the ledger writes them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from accounts.admin.explanation import Explanation
from accounts.admin.payments import PayingAdmin, form_of
from accounts.models import Charge, PaymentKind
from accounts.services import payments
from common.console import BigTableAdmin, DaysFilter, action, display, money, seconds, time_column

OUTCOME_COLORS = {
    "OK": "success",
    "Running": "info",
    "Client left": "warning",
    "Bad request": "warning",
    "Upstream error": "danger",
    "Gateway error": "danger",
    "Gateway stopped": "warning",
}


@admin.register(Charge)
class ChargeAdmin(PayingAdmin, BigTableAdmin):
    """Each call with its explanation: tokens by kind, prices then, and who paid."""

    change_form_outer_before_template = "admin/console/charge_explanation.html"
    list_display = (
        time_column("created_at", "time"),
        "key",
        "model_name",
        "provider_name",
        "tokens_in",
        "tokens_out",
        "usd",
        "ending",
        "took",
    )
    list_filter = (
        ("created_at", DaysFilter),
        ("outcome", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("usage_source", ChoicesDropdownFilter),
        ("key", AutocompleteSelectFilter),
        ("model", AutocompleteSelectFilter),
        ("provider", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_filter_sheet = True
    list_select_related = ("key",)
    actions_detail = ("refund",)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("request_id__exact",)
    search_help_text = "A whole x-request-id"
    fieldsets = (
        (
            "All that was written down",
            {
                "classes": ("collapse",),
                "fields": (
                    ("request_id", "uuid"),
                    ("key", "worker"),
                    ("model", "provider"),
                    ("model_name", "provider_name", "upstream_name"),
                    ("created_at", "settled_at"),
                ),
            },
        ),
    )

    @display(description="in")
    def tokens_in(self, charge: Charge) -> str:
        return f"{charge.prompt_tokens:,}"

    @display(description="out")
    def tokens_out(self, charge: Charge) -> str:
        return f"{charge.output_tokens:,}"

    @display(description="fee")
    def usd(self, charge: Charge) -> str:
        is_unpriced = charge.price_in is None or charge.price_out is None
        return "unpriced" if is_unpriced and not charge.fee else money(charge.fee)

    @display(description="outcome", label=OUTCOME_COLORS)
    def ending(self, charge: Charge) -> str:
        return charge.get_outcome_display()

    @display(description="took")
    def took(self, charge: Charge) -> str:
        return seconds(charge.total_ms)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        charge = self.get_object(request, object_id)
        context = {"explanation": Explanation(charge) if charge else None, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    # Refunds: the link leads to their form.

    @action(description="Refund", icon="undo", permissions=["pay"])
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(form_of(PaymentKind.REFUND, charge=int(object_id)))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        charge = self.get_object(request, str(object_id))
        is_left = charge is not None and payments.refundable(charge) > 0
        return super().get_actions_detail(request, object_id) if is_left else []  # type: ignore[misc]  # unfold's
