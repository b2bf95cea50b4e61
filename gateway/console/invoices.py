"""The console's invoices: each key's month as a page to print, and as CSV."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import ApiKey, PaymentKind
from accounts.services import charge_export, invoices
from accounts.services.invoices import Invoice, Line
from accounts.services.reports import Bounds
from accounts.services.rollups import start_of
from common.console import money
from common.months import WANTED, month_named, next_month
from gateway.console.spend import Download

JSON = dict[str, Any]

RIGHTS = ("accounts.view_charge", "accounts.view_payment")
MOST_SHOWN = 200


class MonthInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # unfold has no types
    """The browser's own calendar of months."""

    input_type = "month"


class MonthForm(forms.Form):
    month = forms.CharField(widget=MonthInput)
    search = forms.CharField(label="Key", required=False, max_length=255, widget=UnfoldAdminTextInputWidget)

    def clean_month(self) -> date:
        try:
            return month_named(self.cleaned_data["month"])
        except ValueError as error:
            raise forms.ValidationError(WANTED) from error


def _check(request: HttpRequest) -> None:
    if not request.user.has_perms(RIGHTS):
        raise PermissionDenied


def _asked(request: HttpRequest, key_id: int, month: str) -> tuple[ApiKey, date]:
    """The key and the month's first day. Raises PermissionDenied or Http404."""
    _check(request)
    try:
        return get_object_or_404(ApiKey, pk=key_id), month_named(month)
    except ValueError as error:
        raise Http404 from error


def invoice_list(request: HttpRequest) -> HttpResponse:
    """The keys of a month; the last whole one unless told."""
    _check(request)
    last = timezone.localdate().replace(day=1) - timedelta(days=1)
    form = MonthForm({"month": f"{last:%Y-%m}", **{name: value for name, value in request.GET.items() if value}})
    context = {**admin.site.each_context(request), "title": "Invoices", "form": form}
    if form.is_valid():
        found = invoices.summaries(**form.cleaned_data)
        context |= {"month": form.cleaned_data["month"], "left_out": max(len(found) - MOST_SHOWN, 0)}
        context["rows"] = [
            {
                "key": each.key,
                "calls": f"{each.calls:,}",
                **{name: money(getattr(each, name)) for name in ("fee", "quota_part", "balance_part", "paid")},
            }
            for each in found[:MOST_SHOWN]
        ]
    return TemplateResponse(request, "admin/console/invoices.html", context, status=200 if form.is_valid() else 400)


def invoice_page(request: HttpRequest, key_id: int, month: str) -> HttpResponse:
    key, first = _asked(request, key_id, month)
    found = invoices.invoice(key=key, month=first)
    context = {
        "invoice": found,
        "last_day": next_month(first) - timedelta(days=1),
        "is_over": next_month(first) <= timezone.localdate(),
        "made_at": timezone.localtime(),
        "zone": timezone.get_current_timezone_name(),
        "steps": _steps(found),
        "payments": [(invoices.local_day(each), each, money(each.amount)) for each in found.payments],
        "models": [_shown(line) for line in found.by_model],
        "days": [_shown(line) for line in found.by_day],
        "total": _shown(found.total),
    }
    return TemplateResponse(request, "admin/console/invoice.html", context)


def _steps(found: Invoice) -> list[tuple[str, str]]:
    """From the opening balance to the closing one."""
    paid = [(f"{kind.label}s", found.paid_as(kind)) for kind in PaymentKind]
    return [
        ("Opening balance", money(found.opening)),
        *((label, money(amount)) for label, amount in paid if amount),
        ("Calls, the balance's part", money(-found.total.balance_part)),
        ("Closing balance", money(found.closing)),
    ]


def _shown(line: Line) -> JSON:
    figures = {name: f"{getattr(line, name):,}" for name in ("calls", "input_tokens", "output_tokens")}
    parts = {name: money(getattr(line, name)) for name in ("fee", "quota_part", "balance_part")}
    return {**figures, **parts, "day": line.day, "model": line.model, "provider": line.provider}


def invoice_csv(request: HttpRequest, key_id: int, month: str) -> StreamingHttpResponse:
    key, first = _asked(request, key_id, month)
    return Download(f"invoice-{key.pk}-{month}.csv", invoices.csv_lines(key=key, month=first)).response


def invoice_charges(request: HttpRequest, key_id: int, month: str) -> StreamingHttpResponse:
    """Each charge of a month, so that the invoice can be added up again."""
    key, first = _asked(request, key_id, month)
    keys = ApiKey.objects.filter(pk=key.pk)
    bounds = Bounds(start_of(first), start_of(next_month(first)), keys, clock="settled_at")
    return Download(f"charges-{key.pk}-{month}.csv", charge_export.lines(bounds)).response
