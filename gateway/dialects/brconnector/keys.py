"""/admin/api-key: a key is the record of whoever has it (contract A2.1). Its secret is told when it is made."""

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Role
from accounts.services import keys
from accounts.services.keys import IssuedKey
from accounts.services.ledger.decisions import this_month
from accounts.services.payments import Maker
from chat.services import conversations
from gateway.dialects.brconnector import schema_keys as schema
from gateway.dialects.brconnector.bodies import body_of, required, text_in
from gateway.dialects.brconnector.envelope import AdminView, UserView, key_of, ok
from gateway.dialects.brconnector.groups import group_in
from gateway.dialects.brconnector.lists import one
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import (
    NO_GROUP,
    amount_in,
    amount_or,
    id_in,
    money,
    path_id,
    quota_of,
    quota_text,
    time_text,
)

JSON = dict[str, Any]

NEW_SECRET: JSON = {"start": "br-", "length": 29}  # its clients know a key by these
WHICH = "api_key or id is required"
UNKNOWN = "api_key or id is invalid"


class KeyDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(one(ApiKey.objects.handed_out(), path_id(id), shape))


class MyKey(UserView):
    @schema.MINE
    def get(self, request: Request) -> Response:
        return ok(shape(key_of(request)))


class KeyApply(AdminView):
    @schema.APPLY
    def post(self, request: Request) -> Response:
        return ok(told(applied(body_of(request))), is_secret=True)


class KeyUpdate(AdminView):
    @schema.UPDATE
    def post(self, request: Request) -> Response:
        key = updated(body_of(request))
        return ok({**short(key), "group_id": key.group_id or NO_GROUP})


class KeyRecharge(AdminView):
    @schema.RECHARGE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        key = find(body)
        amount = amount_or(body, "balance", Decimal(0))
        if amount <= 0:
            raise Refusal("balance is required")
        keys.recharge(key=key, amount=amount, by=Maker(key=key_of(request)))
        return ok(short(key))


class KeyReset(AdminView):
    @schema.RESET
    def post(self, request: Request) -> Response:
        return ok(told(keys.renew(key=find(body_of(request)), **NEW_SECRET)), is_secret=True)


class KeyDelete(AdminView):
    @schema.DELETE
    def post(self, request: Request) -> Response:
        conversations.retire_key(key=find(body_of(request)))
        return ok(True)


@transaction.atomic
def applied(body: JSON) -> IssuedKey:
    """A new key as the body asks. Raises Refusal or ValidationError."""
    return keys.issue(
        name=required(body, "name"),
        email=text_in(body, "email"),
        role=text_in(body, "role", Role.USER),
        group=group_in(body),
        month_quota=quota_of(amount_or(body, "month_quota", Decimal(0))),
        balance=amount_or(body, "balance", Decimal(0)),
        **NEW_SECRET,
    )


@transaction.atomic
def updated(body: JSON) -> ApiKey:
    """A key with what the body changes. Raises Refusal or ValidationError."""
    if not body.get("id"):
        raise Refusal("id is required")
    return keys.change(key=find(body), **changes_in(body))


def find(body: JSON) -> ApiKey:
    """The key with this number, or with this secret: a mask finds nothing. Raises Refusal."""
    secret = text_in(body, "api_key")
    if not (body.get("id") or secret):
        raise Refusal(WHICH)
    condition: JSON = {"pk": id_in(body, "id")} if body.get("id") else {"digest": keys.digest(secret)}
    key = ApiKey.objects.handed_out().filter(**condition).first()
    if key is None:
        raise Refusal(UNKNOWN, 404, "not_found")
    return key


def changes_in(body: JSON) -> JSON:
    """The columns to change, without those that are blank. Raises Refusal.

    An e-mail address, a balance and no group are passed over, as in the original: its clients send whole rows back.
    """
    texts = {name: text for name in ("name", "role") if (text := text_in(body, name))}
    group = group_in(body)
    has_quota = body.get("month_quota") not in (None, "")
    quota = {"month_quota": quota_of(amount_in(body, "month_quota"))} if has_quota else {}
    return {**texts, **({"group": group} if group else {}), **quota}


def shape(key: ApiKey) -> JSON:
    return {
        "id": key.pk,
        "group_id": key.group_id or NO_GROUP,
        "api_key": masked(key),
        "name": key.name,
        "email": key.email,
        "role": key.role,
        "total_fee": money(key.spent),
        "balance": money(key.balance),
        "month_fee": money(key.fee_in(this_month())),
        "month_quota": quota_text(key),
        "created_at": time_text(key.created_at),
        "updated_at": time_text(max(key.updated_at, key.last_used_at or key.updated_at)),
    }


def short(key: ApiKey) -> JSON:
    return {
        "id": key.pk,
        "name": key.name,
        "email": key.email,
        "api_key": masked(key),
        "role": key.role,
        "month_quota": quota_text(key),
        "balance": money(key.balance),
    }


def told(issued: IssuedKey) -> JSON:
    """The only time that a secret is told."""
    return {**short(issued.key), "api_key": issued.secret}


def masked(key: ApiKey) -> str:
    return f"{key.prefix}***{key.suffix}"


urlpatterns = [
    path("detail/<str:id>", KeyDetail.as_view()),
    path("apply", KeyApply.as_view()),
    path("update", KeyUpdate.as_view()),
    path("recharge", KeyRecharge.as_view()),
    path("reset-key", KeyReset.as_view()),
    path("delete", KeyDelete.as_view()),
]
user_urlpatterns = [path("mine", MyKey.as_view())]
