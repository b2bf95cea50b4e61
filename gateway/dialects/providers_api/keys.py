"""/api/keys: the key that each person has."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import KeyExists
from accounts.models import ApiKey, Scope, User
from accounts.services import keys, personal_keys
from accounts.services.keys import IssuedKey
from accounts.services.principals import Principal
from gateway.dialects.providers_api import schema_keys as schema
from gateway.dialects.providers_api.bodies import body_of, parsed, query_of
from gateway.dialects.providers_api.envelope import DialectView, principal_of
from gateway.dialects.providers_api.people import find
from gateway.dialects.providers_api.refusals import Refusal, no_key
from gateway.dialects.providers_api.serializers import Page, PersonalKeyOf
from gateway.dialects.providers_api.shapes import key_shape, user_id

JSON = dict[str, Any]

LONGEST_ID = 18  # digits that 64 bits hold for sure


class KeyList(DialectView):
    scopes = {"GET": Scope.API_KEY_MANAGE, "POST": Scope.API_KEY_MANAGE}

    @schema.LIST
    def get(self, request: Request) -> Response:
        page = query_of(Page, request)
        held = ApiKey.objects.handed_out().filter(owner__isnull=False).order_by("-id")
        shown = held.select_related("owner")[page["offset"] : page["offset"] + page["limit"]]
        return Response({"keys": [key_shape(key) for key in shown], "total": held.count()})

    @schema.CREATE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        if not body.get("userId"):
            raise Refusal(400, "userId is required", "MISSING_USER_ID")
        user = find(parsed(PersonalKeyOf, body)["userId"])
        if not user.is_active:
            raise Refusal(403, "The user is not active", "USER_INACTIVE")
        try:
            issued = personal_keys.issue(user=user, made_by=principal_of(request).person)
        except KeyExists as error:
            raise Refusal(409, str(error), "KEY_EXISTS") from error
        return told(user, issued, schema.MADE, 201)


class UserKeys(DialectView):
    scopes = {"GET": Scope.API_KEY_MANAGE}

    @schema.OF_USER
    def get(self, request: Request, user_id: str) -> Response:
        held = personal_keys.of(user=find(user_id)).select_related("owner")
        return Response({"keys": [key_shape(key) for key in held]})


class RotateKey(DialectView):
    scopes = {"POST": Scope.API_KEY_MANAGE}

    @schema.ROTATE
    def post(self, request: Request, user_id: str) -> Response:
        user = find(user_id)
        issued = personal_keys.rotate(by=principal_of(request), key=held_by(user)[0])
        return told(user, issued, schema.ROTATED, 200)


class UserKey(DialectView):
    scopes = {"DELETE": Scope.API_KEY_MANAGE}

    @schema.DELETE_OF_USER
    def delete(self, request: Request, user_id: str) -> Response:
        return revoked(principal_of(request), held_by(find(user_id)))


class OneKey(DialectView):
    scopes = {"DELETE": Scope.API_KEY_MANAGE}

    @schema.DELETE
    def delete(self, request: Request, key_id: str) -> Response:
        is_id = key_id.isascii() and key_id.isdecimal() and len(key_id) <= LONGEST_ID
        key = ApiKey.objects.handed_out().filter(pk=int(key_id)).first() if is_id else None
        if key is None:
            raise no_key()
        return revoked(principal_of(request), [key])


def held_by(user: User) -> list[ApiKey]:
    """At least one; raises Refusal."""
    held = list(personal_keys.of(user=user))
    if not held:
        raise no_key()
    return held


def revoked(by: Principal, held: list[ApiKey]) -> Response:
    for key in held:
        personal_keys.check_rank(by=by, key=key)
    for key in held:
        keys.revoke(key=key)
    return Response({"success": True})


def told(user: User, issued: IssuedKey, message: str, status: int) -> Response:
    """The only time that a key's secret is told."""
    content = {"apiKey": issued.secret, "userId": user_id(user), "message": message}
    return Response(content, status, headers={"Cache-Control": "no-store"})
