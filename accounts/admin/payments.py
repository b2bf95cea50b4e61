"""Payments: added through the ledger's own recharge, never changed, never removed."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from accounts.admin.once import OnceAdmin
from accounts.models import Payment, User
from accounts.services import keys
from common.console import DaysFilter, ModelForm, moment, money, time_column

FIELDS = ("key", "amount", "note")


@admin.register(Payment)
class PaymentAdmin(OnceAdmin):
    """Adding one is recharging a key; the balance follows in the same transaction."""

    fields = (*FIELDS, "made_by", "time")
    readonly_fields = ("made_by", "time")
    autocomplete_fields = ("key",)
    list_display = (time_column("created_at", "time"), "key", "usd", "note", "made_by")
    list_filter = (("key", AutocompleteSelectFilter), ("created_at", DaysFilter))
    list_filter_submit = True
    list_select_related = ("key", "made_by")
    search_fields = ("key__name", "key__prefix", "note")

    @admin.display(description="time")
    def time(self, payment: Payment) -> str:
        return moment(payment.created_at)

    @admin.display(description="amount", ordering="amount")
    def usd(self, payment: Payment) -> str:
        return money(payment.amount)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if obj else FIELDS

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "key" in form.base_fields:  # a payment is no place to make or edit a key
            widget = form.base_fields["key"].widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        return form

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The service's refusal is the form's: it comes back filled in, with the reason above it."""
        try:
            return super().add_view(request, form_url, {"title": "Recharge a key", **(extra_context or {})})
        except ValidationError as refusal:
            for reason in refusal.messages:
                messages.error(request, reason)
            filled_in = {name: request.POST.get(name, "") for name in FIELDS}
            return HttpResponseRedirect(f"{request.path}?{urlencode(filled_in)}")

    def save_model(self, request: HttpRequest, obj: Payment, form: ModelForm, change: bool) -> None:
        made_by = request.user if isinstance(request.user, User) else None
        self.claim(request)
        made = keys.recharge(key=obj.key, amount=obj.amount, note=obj.note, made_by=made_by)
        obj.pk = made.pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Payment, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"{money(obj.amount)} put on {obj.key}. Its balance is {money(obj.key.balance)}.")
        if "_addanother" in request.POST:
            return HttpResponseRedirect(request.path)
        return HttpResponseRedirect(reverse("admin:accounts_apikey_change", args=[obj.key_id]))
