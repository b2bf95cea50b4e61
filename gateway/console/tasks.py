"""The console's pages of background tasks: a list with bars that move, and a page for each one."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.models import Scope
from accounts.services import principals
from accounts.services.principals import Principal
from common import jobs
from common.console import ReadOnlyAdmin, display, moment, time_column
from common.models import Job, JobState
from gateway.console.starting import TaskButtons, start_page
from gateway.jobs.download import file_response
from gateway.jobs.kinds import KINDS, may_see_any, seen_by

COLORS = {
    JobState.QUEUED: "warning",
    JobState.RUNNING: "info",
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "danger",
}
UNCOUNTED = {JobState.QUEUED: "waits", JobState.RUNNING: "begins"}
UNITS = (("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000))


def _principal(request: HttpRequest) -> Principal:
    return principals.of_user(request.user)  # type: ignore[arg-type]  # no stranger comes so far


def _may_cancel(request: HttpRequest) -> bool:
    return _principal(request).may(Scope.RUNTIME_OPERATE)


class JobAdmin(TaskButtons, ReadOnlyAdmin):
    """What may be seen and done follows from the rights that the APIs ask for."""

    actions_list = ("check_all", "export_charges", "export_config")
    list_before_template = "admin/console/task_waits.html"
    list_display = ("label", "state_now", "progress", "made_by", time_column("created_at", "started"), "took")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("label", "made_by")

    class Media:
        js = ("weighbridge/tasks.js",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_any(_principal(request))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return seen_by(_principal(request)).defer("arguments", "memory")

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        return [
            path("start/<str:kind>/", view(self.start), name="common_job_start"),
            path("<int:pk>/cancel/", view(require_POST(self.cancel)), name="common_job_cancel"),
            path("<int:pk>/file/", view(self.file), name="common_job_file"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"waits": jobs.waits_for_worker(), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self._find(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": str(job),
            "opts": self.opts,
            "original": job,
            "job": job,
            "media": self.media,
            "color": COLORS.get(JobState(job.state), ""),
            "waits": job.state == JobState.QUEUED and jobs.waits_for_worker(),
            "may_cancel": not job.is_over and _may_cancel(request),
            "may_read": _may_read(request, job),
            "counted": counted(job),
            "size": size(job.file_size),
            "times": list(_times(job)),
            "outcome": list(outcome(job.result or {})),
        }
        return TemplateResponse(request, "admin/console/task.html", context)

    def start(self, request: HttpRequest, kind: str) -> HttpResponse:
        return start_page(self, request, kind)

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._find(request, str(pk))
        if not _may_cancel(request):
            raise PermissionDenied
        if not jobs.cancel(job=job):
            messages.warning(request, "It was over already.")
        return redirect("admin:common_job_change", pk)

    def file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        job = self._find(request, str(pk))
        if not job.file_name:
            raise Http404
        if not _may_read(request, job):
            raise PermissionDenied
        return file_response(job)

    def _find(self, request: HttpRequest, pk: str) -> Job:
        if not self.has_view_permission(request):
            raise PermissionDenied
        job: Job | None = self.get_object(request, pk)
        if job is None:
            raise Http404
        return job

    @display(description="state", ordering="state")
    def state_now(self, job: Job) -> str:
        label = {"text": job.get_state_display(), "type": COLORS.get(JobState(job.state), "")}
        return render_to_string("admin/console/task_state.html", {"job": job, "label": label})

    @display(description="progress")
    def progress(self, job: Job) -> str:
        return render_to_string(
            "admin/console/task_progress.html", {"job": job, "counted": counted(job), "is_short": True}
        )

    @display(description="took")
    def took(self, job: Job) -> str:
        return format_html('<span data-live="took-{}">{}</span>', job.pk, _took(job))


def _may_read(request: HttpRequest, job: Job) -> bool:
    kind = KINDS.get(job.kind)
    return bool(job.file_name and kind and kind.may_read(_principal(request)))


def counted(job: Job) -> str:
    """How far it is, in words."""
    if job.total:
        return f"{job.done:,} of {job.total:,}"
    return f"{job.done:,}" if job.done else UNCOUNTED.get(JobState(job.state), "–")


def _took(job: Job) -> str:
    if job.started_at is None:
        return "–"
    seconds = ((job.finished_at or timezone.now()) - job.started_at).total_seconds()
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{max(seconds, 0):.1f} s"


def _times(job: Job) -> Iterator[tuple[str, str]]:
    yield "Started by", job.made_by
    yield "Started", moment(job.created_at)
    if job.finished_at:
        yield "Ended", f"{moment(job.finished_at)}, after {_took(job)}"
    if job.attempt > 1:
        yield "Attempts", f"{job.attempt}, {job.crashes} of them cut off"


def outcome(result: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A result as people read it: a name, and a line for each thing that it says."""
    for name, value in result.items():
        lines = value if isinstance(value, list) else [value]
        if lines:
            yield name.replace("_", " ").capitalize(), [_line(line) for line in lines]


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['provider']} ({value['key']}): {value['error']}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def size(count: int) -> str:
    """Bytes as people read them."""
    unit, factor = next(((unit, factor) for unit, factor in reversed(UNITS) if count >= factor), ("bytes", 1))
    return f"{count / factor:.3g} {unit}" if factor > 1 else f"{count} {unit}"
