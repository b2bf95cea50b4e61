"""/api/v1/system/tasks: background tasks, and the requests that start one. Those answer its number: {"task_id": 7}.

What a key sees of a task (`public`) a person sees as well, and more (`full`).
"""

from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope
from common import jobs
from common.models import Job, JobState
from gateway.dialects.langbot import schema_tasks as schema
from gateway.dialects.langbot.bodies_tasks import ExportSerializer, ImportSerializer
from gateway.dialects.langbot.envelope import DialectView, ok, parsed, principal_of
from gateway.dialects.langbot.identity import workspace_uuid
from gateway.dialects.langbot.refusals import Refusal
from gateway.jobs import kinds, starting
from gateway.jobs.download import file_response
from gateway.jobs.kinds import CONFIG, KINDS
from providers.models import Provider

JSON = dict[str, Any]

MOST_LISTED = 300
LONGEST_ID = 18  # digits of a 64-bit number
WAITING = "Waiting for a worker"

STATUS = {JobState.QUEUED: "running"}  # the rest are this dialect's own words
RUNTIME = {JobState.QUEUED: "PENDING", JobState.RUNNING: "PENDING", JobState.CANCELLED: "CANCELLED"}
ERROR_TYPES = {JobState.FAILED: "task_failed", JobState.CANCELLED: "task_cancelled"}


class TaskList(DialectView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        wanted = {"task_type": request.query_params.get("type"), "kind": request.query_params.get("kind")}
        newest = _seen(request).defer("arguments", "memory")[:MOST_LISTED]
        is_person = principal_of(request).user is not None
        shown = [full(job) if is_person else public(job) for job in reversed(newest)]
        tasks = [each for each in shown if all(not value or each[name] == value for name, value in wanted.items())]
        return ok({"tasks": tasks, **({"id_index": _next_id()} if is_person else {})})


class TaskDetail(DialectView):
    @schema.ONE
    def get(self, request: Request, id: str) -> Response:
        job = _find(request, id)
        return ok(full(job) if principal_of(request).user else public(job))


class TaskCancel(DialectView):
    scopes = {"POST": Scope.RUNTIME_OPERATE}

    @schema.CANCEL
    def post(self, request: Request, id: str) -> Response:
        if not jobs.cancel(job=_find(request, id)):
            raise Refusal(409, "Task is over", "task_finished")
        return ok({})


class TaskFile(DialectView):
    @schema.FILE
    def get(self, request: Request, id: str) -> StreamingHttpResponse:
        job = _find(request, id)
        kind = KINDS.get(job.kind)
        if kind is None or not job.file_name:
            raise Refusal(404, "Task has no file", 404)
        if not kind.may_read(principal_of(request)):
            raise Refusal(
                403, f"Missing Workspace permission: {kind.unread_without(principal_of(request))}", "permission_denied"
            )
        return file_response(job)


class ProviderCheck(DialectView):
    scopes = {"POST": Scope.RUNTIME_OPERATE}

    @schema.CHECK
    def post(self, request: Request) -> Response:
        return _started(starting.check_providers(by=principal_of(request)))


class ModelImport(DialectView):
    scopes = {"POST": Scope.PROVIDER_SECRET_MANAGE}

    @schema.IMPORT
    def post(self, request: Request, uuid: str) -> Response:
        provider = _find_provider(uuid)
        asked = parsed(ImportSerializer, request, is_optional=True)
        names, prefix = asked.get("models"), asked.get("prefix", "")
        return _started(starting.import_models(provider=provider, names=names, prefix=prefix, by=principal_of(request)))


class Exports(DialectView):
    scopes = {"POST": Scope.DATA_EXPORT}

    @schema.EXPORT
    def post(self, request: Request) -> Response:
        asked = parsed(ExportSerializer, request)
        principal = principal_of(request)
        if asked["kind"] == "charges":
            return _started(starting.export_charges(since=asked.get("since"), until=asked.get("until"), by=principal))
        if missing := KINDS[CONFIG].missing_of(principal):
            raise Refusal(403, f"Missing Workspace permission: {missing}", "permission_denied")
        return _started(starting.export_config(by=principal))


def _started(job: Job) -> Response:
    return ok({"task_id": job.pk})


def _seen(request: Request) -> QuerySet[Job]:
    """The tasks that whoever calls may see."""
    principal = principal_of(request)
    if not kinds.may_see_any(principal):
        raise Refusal(403, f"Missing Workspace permission: {Scope.RESOURCE_VIEW}", "permission_denied")
    return kinds.seen_by(principal)


def _find(request: Request, id: str) -> Job:
    is_number = id.isascii() and id.isdecimal() and len(id) <= LONGEST_ID
    seen = _seen(request)
    job = seen.filter(pk=int(id)).first() if is_number else None
    if job is None:
        raise Refusal(404, "Task not found", 404)
    return job


def _find_provider(text: str) -> Provider:
    try:
        provider = Provider.objects.filter(uuid=UUID(text)).first()
    except ValueError:
        provider = None
    if provider is None:
        raise Refusal(404, "Resource not found", "resource_not_found")
    return provider


def _next_id() -> int:
    return (Job.objects.aggregate(newest=Max("id"))["newest"] or 0) + 1


def public(job: Job) -> JSON:
    """A task for a program. `progress` and `file` are ours: its client passes over what it does not know."""
    type_ = ERROR_TYPES.get(JobState(job.state))
    return {
        "id": job.pk,
        "task_type": "user" if job.made_by else "system",
        "kind": job.kind,
        "status": STATUS.get(JobState(job.state), job.state),
        "error": {"type": type_, "message": job.error} if type_ else None,
        "result": job.result,
        "created_at": job.created_at.timestamp(),
        "progress": {"done": job.done, "total": job.total, "percent": job.percent},
        "file": {"name": job.file_name, "size": job.file_size} if job.file_name else None,
    }


def full(job: Job) -> JSON:
    """A task for a person. Nobody is shown a traceback: that is the log's."""
    shown = public(job)
    kind = KINDS.get(job.kind)
    return {
        **shown,
        "name": f"{job.kind}-{job.pk}",
        "label": job.label,
        "workspace_uuid": workspace_uuid(),
        "placement_generation": job.attempt,
        "scopes": sorted(kind.start) if kind else [],
        "task_context": {
            "current_action": WAITING if job.state == JobState.QUEUED else job.action,
            "log": job.log,
            "metadata": {"made_by": job.made_by},
        },
        "runtime": {
            "done": job.is_over,
            "state": RUNTIME.get(JobState(job.state), "FINISHED"),
            "exception": job.error or None,
            "exception_traceback": None,
            "result": job.result,
        },
    }
