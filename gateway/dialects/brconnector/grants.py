"""Which models a group's keys or one key may call: told and changed (contract A2.5)."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Group, GroupGrant, KeyGrant
from accounts.services import grants
from gateway.dialects.brconnector import models
from gateway.dialects.brconnector import schema_grants as schema
from gateway.dialects.brconnector.bodies import body_of, row_in, text_in
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import containing, id_parameter, listed, page_of
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import time_text
from providers.models import AIModel
from providers.services import flat

JSON = dict[str, Any]

ACTIONS = {"": None, "bind": True, "unbind": False}  # without one it is turned round
OF_MODEL = ("multiple", "price_in", "price_out", "provider", "config")


class GroupModels(AdminView):
    @schema.LIST_OF_GROUPS
    def get(self, request: Request) -> Response:
        return ok(page_of_grants(request, GroupGrant.objects.all(), "group"))


class KeyModels(AdminView):
    @schema.LIST_OF_KEYS
    def get(self, request: Request) -> Response:
        held = KeyGrant.objects.filter(key__in=ApiKey.objects.handed_out())
        return ok(page_of_grants(request, held, "key"))


class GroupBinding(AdminView):
    @schema.BIND_TO_GROUP
    def post(self, request: Request) -> Response:
        body = body_of(request)
        return ok(bound(body, row_in(body, Group.objects.all(), "group", "group_id")))


class KeyBinding(AdminView):
    @schema.BIND_TO_KEY
    def post(self, request: Request) -> Response:
        body = body_of(request)
        return ok(bound(body, row_in(body, ApiKey.objects.handed_out(), "key", "key_id")))


def page_of_grants(request: Request, rows: QuerySet[Any], owner: str) -> JSON:
    """`owner`: the column of whoever it is granted to."""
    bounds = {name: id_parameter(request, f"{name}_id") for name in (owner, "model")}
    rows = rows.filter(**{name: id for name, id in bounds.items() if id is not None})
    page = page_of(request)
    found = containing(rows, page.q, f"{owner}__name", "model__name")
    models_too = Prefetch("model", flat.readable(AIModel.objects.all()))
    shown = found.select_related(owner).prefetch_related(models_too).order_by("id")
    return listed(shown, page, lambda grant: shape(grant, owner))


def bound(body: JSON, owner: ApiKey | Group) -> str:
    """Grants or takes back, and says which. Raises Refusal."""
    model = row_in(body, AIModel.objects.all(), "model", "model_id")
    action = text_in(body, "action")
    if action not in ACTIONS:
        raise Refusal("action: Give bind or unbind, or leave it out.")
    is_granted = grants.change(owner=owner, model_id=model.pk, is_granted=ACTIONS[action])
    return "created" if is_granted else "deleted"


def shape(grant: Any, owner: str) -> JSON:
    """`owner`: the column of whoever it is granted to."""
    model, whose = models.shape(grant.model), getattr(grant, owner)
    return {
        "id": grant.pk,
        "model_id": model["id"],
        f"{owner}_id": whose.pk,
        "created_at": time_text(grant.created_at),
        "updated_at": time_text(grant.updated_at),
        f"{owner}_name": whose.name,
        "model_name": model["name"],
        **{name: model[name] for name in OF_MODEL},
    }


group_urlpatterns = [
    path("list-model", GroupModels.as_view()),
    path("bind-or-unbind-model", GroupBinding.as_view()),
]
key_urlpatterns = [
    path("list-model", KeyModels.as_view()),
    path("bind-or-unbind-model", KeyBinding.as_view()),
]
