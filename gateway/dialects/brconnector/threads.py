"""/admin/thread and /user/thread: what was asked and answered, call by call (contract A2.6, A2b)."""

from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from chat.models import Thread
from gateway.dialects.brconnector import schema_threads as schema
from gateway.dialects.brconnector.envelope import AdminView, UserView, key_of, ok
from gateway.dialects.brconnector.lists import one
from gateway.dialects.brconnector.said import all_threads, thread_detail, thread_list, wanted_id, whole, yours


class ThreadList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        return ok(thread_list(request, all_threads()))


class ThreadDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str | None = None) -> Response:
        return ok(one(whole(all_threads()), wanted_id(request, id), thread_detail))


class ThreadByQuery(ThreadDetail):
    @schema.BY_QUERY
    def get(self, request: Request, id: str | None = None) -> Response:
        return super().get(request)


class MyThreadList(UserView):
    @schema.MY_LIST
    def get(self, request: Request) -> Response:
        return ok(thread_list(request, _own(request)))


class MyThread(UserView):
    @schema.MY_DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(yours(whole(_own(request)), id, thread_detail, "thread"))


def _own(request: Request) -> QuerySet[Thread]:
    return Thread.objects.filter(api_key=key_of(request))


admin_urls = [
    path("list", ThreadList.as_view()),
    path("detail", ThreadByQuery.as_view()),
    path("detail/<str:id>", ThreadDetail.as_view()),
]
user_urls = [
    path("list", MyThreadList.as_view()),
    path("detail/<str:id>", MyThread.as_view()),
]
