"""/admin/session and /user/session: calls that belong together (contract A2.6, A2b)."""

from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from chat.models import Session
from gateway.dialects.brconnector import schema_sessions as schema
from gateway.dialects.brconnector.envelope import AdminView, UserView, key_of, ok
from gateway.dialects.brconnector.lists import one
from gateway.dialects.brconnector.said import all_sessions, session_list, session_row, wanted_id, yours


class SessionList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        return ok(session_list(request, all_sessions()))


class SessionDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str | None = None) -> Response:
        return ok(one(all_sessions(), wanted_id(request, id), session_row))


class SessionByQuery(SessionDetail):
    @schema.BY_QUERY
    def get(self, request: Request, id: str | None = None) -> Response:
        return super().get(request)


class MySessionList(UserView):
    @schema.MY_LIST
    def get(self, request: Request) -> Response:
        return ok(session_list(request, _own(request)))


class MySession(UserView):
    @schema.MY_DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(yours(_own(request), id, session_row, "session"))


def _own(request: Request) -> QuerySet[Session]:
    return Session.objects.filter(api_key=key_of(request))


admin_urls = [
    path("list", SessionList.as_view()),
    path("detail", SessionByQuery.as_view()),
    path("detail/<str:id>", SessionDetail.as_view()),
]
user_urls = [
    path("list", MySessionList.as_view()),
    path("detail/<str:id>", MySession.as_view()),
]
