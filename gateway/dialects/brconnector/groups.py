"""/admin/group: keys that share a set of models (contract A2.4)."""

from typing import Any

from django.db import transaction
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Group
from common.models import ConfigVersion
from gateway.dialects.brconnector import schema_groups as schema
from gateway.dialects.brconnector.bodies import body_of, required, text_in
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import containing, listed, page_of
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import needed_id, path_id, time_text
from providers.services.managing import told_duplicate

JSON = dict[str, Any]


class GroupList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        page = page_of(request)
        return ok(listed(containing(Group.objects.order_by("id"), page.q, "name"), page, shape))


class GroupDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str) -> Response:
        group = Group.objects.filter(pk=path_id(id)).first()
        return ok(shape(group) if group else None)


class GroupSave(AdminView):
    @schema.SAVE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        group = find(body) if body.get("id") else Group(name=required(body, "name"))
        group.name = text_in(body, "name", group.name)
        if "key" in body:
            group.code = text_in(body, "key")
        return ok(shape(_stored(group)))


class GroupDelete(AdminView):
    @schema.DELETE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        with transaction.atomic():
            ConfigVersion.lock()
            find(body).delete()
        return ok(True)


def find(body: JSON, name: str = "id") -> Group:
    """The group whose number the body has. Raises Refusal."""
    group = Group.objects.filter(pk=needed_id(body, name)).first()
    if group is None:
        raise Refusal(f"{name} is invalid: there is no such group", 404, "not_found")
    return group


def _stored(group: Group) -> Group:
    with told_duplicate(__all__=f"{group.name} already exists"):
        group.full_clean()
        group.save()
    return group


def shape(group: Group) -> JSON:
    return {
        "id": group.pk,
        "name": group.name,
        "key": group.code,
        "created_at": time_text(group.created_at),
        "updated_at": time_text(group.updated_at),
    }


urlpatterns = [
    path("list", GroupList.as_view()),
    path("detail/<str:id>", GroupDetail.as_view()),
    path("save", GroupSave.as_view()),
    path("delete", GroupDelete.as_view()),
]
