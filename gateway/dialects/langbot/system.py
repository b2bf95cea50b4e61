"""/api/v1/system/*: what a client asks before anything else, and GET /healthz."""

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.dialects.langbot import schema_system as schema
from gateway.dialects.langbot.authentication import KeyAuthentication
from gateway.dialects.langbot.envelope import DialectView, ok, principal_of
from gateway.dialects.langbot.identity import instance_uuid, workspace_uuid
from gateway.dialects.langbot.refusals import Refusal
from gateway.health import database_answers

VERSION = "v4.11.2"  # of the API that is spoken here: clients read it as such
NO_LIMIT = -1

# What there is no more of than the API itself: no bots, plug-ins, invitations or cloud stand behind it.
ABSENT = {
    "beta": False,
    "enable_marketplace": False,
    "cloud_service_url": "",
    "disable_models_service": True,
    "mcp_stdio_enabled": False,
    "outbound_ips": [],
    "limitation": dict.fromkeys(("max_bots", "max_pipelines", "max_extensions", "max_knowledge_bases"), NO_LIMIT),
    "invitation_delivery": {"enabled": False, "provider": None},
    "cloud_banner": None,
    "wizard_status": "skipped",
    "wizard_progress": None,
}

MODEL_OPERATIONS = ("list", "get", "create", "update", "delete", "test")
# What a client may ask of this server; one that looks here first calls nothing else.
OPERATIONS = (
    *(f"provider.{name}" for name in ("list", "get", "create", "update", "delete", "scan_models")),
    *(f"model.{kind}.{name}" for kind in ("llm", "embedding", "rerank") for name in MODEL_OPERATIONS),
    "task.list",
    "task.get",
)


class Info(DialectView):
    authentication_classes = ()

    @schema.INFO
    def get(self, request: Request) -> Response:
        about = {"version": VERSION, "edition": "community", "deployment_mode": "oss"}
        return ok({**ABSENT, **about, "debug": settings.DEBUG, "allow_modify_login_info": True})


class Context(DialectView):
    """Where a key belongs, and what it may do."""

    authentication_classes = (KeyAuthentication,)

    @schema.CONTEXT
    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        return ok(
            {
                "instance_uuid": instance_uuid(),
                "workspace_uuid": workspace_uuid(),
                "api_key_id": str(principal.key.uuid) if principal.key else None,
                "permissions": sorted(principal.rights),
            }
        )


class Capabilities(DialectView):
    authentication_classes = (KeyAuthentication,)

    @schema.CAPABILITIES
    def get(self, request: Request) -> Response:
        return ok({"schema_version": 1, "operations": {name: {"supported": True} for name in OPERATIONS}})


class Health(DialectView):
    """For probes that know this dialect's path; outside the envelope's `data`, as the contract has it."""

    authentication_classes = ()

    @schema.HEALTH
    def get(self, request: Request) -> Response:
        if not database_answers():
            raise Refusal(503, "The database does not answer. Try again shortly.", "unavailable", retry_after=2)
        return Response({"code": 0, "msg": "ok", "resources": {"database": "ok"}})
