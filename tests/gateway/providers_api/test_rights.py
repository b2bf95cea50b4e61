"""Who may do what, and what everybody else is told."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import ApiKey, Scope, User
from accounts.services import keys, sessions
from tests import factories
from tests.gateway.providers_api.conftest import Api, of_key, of_user

LOGIN = {"error": "Admin authentication required. Please login.", "code": "ADMIN_AUTH_REQUIRED"}
UNKNOWN_USER = "user-" + "0" * 32
NEW = {"name": "openai", "apiKey": "sk-0123456789"}

ENDPOINTS: list[tuple[str, str, Any, str]] = [
    ("GET", "/providers", None, Scope.RESOURCE_VIEW),
    ("GET", "/providers/openai", None, Scope.RESOURCE_VIEW),
    ("POST", "/providers", NEW, Scope.PROVIDER_SECRET_MANAGE),
    ("PUT", "/providers/openai", {"displayName": "x"}, Scope.PROVIDER_SECRET_MANAGE),
    ("POST", "/providers/openai/test", None, Scope.PROVIDER_SECRET_MANAGE),
    ("DELETE", "/providers/openai", None, Scope.RESOURCE_MANAGE),
    ("GET", "/users", None, Scope.MEMBER_VIEW),
    ("GET", f"/users/{UNKNOWN_USER}", None, Scope.MEMBER_VIEW),
    ("POST", "/users", {"email": "x@example.com", "name": "X"}, Scope.MEMBER_INVITE),
    ("PUT", f"/users/{UNKNOWN_USER}", {"name": "X"}, Scope.MEMBER_UPDATE_ROLE),
    ("POST", f"/users/{UNKNOWN_USER}/reset-password", None, Scope.MEMBER_UPDATE_ROLE),
    ("DELETE", f"/users/{UNKNOWN_USER}", None, Scope.MEMBER_REMOVE),
    ("GET", "/keys", None, Scope.API_KEY_MANAGE),
    ("POST", "/keys", {"userId": UNKNOWN_USER}, Scope.API_KEY_MANAGE),
    ("GET", f"/keys/user/{UNKNOWN_USER}", None, Scope.API_KEY_MANAGE),
    ("POST", f"/keys/{UNKNOWN_USER}/rotate", None, Scope.API_KEY_MANAGE),
    ("DELETE", f"/keys/{UNKNOWN_USER}", None, Scope.API_KEY_MANAGE),
    ("DELETE", "/keys/id/1", None, Scope.API_KEY_MANAGE),
    ("GET", "/stats/overview", None, Scope.AUDIT_VIEW),
    ("GET", "/costs/summary", None, Scope.AUDIT_VIEW),
    ("GET", "/audit", None, Scope.AUDIT_VIEW),
    ("GET", "/audit/statistics", None, Scope.AUDIT_VIEW),
]
PERSONAL = [("GET", "/me"), ("GET", "/me/keys"), ("GET", "/me/usage"), ("POST", "/me/rotate")]


@pytest.mark.parametrize(("method", "path", "body", "scope"), ENDPOINTS)
def test_only_the_right_that_it_needs_opens_an_endpoint(
    database: None, method: str, path: str, body: Any, scope: str
) -> None:
    others = [each for each in Scope.values if each != scope]
    status, content = of_key(scopes=others)(method, path, body)
    assert (status, content) == (
        403,
        {"error": "Access denied", "code": "ACCESS_DENIED", "reason": f"This needs the right {scope}."},
    )
    assert of_key(scopes=[scope])(method, path, body)[0] in (200, 201, 404)


@pytest.mark.parametrize(("method", "path"), [each[:2] for each in ENDPOINTS])
def test_nobody_is_asked_to_log_in(nobody: Api, method: str, path: str) -> None:
    assert nobody(method, path) == (401, LOGIN)


def wrong_credentials() -> list[dict[str, str]]:
    token = "Bearer a.b.c"
    return [
        {"Authorization": "Bearer wb-unknown"},
        {"Authorization": token},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "wb-unknown"},
        {"X-API-Key": "\u00e9"},
    ]


@pytest.mark.parametrize("headers", wrong_credentials())
def test_wrong_credentials_have_one_answer(database: None, headers: dict[str, str]) -> None:
    assert Api(headers).get("/providers") == (401, LOGIN)


def test_a_wrong_key_decides_beside_a_right_token(api: Api) -> None:
    assert Api({**api.headers, "X-API-Key": "wb-unknown"}).get("/providers") == (401, LOGIN)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}"])
def test_a_key_is_taken_as_a_bearer_too(database: None, form: str) -> None:
    secret = factories.key(scopes=[Scope.RESOURCE_VIEW]).secret
    assert Api({"Authorization": form.format(secret)}).get("/providers")[0] == 200


def test_a_revoked_key_and_an_old_token_open_nothing(admin: User) -> None:
    api, issued = of_user(admin), factories.key(role="admin")
    keys.revoke(key=issued.key)
    assert Api({"X-API-Key": issued.secret}).get("/providers") == (401, LOGIN)
    admin.set_password("another")
    admin.save()
    assert api.get("/providers") == (401, LOGIN)


def test_an_access_token_of_a_log_in_opens_what_its_person_may(admin: User, bob: User) -> None:
    for user, status in ((admin, 200), (bob, 403)):
        token = sessions.start(user=user).access_token
        assert Api({"Authorization": f"Bearer {token}"}).get("/providers")[0] == status


def test_a_refresh_token_opens_nothing(admin: User) -> None:
    session = sessions.start(user=admin)
    assert Api({"Authorization": f"Bearer {session.refresh_token}"}).get("/providers") == (401, LOGIN)


@pytest.mark.parametrize(("method", "path"), PERSONAL)
def test_who_has_no_token_learns_so(nobody: Api, method: str, path: str) -> None:
    assert nobody(method, path) == (401, {"error": "Authentication token required", "code": "TOKEN_REQUIRED"})


@pytest.mark.parametrize(("method", "path"), PERSONAL)
def test_a_key_without_an_owner_is_nobody(admin_key: Api, method: str, path: str) -> None:
    status, content = admin_key(method, path)
    assert (status, content["code"]) == (401, "INVALID_TOKEN")


def test_the_key_of_somebody_switched_off_is_nobody_s(bob: User) -> None:
    api = of_key(owner=bob)
    assert api.get("/me")[0] == 200
    User.objects.update(is_active=False)
    assert api.get("/me")[1]["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/providers", "GET, POST"),
        ("PATCH", "/providers/openai", "GET, PUT, DELETE"),
        ("GET", "/providers/openai/test", "POST"),
        ("GET", "/auth/login", "POST"),
        ("POST", "/health", "GET"),
        ("DELETE", "/me", "GET"),
        ("OPTIONS", "/users", "GET, POST"),
    ],
)
def test_another_method_is_refused_in_the_envelope(nobody: Api, method: str, path: str, allowed: str) -> None:
    answer = Client().generic(method, f"/api{path}")
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer.json()) == {"error", "code"}
    assert answer["Allow"].replace(", HEAD", "") == allowed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/providersx", "/api/", "/api/auth", "/api/schemas", "/api/v3/x", "/api/keys/a/b/c"]
)
def test_an_unknown_path_is_told_so(nobody: Api, method: str, path: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path)
    expected = {"error": f"Not found: {method} {path}", "code": "NOT_FOUND"}
    assert (answer.status_code, answer.json()) == (404, expected)


@pytest.mark.parametrize("path", ["/api/v1/x", "/api/v2/x", "/api/worker/x", "/api/controller/x"])
def test_the_paths_of_other_dialects_are_theirs(nobody: Api, path: str) -> None:
    answer = Client().get(path)
    assert b"NOT_FOUND" not in answer.content


def test_the_documentation_is_still_there(nobody: Api) -> None:
    assert Client().get("/api/docs/").status_code == 200
    assert Client().get("/api/schema").status_code == 301


def test_a_database_that_is_away_is_503(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = factories.key(role="admin").secret

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", gone)
        answer = Client().get("/api/providers", headers={"X-API-Key": secret})
        health = Client().get("/api/health")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "UNAVAILABLE", "2")
    assert (health.status_code, health.json()["code"]) == (503, "UNAVAILABLE")


def test_what_nobody_expected_is_told_without_a_word_of_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.dialects.providers_api.costs.reports.total", lambda _: 1 // 0)
    assert api.get("/stats/overview") == (500, {"error": "Internal server error", "code": "INTERNAL_ERROR"})
    assert "ZeroDivisionError" in caplog.text


def test_api_health_is_open(nobody: Api) -> None:
    status, content = nobody.get("/health")
    assert (status, content["status"], set(content)) == (200, "ok", {"status", "timestamp", "sessionId"})


def test_a_body_above_the_limit_is_413(api: Api, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    status, content = api.post("/providers", {**NEW, "metadata": {"x": "y" * 200}})
    assert (status, content["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert not ApiKey.objects.filter(is_internal=True).exists()
