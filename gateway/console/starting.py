"""The console's pages that start a background task, and the buttons that lead to them."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.services import principals
from accounts.services.principals import Principal
from common.console import ConsoleAdmin, action
from common.models import Job
from gateway.jobs import starting
from gateway.jobs.kinds import CHARGES, CHECK, CONFIG, IMPORT, KINDS
from gateway.jobs.queue import QueueFull
from providers.models import Provider


class DateInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # unfold has no types
    """The browser's own calendar."""

    input_type = "date"


class StartForm(forms.Form):
    def start(self, by: Principal) -> Job:
        raise NotImplementedError


class CheckForm(StartForm):
    def start(self, by: Principal) -> Job:
        return starting.check_providers(by=by)


class ConfigForm(StartForm):
    def start(self, by: Principal) -> Job:
        return starting.export_config(by=by)


class ChargesForm(StartForm):
    since = forms.DateField(label="From", required=False, widget=DateInput, help_text="Empty: from the first call on.")
    until = forms.DateField(label="To", required=False, widget=DateInput, help_text="This day included.")

    def start(self, by: Principal) -> Job:
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        return starting.export_charges(since=_midnight(since), until=_midnight(until, days=1), by=by)


class ImportForm(StartForm):
    provider = forms.ModelChoiceField(Provider.objects.order_by("name"), widget=UnfoldAdminSelectWidget)
    prefix = forms.CharField(  # type: ignore[assignment]  # a form has one of its own, for its fields' names
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="Put before each public name, such as azure/.",
    )

    def start(self, by: Principal) -> Job:
        return starting.import_models(provider=self.cleaned_data["provider"], prefix=self.cleaned_data["prefix"], by=by)


def _midnight(day: Any, days: int = 0) -> datetime | None:
    """The start of a day in the gateway's zone, or of one that many days later; None where there is none."""
    if day is None:
        return None
    try:
        start = timezone.make_aware(datetime.combine(day + timedelta(days=days), time()))
        return start if 1 < start.year < 9999 else None
    except (OverflowError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Page:
    """`permission`: what it takes in the console beside the kind's rights."""

    title: str
    text: str
    icon: str
    form: type[StartForm]
    permission: str = ""


PAGES = {
    CHECK: Page(
        "Check all providers",
        "This tries every key of every enabled provider with a request that costs nothing. What fails rests, what is "
        "well is called again.",
        "health_and_safety",
        CheckForm,
    ),
    IMPORT: Page(
        "Import a provider's models",
        "This asks the upstream which models it has and makes all of them callable, with their known prices and "
        "lengths. What is there already stays as it is.",
        "download",
        ImportForm,
        "providers.add_aimodel",
    ),
    CHARGES: Page(
        "Export charges",
        "This writes the charges of those days into a CSV file, one line for each call. The file is kept for a week.",
        "table_view",
        ChargesForm,
    ),
    CONFIG: Page(
        "Export the set-up",
        "This writes providers, models and groups into a YAML file, as export_config does. Keys in it are references "
        "to environment variables, other secrets are masked. The file is kept for a week.",
        "settings_backup_restore",
        ConfigForm,
    ),
}


def may_start(request: HttpRequest, kind: str) -> bool:
    permission = PAGES[kind].permission
    by = _principal(request)
    return KINDS[kind].missing_of(by) is None and (not permission or request.user.has_perm(permission))


def _principal(request: HttpRequest) -> Principal:
    return principals.of_user(request.user)  # type: ignore[arg-type]  # the console's pages are for users alone


def start_url(kind: str) -> str:
    return reverse("admin:common_job_start", args=[kind])


def start_page(model_admin: Any, request: HttpRequest, kind: str) -> HttpResponse:
    """Asks on a GET, starts on a POST, and leads to the task."""
    page = PAGES.get(kind)
    if page is None:
        raise Http404
    if not may_start(request, kind):
        raise PermissionDenied
    form = page.form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return redirect("admin:common_job_change", form.start(_principal(request)).pk)
        except QueueFull as error:
            messages.error(request, str(error))
    context = {**model_admin.admin_site.each_context(request), "title": page.title, "opts": model_admin.opts}
    return TemplateResponse(request, "admin/console/task_start.html", {**context, "page": page, "form": form})


class TaskButtons(ConsoleAdmin):
    """Buttons above a list, for those who may; a list has those that it names in `actions_list`."""

    @action("Check all", icon=PAGES[CHECK].icon, permissions=["check"])
    def check_all(self, request: HttpRequest) -> HttpResponse:
        return redirect(start_url(CHECK))

    @action("Export charges", icon=PAGES[CHARGES].icon, permissions=["charges"])
    def export_charges(self, request: HttpRequest) -> HttpResponse:
        return redirect(start_url(CHARGES))

    @action("Export the set-up", icon=PAGES[CONFIG].icon, permissions=["config"])
    def export_config(self, request: HttpRequest) -> HttpResponse:
        return redirect(start_url(CONFIG))

    def has_check_permission(self, request: HttpRequest) -> bool:
        return may_start(request, CHECK)

    def has_charges_permission(self, request: HttpRequest) -> bool:
        return may_start(request, CHARGES)

    def has_config_permission(self, request: HttpRequest) -> bool:
        return may_start(request, CONFIG)
