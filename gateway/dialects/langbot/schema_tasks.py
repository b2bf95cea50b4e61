"""What the OpenAPI document says of background tasks."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from accounts.models import Scope
from gateway.dialects.langbot.bodies_tasks import ExportSerializer, ImportSerializer
from gateway.dialects.langbot.schema import (
    BAD_BODY,
    BODY_REFUSALS,
    DONE,
    JSON,
    STRING,
    TAG,
    answer,
    body,
    described,
    envelope,
    forbidden,
    refusal,
    refused,
)

INTEGER: JSON = {"type": "integer"}
PERHAPS_TEXT: JSON = {**STRING, "nullable": True}
PERHAPS_NUMBER: JSON = {**INTEGER, "nullable": True}
ANYTHING: JSON = {"type": "object", "nullable": True, "additionalProperties": {}}

PUBLIC = described(
    id=INTEGER,
    task_type={"type": "string", "enum": ["user", "system"]},
    kind=STRING,
    status={"type": "string", "enum": ["running", "succeeded", "failed", "cancelled"]},
    error={
        **described(type={"type": "string", "enum": ["task_failed", "task_cancelled"]}, message=STRING),
        "nullable": True,
        "description": "Not null just when it has failed or was cancelled.",
    },
    result={**ANYTHING, "description": "What came of it; null unless it has succeeded."},
    created_at={"type": "number", "description": "Seconds since 1970."},
    progress=described(done=INTEGER, total=PERHAPS_NUMBER, percent=PERHAPS_NUMBER),
    file={**described(name=STRING, size=INTEGER), "nullable": True},
)
FULL_ONLY = described(
    name=STRING,
    label=STRING,
    workspace_uuid={"type": "string", "format": "uuid"},
    placement_generation=INTEGER,
    scopes={"type": "array", "items": {"type": "string", "enum": Scope.values}},
    task_context=described(current_action=STRING, log=STRING, metadata=described(made_by=STRING)),
    runtime=described(
        done={"type": "boolean"},
        state={"type": "string", "enum": ["PENDING", "FINISHED", "CANCELLED"]},
        exception=PERHAPS_TEXT,
        exception_traceback=PERHAPS_TEXT,
        result=ANYTHING,
    ),
)
# A program sees the first part alone, a person both.
TASK: JSON = {**PUBLIC, "properties": {**PUBLIC["properties"], **FULL_ONLY["properties"]}}
PUBLIC_EXAMPLE: JSON = {
    "created_at": 1767323045.0,
    "error": None,
    "file": None,
    "id": 7,
    "kind": "provider-check",
    "progress": {"done": 3, "percent": 100, "total": 3},
    "result": {"failed": [], "keys": 4, "providers": 3, "well": 4},
    "status": "succeeded",
    "task_type": "user",
}
ID = OpenApiParameter("id", int, OpenApiParameter.PATH, description="The task's number.")
UNKNOWN = refusal("There is none of that number", "Task not found", 404)
FULL_QUEUE = refusal(
    "A hundred tasks are not over yet", "Too many tasks wait; try again when some are done.", "task_capacity_exceeded"
)
REFUSED = refused("resource.view")
STARTED = answer("Its number", envelope(task_id=INTEGER), {"task_id": 7})
TYPE = OpenApiParameter("type", str, description="user or system; all without it, and none for another word.")
KIND = OpenApiParameter("kind", str, description="Such as provider-check; all without it.")


def starts(scope: str, **more: Any) -> Any:
    """The answers of a request that starts a task."""
    return {200: STARTED, **REFUSED, 403: forbidden(scope), 429: FULL_QUEUE, **more}


LIST = extend_schema(
    operation_id="listTasks",
    summary="Background tasks, the oldest first",
    description="The last 200 that are over are kept, for 30 days. Without resource.view one sees the exports whose "
    "files one may read. `id_index` and a task's further fields are for users' tokens only.",
    tags=[TAG],
    parameters=[TYPE, KIND],
    responses={
        200: answer(
            "The tasks",
            {
                **envelope(),
                "properties": {
                    "code": INTEGER,
                    "msg": STRING,
                    "data": {
                        "type": "object",
                        "required": ["tasks"],
                        "properties": {"tasks": {"type": "array", "items": TASK}, "id_index": INTEGER},
                    },
                },
            },
            {"tasks": [PUBLIC_EXAMPLE]},
        ),
        **REFUSED,
    },
)
ONE = extend_schema(
    operation_id="getTask",
    summary="One background task",
    description="Ask again while its `status` is running. With a user's token it has more fields.",
    tags=[TAG],
    parameters=[ID],
    responses={
        200: answer("It", described(code=INTEGER, data=TASK, msg=STRING), PUBLIC_EXAMPLE),
        404: UNKNOWN,
        **REFUSED,
    },
)
CANCEL = extend_schema(
    operation_id="cancelTask",
    summary="Cancel a background task",
    description="At once if it waits; if it runs, before its next step. What it has done by then stays.",
    tags=[TAG],
    parameters=[ID],
    request=None,
    responses={
        200: DONE,
        404: UNKNOWN,
        409: refusal("It is over already", "Task is over", "task_finished"),
        **REFUSED,
        403: forbidden(Scope.RUNTIME_OPERATE),
    },
)
SET_UP = described(
    version=INTEGER,
    providers={"type": "array", "items": {"type": "object", "additionalProperties": {}}},
    groups={"type": "array", "items": {"type": "object", "additionalProperties": {}}},
)
CSV = "time,request_id,key\n2026-01-02T03:04:05Z,req_1,alice\n"
FILE = extend_schema(
    operation_id="getTaskFile",
    summary="The file that an export made",
    description="Kept for seven days. Charges take data.export or audit.view, the set-up data.export.",
    tags=[TAG],
    parameters=[ID],
    responses={
        (200, "text/csv"): OpenApiResponse(
            OpenApiTypes.STR, "Charges, or the set-up as application/yaml", [OpenApiExample("Charges", CSV)]
        ),
        (200, "application/yaml"): OpenApiResponse(SET_UP, "The set-up"),
        404: refusal("There is no such task, or no file of it", "Task has no file", 404),
        **REFUSED,
        403: forbidden(Scope.DATA_EXPORT),
    },
)
CHECK = extend_schema(
    operation_id="checkProviders",
    summary="Check all providers, in the background",
    description="Every key of every enabled provider is tried with a request that costs nothing. While such a task "
    "waits or runs, its number is answered and no other is started; so with the other kinds.",
    tags=[TAG],
    request=None,
    responses=starts(Scope.RUNTIME_OPERATE),
)
IMPORT = extend_schema(
    operation_id="importModels",
    summary="Import a provider's models, in the background",
    description="The upstream is asked what it has. What is there already stays as it is.",
    tags=[TAG],
    parameters=[OpenApiParameter("uuid", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The provider's.")],
    request=ImportSerializer,
    examples=body({"models": ["gpt-4o", "gpt-4o-mini"], "prefix": "openai/"}),
    responses={
        **starts(Scope.PROVIDER_SECRET_MANAGE),
        400: refusal("A field is wrong", "models: This list may not be empty."),
        404: refusal("There is no such provider", "Resource not found", "resource_not_found"),
        **BODY_REFUSALS,
    },
)
EXPORT = extend_schema(
    operation_id="startExport",
    summary="Export the set-up (YAML) or charges (CSV), in the background",
    description="The set-up takes resource.view as well; secrets in it are references, never the secrets.",
    tags=[TAG],
    request=ExportSerializer,
    examples=body({"kind": "charges", "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}),
    responses={**starts(Scope.DATA_EXPORT), 400: BAD_BODY, **BODY_REFUSALS},
)
