"""The console's page of what was spent: by key, group, model, provider, tag or day, between two days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import ApiKey, Group
from accounts.services import charge_export, reports
from accounts.services.reports import Bounds, Total
from accounts.services.rollups import end_of, start_of
from common.console import glance, money
from gateway.console import dashboard
from gateway.console.dashboard import short

JSON = dict[str, Any]

RIGHTS = ("accounts.view_charge",)
BY = {"key": "API key", "group": "Group", "model": "Model", "provider": "Provider", "tag": "Tag", "day": "Day"}
USUAL_DAYS = 30
FIRST, LAST = date(2000, 1, 1), date(2999, 12, 31)
MOST_SHOWN = 100
MOST_BARS = 93  # days; a longer time is shown by months
COLUMNS = ("calls", "failed", "input_tokens", "output_tokens", "fee")


class DayInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # unfold has no types
    """The browser's own calendar."""

    input_type = "date"


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, widget=DayInput, input_formats=["%Y-%m-%d"])


class SpendForm(forms.Form):
    by = forms.ChoiceField(label="Group by", choices=list(BY.items()), widget=UnfoldAdminSelectWidget)
    since = _day("From")
    until = _day("To")
    key = forms.ModelChoiceField(ApiKey.objects.all(), required=False, widget=forms.HiddenInput)

    def clean(self) -> JSON:
        asked = super().clean() or {}
        since, until = asked.get("since"), asked.get("until")
        if since and until and not FIRST <= since <= until <= LAST:
            raise forms.ValidationError("The first day comes before the last one.")
        return asked

    def bounds(self) -> Bounds:
        """Both days are meant."""
        asked = self.cleaned_data
        keys = ApiKey.objects.filter(pk=asked["key"].pk) if asked["key"] else None
        return Bounds(start_of(asked["since"]), end_of(asked["until"]), keys, clock="settled_at")


def usual() -> dict[str, str]:
    today = timezone.localdate()
    return {"by": "key", "since": str(today - timedelta(days=USUAL_DAYS - 1)), "until": str(today)}


def _asked(request: HttpRequest) -> SpendForm:
    """By GET, so that a report can be linked to. What is not said is as usual."""
    if not request.user.has_perms(RIGHTS):
        raise PermissionDenied
    return SpendForm({**usual(), **{name: value for name, value in request.GET.items() if value}})


def spend(request: HttpRequest) -> HttpResponse:
    form = _asked(request)
    context = {**admin.site.each_context(request), "title": "Spend", "form": form}
    if form.is_valid():
        context |= _report(form)
        context["query"] = request.GET.urlencode()
    return TemplateResponse(request, "admin/console/spend.html", context, status=200 if form.is_valid() else 400)


def _report(form: SpendForm) -> JSON:
    by, bounds = form.cleaned_data["by"], form.bounds()
    found = ranked(reports.totals(bounds, by=by), by)
    shown = found[:MOST_SHOWN]
    names = names_of(by, [each.group for each in shown])
    most = max((each.fee for each in shown), default=Decimal(0))
    return {
        "by": BY[by],
        "heading": "By API key" if by == "key" else f"By {by}",
        "rows": [_row(each, names, by, most) for each in shown],
        "left_out": len(found) - len(shown),
        "total": _figures(reports.total(bounds)),
        "is_shared": by == "tag",  # a call with two tags is in two lines
        "chart": _chart(reports.totals(bounds, by="day"), form.cleaned_data["since"], form.cleaned_data["until"]),
        "only": form.cleaned_data["key"],
        "zone": timezone.get_current_timezone_name(),
    }


def ranked(found: Sequence[Total], by: str) -> list[Total]:
    """Days as they came, all else with the dearest first."""
    return list(found) if by == "day" else sorted(found, key=lambda each: (-each.fee, -each.calls))


def names_of(by: str, groups: Sequence[Any]) -> Mapping[Any, str]:
    """What ids are called; all else is called what it is."""
    if by == "key":
        return {key.pk: key.name for key in ApiKey.objects.filter(pk__in=groups)}
    if by == "group":
        return {0: "No group", **{group.pk: group.name for group in Group.objects.filter(pk__in=groups)}}
    return {"": "No tag"} if by == "tag" else {}


def _name(group: Any, names: Mapping[Any, str], by: str) -> str:
    missing = f"Group {group}, removed" if by == "group" else str(group)
    return names.get(group, missing)


def _row(total: Total, names: Mapping[Any, str], by: str, most: Decimal) -> JSON:
    return {
        **_figures(total),
        "name": _name(total.group, names, by),
        "key": total.group if by == "key" else None,
        "percent": max(int(total.fee * 100 / most), 0) if most > 0 else 0,
    }


def _figures(total: Total) -> dict[str, str]:
    return {
        "calls": f"{total.calls:,}",
        "failed": f"{total.failed:,}",
        "tokens": f"{short(total.input_tokens)} / {short(total.output_tokens)}",
        "fee": glance(total.fee),
        "exact": money(total.fee),
    }


def _chart(days: Sequence[Total], since: date, until: date) -> str:
    return dashboard.bars(dashboard.SPEND, {label: dashboard.drawn(fee) for label, fee in _bars(days, since, until)})


def _bars(days: Sequence[Total], since: date, until: date) -> Iterator[tuple[str, Decimal]]:
    fees = {each.group: each.fee for each in days}
    if (until - since).days < MOST_BARS:
        for number in range((until - since).days + 1):
            day = since + timedelta(days=number)
            yield dashboard.label_of(day), fees.get(day, Decimal(0))
        return
    months: dict[str, Decimal] = {}
    for day, fee in fees.items():
        months[f"{day:%b %Y}"] = months.get(f"{day:%b %Y}", Decimal(0)) + fee
    yield from months.items()


@dataclass(frozen=True, slots=True)
class Download:
    """A file of lines that are made while they travel."""

    name: str
    lines: Iterator[str]

    @property
    def response(self) -> StreamingHttpResponse:
        headers = {"Content-Disposition": f'attachment; filename="{self.name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(self.lines, headers=headers, content_type="text/csv; charset=utf-8")


def spend_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The table, all of it."""
    form = _asked(request)
    if not form.is_valid():
        return HttpResponse(status=400)
    asked = form.cleaned_data
    found = ranked(reports.totals(form.bounds(), by=asked["by"]), asked["by"])
    names = names_of(asked["by"], [each.group for each in found])
    rows = ((_name(each.group, names, asked["by"]), *(getattr(each, name) for name in COLUMNS)) for each in found)
    table = (charge_export.table([row]) for row in ((asked["by"], *COLUMNS), *rows))
    return Download(f"spend-{asked['by']}-{asked['since']}-{asked['until']}.csv", table).response


def charges_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The charges that the table is made of, one by one."""
    form = _asked(request)
    if not form.is_valid():
        return HttpResponse(status=400)
    name = f"charges-{form.cleaned_data['since']}-{form.cleaned_data['until']}.csv"
    return Download(name, charge_export.lines(form.bounds())).response
