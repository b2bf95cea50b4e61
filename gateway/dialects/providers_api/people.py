"""/api/users: people, who log in and have keys."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Scope, User
from accounts.services import members, personal_keys
from gateway.dialects.providers_api import schema_people as schema
from gateway.dialects.providers_api.bodies import body_of, parsed, query_of
from gateway.dialects.providers_api.envelope import DialectView, principal_of
from gateway.dialects.providers_api.refusals import Refusal, forbidden, no_user
from gateway.dialects.providers_api.serializers import ROLES, NewPerson, PersonChange, UserPage
from gateway.dialects.providers_api.shapes import DEFAULT_RPM, PROGRAM, moment, role, user_shape, uuid_of

JSON = dict[str, Any]

ORDERS: dict[str, Sequence[str]] = {
    "name": ("first_name", "last_name"),
    "email": ("email",),
    "userId": ("uuid",),
    "status": ("is_active",),
    "createdAt": ("date_joined",),
    "lastSignIn": ("last_login",),
}
NOTES = ("tenant", "isAgent", "limitRequestsPerMinute")
DEFAULTS: JSON = {"tenant": None, "isAgent": False, "limitRequestsPerMinute": DEFAULT_RPM}


class UserList(DialectView):
    scopes = {"GET": Scope.MEMBER_VIEW, "POST": Scope.MEMBER_INVITE}

    @schema.LIST
    def get(self, request: Request) -> Response:
        page = query_of(UserPage, request)
        found = matching(page["search"], has_no_key=page["forApiKeys"])
        shown = in_order(found, page["sortBy"], page["sortOrder"])[page["offset"] : page["offset"] + page["limit"]]
        return Response({"users": [user_shape(user) for user in shown], "total": found.count()})

    @schema.CREATE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        if not body.get("email") or not body.get("name"):
            raise Refusal(400, "email and name are required", "MISSING_FIELDS")
        fields = parsed(NewPerson, body)
        by = principal_of(request)
        if fields["createApiKey"] and not by.may(Scope.API_KEY_MANAGE):
            raise forbidden(f"A key needs the right {Scope.API_KEY_MANAGE}.")
        made = members.invite(
            by=by,
            email=fields["email"],
            name=fields["name"],
            is_admin=bool(is_admin(fields.get("roleId"), "user")),
            metadata={PROGRAM: {**DEFAULTS, **notes_of(fields)}},
        )
        content = {"user": user_shape(made.user), "password": made.password, "message": schema.MADE}
        if fields["createApiKey"]:
            content["apiKey"] = personal_keys.issue(user=made.user, made_by=by.person).secret
        return Response(content, 201, headers={"Cache-Control": "no-store"})


class UserDetail(DialectView):
    scopes = {"GET": Scope.MEMBER_VIEW, "PUT": Scope.MEMBER_UPDATE_ROLE, "DELETE": Scope.MEMBER_REMOVE}

    @schema.ONE
    def get(self, request: Request, user_id: str) -> Response:
        return Response({"user": user_shape(find(user_id))})

    @schema.CHANGE
    def put(self, request: Request, user_id: str) -> Response:
        fields = parsed(PersonChange, body_of(request))
        user = find(user_id)
        changed = members.change(
            by=principal_of(request),
            user=user,
            email=fields.get("email"),
            name=fields.get("name"),
            is_admin=is_admin(fields["roleId"], role(user)) if fields.get("roleId") else None,
            metadata={PROGRAM: notes_of(fields)},
        )
        return Response({"user": user_shape(changed)})

    @schema.DELETE
    def delete(self, request: Request, user_id: str) -> Response:
        members.switch_off(by=principal_of(request), user=find(user_id))
        return Response({"success": True})


class ResetPassword(DialectView):
    scopes = {"POST": Scope.MEMBER_UPDATE_ROLE}

    @schema.RESET
    def post(self, request: Request, user_id: str) -> Response:
        made = members.reset_password(by=principal_of(request), user=find(user_id))
        content = {"user": user_shape(made.user), "password": made.password, "message": schema.RESET_MADE}
        return Response(content, headers={"Cache-Control": "no-store"})


def find(text: str) -> User:
    uuid = uuid_of(text)
    user = User.objects.filter(uuid=uuid).first() if uuid else None
    if user is None:
        raise no_user()
    return user


def matching(search: str, *, has_no_key: bool) -> QuerySet[User]:
    names = ("username", "email", "first_name", "last_name")
    condition = Q()
    for name in names if search else ():
        condition |= Q(**{f"{name}__icontains": search})
    found = User.objects.filter(condition)
    keys = ApiKey.objects.filter(owner=OuterRef("pk"), is_active=True)
    return found.filter(~Exists(keys), is_active=True) if has_no_key else found


def in_order(found: QuerySet[User], column: str, direction: str) -> QuerySet[User]:
    """The newest first, unless both are known words."""
    if column not in ORDERS or direction.lower() not in ("asc", "desc"):
        return found.order_by("-date_joined", "-pk")
    columns = [F(name) for name in ORDERS[column]]
    is_ascending = direction.lower() == "asc"
    turned = [each.asc(nulls_last=True) if is_ascending else each.desc(nulls_last=True) for each in columns]
    return found.order_by(*turned, "pk")


def is_admin(wanted: str | None, now: str) -> bool | None:
    """Whether a role's word makes an admin of somebody; None leaves them as they are. Raises Refusal."""
    if wanted not in (None, now, *ROLES):
        raise Refusal(400, "Role not found", "ROLE_NOT_FOUND")
    return None if wanted == now else wanted == "admin"


def notes_of(fields: JSON) -> JSON:
    """What this dialect keeps with a person, of what was sent."""
    return {**{name: fields[name] for name in NOTES if name in fields}, "updatedAt": moment(timezone.now())}
