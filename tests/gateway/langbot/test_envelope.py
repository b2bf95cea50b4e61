"""What holds for every path of this dialect: the envelope, request ids, bodies, and where paths end."""

import logging
import uuid
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client, RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope
from accounts.services import people
from gateway.dialects.langbot.bodies import first_error
from gateway.dialects.langbot.envelope import DialectView
from tests import factories
from tests.gateway.langbot.conftest import Api, caller

pytestmark = pytest.mark.django_db

BAD_ID = "no\x7fcontrol"


class Failing(DialectView):
    authentication_classes = ()
    error: Exception = RuntimeError("a secret word")

    def get(self, request: Request) -> Response:
        raise self.error


class Guarded(DialectView):
    scopes = {"GET": Scope.AUDIT_VIEW}

    def get(self, request: Request) -> Response:
        return Response({})


def test_what_nobody_expected_is_logged_and_told_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    request = RequestFactory().get("/", headers={"X-Request-Id": "mine"})
    answer = Failing.as_view()(request).render()
    assert (answer.status_code, answer["X-Request-Id"]) == (500, "mine")
    assert answer.content == b'{"code":"internal_error","msg":"Internal server error","request_id":"mine"}\n'
    record = next(each for each in caplog.records if "mine" in each.getMessage())
    assert record.levelno == logging.ERROR
    assert record.exc_info and record.exc_info[1] is Failing.error


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("gone")])
def test_a_database_that_is_gone_is_nobody_s_fault(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    answer = Failing.as_view(error=error)(RequestFactory().get("/")).render()
    assert (answer.status_code, answer.data["code"], answer["Retry-After"]) == (503, "unavailable", "2")
    assert "gone" in caplog.text
    assert "gone" not in answer.content.decode()


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_right_is_asked_for_by_head_as_by_get(method: str) -> None:
    request = getattr(RequestFactory(), method)("/", headers={"X-API-Key": factories.key().secret})
    assert Guarded.as_view()(request).status_code == 403


@pytest.mark.parametrize(("asked", "is_kept"), [("abc-1", True), ("x" * 128, True), ("x" * 129, False), ("", False)])
def test_a_request_id_is_adopted_if_it_can_be(asked: str, is_kept: bool) -> None:
    answer = Client().get("/api/v1/user/init", headers={"X-Request-Id": asked})
    assert (answer["X-Request-Id"] == asked) is is_kept
    assert is_kept or uuid.UUID(answer["X-Request-Id"]).version == 4


@pytest.mark.parametrize("asked", [BAD_ID, "tab\there", "é"])
def test_a_request_id_that_is_no_plain_text_is_replaced(asked: str) -> None:
    answer = Client().get("/api/v1/user/init", headers={"X-Request-Id": asked})
    assert uuid.UUID(answer["X-Request-Id"])


@pytest.mark.parametrize(
    "path", ["user/none", "user/init/", "system", "apikeys/x", "apikeys/-1", "apikeys/", "provider"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
def test_an_unknown_path_is_told_in_the_envelope(path: str, method: str, nobody: Api) -> None:
    answer = nobody(method, path)
    assert (answer.status_code, answer.json()) == (404, {"code": -1, "msg": "Not found"})
    assert answer["X-Request-Id"]


def test_an_unknown_path_with_a_line_break_is_one() -> None:
    assert Client().get("/api/v1/apikeys/%0A").json()["code"] == -1


@pytest.mark.parametrize("path", ["users", "userinit", "providers", "nothing"])
def test_paths_of_others_are_left_alone(path: str, nobody: Api) -> None:
    answer = nobody("get", path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("put", "user/init", "GET, POST, HEAD"),
        ("get", "user/auth", "POST"),
        ("options", "user/auth", "POST"),
        ("patch", "apikeys/1", "GET, PUT, DELETE, HEAD"),
        ("post", "system/info", "GET, HEAD"),
        ("delete", "system/context", "GET, HEAD"),
    ],
)
def test_another_method_is_told_before_anybody_is_asked_who_they_are(
    method: str, path: str, allowed: str, nobody: Api
) -> None:
    answer = nobody(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, allowed)
    assert answer.json() == {"code": -1, "msg": f'Method "{method.upper()}" not allowed.'}


def send(body: bytes | str, content_type: str = "application/json", **headers: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.generic("POST", "/api/v1/user/init", body, content_type, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        '{"user": "é"}'.encode("latin-1"),
        b'{"user": "\\ud800", "password": "x"}',
        b'{"user": "a@b", "password": NaN}',
        b'{"user": 1e999}',
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    answer = send(body)
    assert (answer.status_code, answer.json()["code"]) == (400, -1)
    assert not people.is_initialized()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_is_refused(kind: str) -> None:
    answer = send(b"user=a@b&password=x", kind)
    assert (answer.status_code, answer.json()) == (415, {"code": -1, "msg": "Send application/json."})


@pytest.mark.parametrize(
    "kind", ["", "application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]
)
def test_json_is_taken_by_its_names(kind: str) -> None:
    assert send(b'{"user":"a@b","password":"correct horse battery"}', kind).json()["code"] == 0


def test_a_body_that_is_too_large_is_refused(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    answer = send(b'{"user":"' + b"x" * 100 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, -1)


def test_a_field_that_nobody_knows_is_dropped() -> None:
    body = b'{"user":"a@b","password":"correct horse battery","uuid":"\\u0000","more":{"deep":[1]}}'
    assert send(body).json()["code"] == 0


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ({"a": ["wrong"]}, "a: wrong"),
        ({"non_field_errors": ["wrong"]}, "wrong"),
        ({"a": {"b": [{}, {"c": ["wrong"]}]}}, "a.b.1.c: wrong"),
        ({"a": [[], ["wrong"]]}, "a: wrong"),
    ],
)
def test_the_first_error_names_its_field(errors: Any, text: str) -> None:
    assert first_error(errors) == text


def test_healthz_is_asked_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "ok", "resources": {"database": "ok"}})


def test_a_header_that_is_no_ascii_is_no_credential() -> None:
    for header in ("X-API-Key", "Authorization"):
        assert caller(**{header: "Bearer é.é.é"})("get", "provider/requesters").status_code == 401
