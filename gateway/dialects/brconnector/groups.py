"""/admin/group: keys that share a set of models (contract A2.4)."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Group
from accounts.services import groups
from gateway.dialects.brconnector import schema_groups as schema
from gateway.dialects.brconnector.bodies import body_of, known, required, text_in
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import containing, listed, one, page_of
from gateway.dialects.brconnector.values import NO_GROUP, id_in, needed_id, path_id, time_text

JSON = dict[str, Any]


class GroupList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        page = page_of(request)
        return ok(listed(containing(Group.objects.order_by("id"), page.q, "name"), page, shape))


class GroupDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(one(Group.objects.all(), path_id(id), shape))


class GroupSave(AdminView):
    @schema.SAVE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        if not body.get("id"):
            return ok(shape(groups.make(name=required(body, "name"), code=text_in(body, "key"))))
        code = text_in(body, "key") if "key" in body else None
        with known("group"):
            return ok(shape(groups.change(group_id=needed_id(body), name=text_in(body, "name") or None, code=code)))


class GroupDelete(AdminView):
    @schema.DELETE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        with known("group"):
            groups.delete(group_id=needed_id(body))
        return ok(True)


def group_in(body: JSON) -> Group | None:
    """The group that is named, if any; it stays until this transaction ends. Raises Refusal."""
    if body.get("group_id") in (None, ""):
        return None
    id = id_in(body, "group_id")
    with known("group", "group_id"):
        return None if id == NO_GROUP else groups.locked(id)


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
