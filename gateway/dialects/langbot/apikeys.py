"""/api/v1/apikeys: the keys of programs. A person manages them, no key does; a secret is shown once, when it is made.

The list has the console's keys too, for they open the same doors.
"""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Scope
from accounts.services import keys
from gateway.dialects.langbot import schema_apikeys as schema
from gateway.dialects.langbot.authentication import UserAuthentication
from gateway.dialects.langbot.bodies_apikeys import INVALID, KeyChangeSerializer, NewKeySerializer
from gateway.dialects.langbot.envelope import DialectView, ok, parsed, person_of, principal_of, time_text
from gateway.dialects.langbot.identity import workspace_uuid
from gateway.dialects.langbot.refusals import Refusal

JSON = dict[str, Any]

SECRET_START = "lbk_"  # clients know a key from a token by it


class KeyView(DialectView):
    authentication_classes = (UserAuthentication,)
    scopes = dict.fromkeys(("GET", "POST", "PUT", "DELETE"), Scope.API_KEY_MANAGE)


class KeyList(KeyView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        return ok({"keys": [shape(key) for key in _keys().order_by("created_at", "id")]})

    @schema.CREATE
    def post(self, request: Request) -> Response:
        asked = parsed(NewKeySerializer, request, code=INVALID)
        issued = keys.hand_out(
            rights=principal_of(request).rights,
            name=asked["name"],
            description=asked.get("description") or "",
            scopes=asked.get("scopes"),
            expires_at=asked.get("expires_at"),
            made_by=person_of(request),
            start=SECRET_START,
        )
        return ok({"key": {**shape(issued.key), "key": issued.secret, "secret_available": True}}, is_secret=True)


class KeyDetail(KeyView):
    @schema.ONE
    def get(self, request: Request, id: int) -> Response:
        return ok({"key": shape(_find(id, "API key not found"))})

    @schema.CHANGE
    def put(self, request: Request, id: int) -> Response:
        asked = parsed(KeyChangeSerializer, request, code=INVALID)
        keys.describe(key=_find(id), name=asked.get("name"), description=asked.get("description"))
        return ok({})

    @schema.REVOKE
    def delete(self, request: Request, id: int) -> Response:
        keys.revoke(key=_find(id))
        return ok({})


def _keys() -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(is_internal=False).select_related("made_by")


def _find(id: int, message: str = "Resource not found") -> ApiKey:
    key = _keys().filter(pk=id).first()
    if key is None:
        raise Refusal(404, message, "resource_not_found")
    return key


def shape(key: ApiKey) -> JSON:
    """A key's row in this dialect's shape, without its secret: nobody has that any more."""
    return {
        "id": key.pk,
        "uuid": str(key.uuid),
        "workspace_uuid": workspace_uuid(),
        "created_by_account_uuid": str(key.made_by.uuid) if key.made_by else None,
        "name": key.name,
        "description": key.description,
        "scopes": sorted(key.rights),
        "status": "active" if key.is_active else "revoked",
        "expires_at": time_text(key.expires_at),
        "last_used_at": time_text(key.last_used_at),
        "created_at": time_text(key.created_at),
        "updated_at": time_text(key.updated_at),
        "secret_available": False,
    }
