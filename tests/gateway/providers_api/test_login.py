"""Log-in over HTTP: who is let in, what they get, and what everybody else is told."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from tests.gateway.providers_api.conftest import PASSWORD, Api

ADMIN, USER = "/auth/admin/login", "/auth/login"
WRONG = (401, {"error": "Invalid credentials", "code": "INVALID_CREDENTIALS"})
FIELDS = {"accessToken", "refreshToken", "expiresIn", "tokenType", "user"}


def bearer(content: dict[str, Any]) -> Api:
    return Api({"Authorization": f"Bearer {content['accessToken']}"})


@pytest.mark.parametrize("field", ["username", "email"])
def test_an_admin_gets_tokens_that_open_the_api(nobody: Api, admin: User, field: str) -> None:
    status, content = nobody.post(ADMIN, {field: "ada@example.com", "password": PASSWORD, "deviceId": "laptop"})
    assert (status, set(content)) == (200, FIELDS)
    assert (content["expiresIn"], content["tokenType"]) == (3600, "Bearer")
    assert content["user"] == {
        "userId": f"user-{admin.uuid.hex}",
        "email": "ada@example.com",
        "role": "admin",
        "name": "Ada",
    }
    assert bearer(content).get("/providers")[0] == 200


def test_a_log_in_is_noted_as_the_last_one(nobody: Api, admin: User) -> None:
    nobody.post(ADMIN, {"email": "ada@example.com", "password": PASSWORD})
    admin.refresh_from_db()
    assert admin.last_login is not None


def test_tokens_are_kept_by_no_cache(admin: User) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = Client().post(f"/api{ADMIN}", body, content_type="application/json")
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


def test_staff_with_any_right_log_in_to_manage_and_others_do_not(nobody: Api, carol: User, bob: User) -> None:
    assert nobody.post(ADMIN, {"username": "carol", "password": PASSWORD})[0] == 200
    assert nobody.post(ADMIN, {"username": "bob@example.com", "password": PASSWORD}) == WRONG


def test_anybody_logs_in_as_themselves_by_id_or_address(nobody: Api, bob: User) -> None:
    for name in (f"user-{bob.uuid.hex}", "bob@example.com", "BOB@example.com"):
        status, content = nobody.post(USER, {"userId": name, "password": PASSWORD})
        assert (status, content["user"]["role"]) == (200, "user")
        assert bearer(content).get("/me")[1]["user"]["email"] == "bob@example.com"
        assert bearer(content).get("/providers")[0] == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ADMIN, {"username": "ada@example.com", "password": "wrong"}),
        (ADMIN, {"username": "nobody", "password": PASSWORD}),
        (ADMIN, {"username": "a\u2028b", "password": PASSWORD}),
        (USER, {"userId": "nobody", "password": PASSWORD}),
        (USER, {"userId": "user-" + "0" * 32, "password": PASSWORD}),
    ],
)
def test_wrong_credentials_have_one_answer(nobody: Api, admin: User, path: str, body: dict[str, str]) -> None:
    assert nobody.post(path, body) == WRONG


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ADMIN, None),
        (ADMIN, {}),
        (ADMIN, {"username": "ada@example.com"}),
        (ADMIN, {"password": PASSWORD}),
        (ADMIN, {"username": "", "password": PASSWORD}),
        (USER, {"userId": "x", "password": ""}),
    ],
)
def test_without_a_name_or_a_password_they_are_missing(nobody: Api, path: str, body: Any) -> None:
    status, content = nobody.post(path, body)
    assert (status, content["code"]) == (400, "MISSING_CREDENTIALS")


@pytest.mark.parametrize("body", [{"username": 5, "password": "x"}, {"username": "x", "password": ["x"]}, "{", "[]"])
def test_what_can_not_be_is_refused(nobody: Api, body: Any) -> None:
    status, content = nobody.post(ADMIN, body)
    assert (status, content["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(("path", "code"), [(ADMIN, "ACCOUNT_DISABLED"), (USER, "USER_INACTIVE")])
def test_only_who_knows_the_password_learns_that_they_are_switched_off(
    nobody: Api, admin: User, path: str, code: str
) -> None:
    User.objects.update(is_active=False)
    name = {"username": "ada@example.com", "userId": "ada@example.com"}
    status, content = nobody.post(path, {**name, "password": PASSWORD})
    assert (status, content["code"]) == (403, code)
    assert nobody.post(path, {**name, "password": "wrong"}) == WRONG


def test_too_many_wrong_passwords_lock_the_name_out_in_the_envelope(admin: User) -> None:
    body = {"username": "ada@example.com", "password": "wrong"}
    for _ in range(settings.AXES_FAILURE_LIMIT):
        Client().post(f"/api{ADMIN}", body, content_type="application/json")
    right = {**body, "password": PASSWORD}
    answer = Client().post(f"/api{ADMIN}", right, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert int(answer["Retry-After"]) > 0
    by_id = {"userId": f"user-{admin.uuid.hex}", "password": PASSWORD}
    assert Client().post(f"/api{USER}", by_id, content_type="application/json").status_code == 429


def test_a_refresh_gives_the_next_pair_once(nobody: Api, admin: User) -> None:
    first = nobody.post(ADMIN, {"username": "ada@example.com", "password": PASSWORD})[1]
    status, second = nobody.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (status, set(second)) == (200, FIELDS)
    assert bearer(second).get("/providers")[0] == 200
    status, content = nobody.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (status, content["code"]) == (401, "TOKEN_REUSE_DETECTED")
    status, content = nobody.post("/auth/refresh", {"refreshToken": second["refreshToken"]})
    assert (status, content["code"]) == (401, "REFRESH_TOKEN_INVALID")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (None, 400, "MISSING_REFRESH_TOKEN"),
        ({}, 400, "MISSING_REFRESH_TOKEN"),
        ({"refreshToken": ""}, 400, "MISSING_REFRESH_TOKEN"),
        ({"refreshToken": 5}, 400, "INVALID_REQUEST"),
        ({"refreshToken": "unknown"}, 401, "INVALID_REFRESH_TOKEN"),
    ],
)
def test_a_refresh_needs_a_token_of_ours(nobody: Api, body: Any, status: int, code: str) -> None:
    answered, content = nobody.post("/auth/refresh", body)
    assert (answered, content["code"]) == (status, code)


def test_somebody_switched_off_gets_no_next_pair(nobody: Api, admin: User) -> None:
    token = nobody.post(ADMIN, {"username": "ada@example.com", "password": PASSWORD})[1]["refreshToken"]
    User.objects.update(is_active=False)
    assert nobody.post("/auth/refresh", {"refreshToken": token})[1]["code"] == "USER_INACTIVE"


@pytest.mark.parametrize("body", [None, {}, {"refreshToken": "unknown"}, {"refreshToken": ""}])
def test_a_log_out_is_always_well(nobody: Api, body: Any) -> None:
    assert nobody.post("/auth/logout", body) == (200, {"success": True})


def test_after_a_log_out_there_is_no_next_pair(nobody: Api, admin: User) -> None:
    token = nobody.post(ADMIN, {"username": "ada@example.com", "password": PASSWORD})[1]["refreshToken"]
    assert nobody.post("/auth/logout", {"refreshToken": token}) == (200, {"success": True})
    assert nobody.post("/auth/refresh", {"refreshToken": token})[1]["code"] == "REFRESH_TOKEN_INVALID"
