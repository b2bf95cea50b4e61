"""Payments: recharges, refunds and corrections made by the ledger's own services, never changed, never removed."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from accounts.admin.once import OnceAdmin
from accounts.models import ApiKey, Charge, Payment, PaymentKind, User
from accounts.services import payments
from accounts.services.payments import Maker
from common.console import ConsoleAdmin, DaysFilter, ModelForm, action, display, moment, money, time_column

FIELDS = ("key", "amount", "note")
OF_A_ROW = ("amount", "note")  # whose key it is follows from what is refunded or corrected
COLORS = {"Recharge": "success", "Redemption code": "info", "Refund": "warning", "Correction": "danger"}


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the address is a form for: `?kind=refund&charge=7`, `?kind=correction` with `&payment=7` or without."""

    kind: str = PaymentKind.RECHARGE
    charge: Charge | None = None
    payment: Payment | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return OF_A_ROW if self.charge or self.payment else FIELDS

    @property
    def title(self) -> str:
        titles = {PaymentKind.REFUND: "Refund a call", PaymentKind.CORRECTION: "Correct a balance"}
        return titles.get(PaymentKind(self.kind), "Recharge a key")

    @property
    def text(self) -> str:
        """What is about to be done, as HTML."""
        if self.charge:
            paid = (self.charge.request_id, self.charge.key, money(self.charge.balance_fee))
            left = money(payments.refundable(self.charge))
            return format_html("Call {} of {}. Its balance paid {} for it, of which {} can be given back.", *paid, left)
        if self.payment:
            return format_html(
                "{} of {}, {}. The correction is added to it: give an amount below zero to take some off.",
                self.payment.get_kind_display(),
                self.payment.key,
                money(self.payment.amount),
            )
        is_correction = self.kind == PaymentKind.CORRECTION
        return "Added to the balance; an amount below zero is taken off. Say why." if is_correction else ""

    def make(self, payment: Payment, by: Maker) -> Payment:
        """Through the services. Raises ValidationError."""
        amount, note = payment.amount, payment.note
        if self.charge:
            return payments.refund(charge=self.charge, amount=amount, note=note, by=by)
        key = self.payment.key if self.payment else payment.key
        if self.kind == PaymentKind.CORRECTION:
            return payments.correct(key=key, amount=amount, note=note, corrects=self.payment, by=by)
        return payments.recharge(key=key, amount=amount, note=note, by=by)


def purpose_of(request: HttpRequest) -> Purpose:
    """Raises Http404 for an address that is no form's."""
    kind = request.GET.get("kind", PaymentKind.RECHARGE)
    charge = _row(Charge, request.GET.get("charge")) if kind == PaymentKind.REFUND else None
    payment = _row(Payment, request.GET.get("payment")) if kind == PaymentKind.CORRECTION else None
    if kind not in (PaymentKind.RECHARGE, PaymentKind.CORRECTION) and charge is None:
        raise Http404
    return Purpose(kind, charge, payment)


def _row(model: Any, number: str | None) -> Any:
    return model.objects.select_related("key").filter(pk=number).first() if number and number.isdecimal() else None


def form_of(kind: str, **row: int) -> str:
    """The address of the form that makes such a payment."""
    return f"{reverse('admin:accounts_payment_add')}?{urlencode({'kind': kind, **row})}"


class PayingAdmin(ConsoleAdmin):
    """A page that leads to forms for payments, of whatever kind, for those who may make them."""

    def has_pay_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        # Named with its app, the right would be looked up in the database by a check, before there are tables.
        return request.user.has_perm("accounts.add_payment")


@admin.register(Payment)
class PaymentAdmin(PayingAdmin, OnceAdmin):
    """Adding one moves the balance in the same transaction."""

    fields = ("kind", "key", "usd", "note", "maker", "time", "about")
    readonly_fields = ("kind", "usd", "maker", "time", "about")
    autocomplete_fields = only_chosen = ("key",)
    actions_list = ("correct_balance",)
    actions_detail = ("correct",)
    list_display = (time_column("created_at", "time"), "sort", "key", "usd", "note", "maker")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("key", AutocompleteSelectFilter),
        ("created_at", DaysFilter),
    )
    list_filter_submit = True
    list_select_related = ("key", "made_by", "made_by_key")
    search_fields = ("key__name", "key__prefix", "note")

    @admin.display(description="time")
    def time(self, payment: Payment) -> str:
        return moment(payment.created_at)

    @display(description="kind", label=COLORS, ordering="kind")
    def sort(self, payment: Payment) -> str:
        return payment.get_kind_display()

    @admin.display(description="amount", ordering="amount")
    def usd(self, payment: Payment) -> str:
        return money(payment.amount)

    @admin.display(description="made by")
    def maker(self, payment: Payment) -> str:
        return payment.who or str(payment.made_by or payment.made_by_key or "–")

    @admin.display(description="about")
    def about(self, payment: Payment) -> str:
        """The call that was refunded, or the payment that was wrong."""
        if payment.charge is not None:
            url = reverse("admin:accounts_charge_change", args=[payment.charge_id])
            return format_html('<a class="console-link" href="{}">{}</a>', url, payment.charge)
        if payment.corrects is not None:
            url = reverse("admin:accounts_payment_change", args=[payment.corrects_id])
            text = f"{money(payment.corrects.amount)} of {moment(payment.corrects.created_at)}"
            return format_html('<a class="console-link" href="{}">{}</a>', url, text)
        return "–"

    # Forms

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": self.fields})]
        purpose = purpose_of(request)
        return [(None, {"fields": purpose.fields, "description": purpose.text})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        charge = purpose_of(request).charge
        left = {"amount": payments.refundable(charge)} if charge else {}
        return {**left, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The service's refusal is the form's: it comes back filled in, with the reason above it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        title = purpose_of(request).title
        try:
            return super().add_view(request, form_url, {"title": title, **(extra_context or {})})
        except ValidationError as refusal:
            for reason in refusal.messages:
                messages.error(request, reason)
            filled_in = {name: request.POST[name] for name in FIELDS if name in request.POST}
            return HttpResponseRedirect(f"{request.path}?{urlencode({**request.GET.dict(), **filled_in})}")

    def save_model(self, request: HttpRequest, obj: Payment, form: ModelForm, change: bool) -> None:
        self.claim(request)
        made = purpose_of(request).make(obj, Maker(request.user if isinstance(request.user, User) else None))
        # The row is written already, and by nobody twice: from here on the form's object is that one.
        obj.__dict__.update(Payment.objects.get(pk=made.pk).__dict__)

    def response_add(self, request: HttpRequest, obj: Payment, post_url_continue: str | None = None) -> HttpResponse:
        balance = money(ApiKey.objects.get(pk=obj.key_id).balance)
        where = f"{money(obj.amount)} put on" if obj.amount > 0 else f"{money(-obj.amount)} taken off"
        messages.success(request, f"{where} {obj.key}. Its balance is {balance}.")
        if "_addanother" in request.POST:
            return HttpResponseRedirect(request.path)
        if obj.charge_id is not None:
            return HttpResponseRedirect(reverse("admin:accounts_charge_change", args=[obj.charge_id]))
        return HttpResponseRedirect(reverse("admin:accounts_apikey_change", args=[obj.key_id]))

    # Links to forms

    @action(description="Correct a balance", icon="balance", permissions=["pay"])
    def correct_balance(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(form_of(PaymentKind.CORRECTION))

    @action(description="Correct", icon="balance", permissions=["pay"])
    def correct(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(form_of(PaymentKind.CORRECTION, payment=int(object_id)))
