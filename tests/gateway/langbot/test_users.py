"""Accounts over the wire: who gets a token, who gets a new password, and what the others are told."""

from typing import Any

import pytest
from django.conf import settings as real_settings
from django.test import Client

from accounts.models import Role, User
from accounts.services import tokens
from tests import factories
from tests.gateway.langbot.conftest import BETTER, PASSWORD, Api, caller

WRONG = {"code": 1, "msg": "Invalid username or password"}
EMAIL = "admin@example.com"
CHANGE = {"current_password": PASSWORD, "new_password": BETTER}
RESET = {"user": EMAIL, "new_password": BETTER, "recovery_key": real_settings.RECOVERY_KEY}


def log_in(api: Api, user: Any = EMAIL, password: Any = PASSWORD) -> Any:
    return api("post", "user/auth", {"user": user, "password": password})


def told(answer: Any) -> tuple[int, dict[str, Any]]:
    return answer.status_code, answer.json()


# The first account


def test_the_first_account_is_made_once(nobody: Api) -> None:
    assert nobody("get", "user/init").json()["data"] == {"initialized": False}
    first = nobody("post", "user/init", {"user": "  Admin@Example.COM ", "password": PASSWORD})
    assert told(first) == (200, {"code": 0, "data": {}, "msg": "ok"})
    assert User.objects.get().email == EMAIL
    assert log_in(nobody).json()["code"] == 0
    again = nobody("post", "user/init", {"user": "b@example.com", "password": PASSWORD})
    assert told(again) == (200, {"code": 1, "msg": "System already initialized"})
    assert nobody("get", "user/init").json()["data"] == {"initialized": True}
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "user: This field is required."),
        ({"user": "a@b"}, "password: This field is required."),
        ({"user": "admin", "password": PASSWORD}, "user: Enter an e-mail address."),
        ({"user": "a b@c", "password": PASSWORD}, "user: Enter an e-mail address."),
        ({"user": 5, "password": PASSWORD}, "user: Not a valid string."),
        ({"user": None, "password": PASSWORD}, "user: This field may not be null."),
        ({"user": "a@" + "b" * 149, "password": PASSWORD}, "user: Ensure this field has no more than 150 characters."),
        ({"user": "a\0@b", "password": PASSWORD}, "user: Null characters are not allowed."),
        ({"user": "a@b", "password": ""}, "password: This field may not be blank."),
        ({"user": "a@b", "password": "short"}, "This password is too short. It must contain at least 8 characters."),
        ({"user": "a@b", "password": "password1"}, "This password is too common."),
    ],
)
def test_a_wrong_first_account_is_refused(nobody: Api, body: dict[str, Any], message: str) -> None:
    assert told(nobody("post", "user/init", body)) == (400, {"code": -1, "msg": message})
    assert not User.objects.exists()


def test_an_address_of_an_intranet_is_one(nobody: Api) -> None:
    assert nobody("post", "user/init", {"user": "o'neill@intranet", "password": PASSWORD}).status_code == 200
    assert log_in(nobody, "o'neill@intranet").json()["code"] == 0


def test_how_one_logs_in_is_told_without_naming_anybody(nobody: Api) -> None:
    assert nobody("get", "user/account-info").json()["data"] == {"initialized": False}
    User.objects.create_superuser(EMAIL, EMAIL, PASSWORD)
    ways = nobody("get", "user/account-info").json()["data"]
    assert ways.pop("initialized") is ways.pop("password_login_enabled") is True
    assert set(ways.values()) == {False}
    assert len(ways) == 5


# Log-in


def test_a_log_in_gives_a_token_that_opens_what_is_the_user_s(admin: User, nobody: Api) -> None:
    answer = log_in(nobody)
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies
    token = answer.json()["data"]["token"]
    assert caller(Authorization=f"Bearer {token}")("get", "user/info").json()["data"] == {
        "account_uuid": str(admin.uuid),
        "account_type": "local",
        "has_password": True,
        "user": EMAIL,
    }


def test_the_admin_of_a_first_start_logs_in_by_name(nobody: Api) -> None:
    User.objects.create_superuser("admin", password=PASSWORD)
    assert tokens.read(log_in(nobody, "admin").json()["data"]["token"]).username == "admin"


@pytest.mark.parametrize(("name", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD), ("x" * 254, "y")])
def test_a_wrong_password_and_an_unknown_user_are_told_alike(
    admin: User, nobody: Api, name: str, password: str
) -> None:
    assert told(log_in(nobody, name, password)) == (200, WRONG)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": EMAIL},
        {"user": EMAIL, "password": 5},
        {"user": ["a"], "password": "b"},
        {"user": "", "password": ""},
    ],
)
def test_a_log_in_of_the_wrong_shape_is_refused(admin: User, nobody: Api, body: dict[str, Any]) -> None:
    assert told(nobody("post", "user/auth", body)) == (400, {"code": -1, "msg": "Invalid request parameters"})


def test_too_many_failures_are_told_in_the_envelope(admin: User, nobody: Api, settings: Any) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert log_in(nobody, password="wrong").json() == WRONG
    for password in ("wrong", PASSWORD):
        answer = log_in(nobody, password=password)
        assert told(answer) == (429, {"code": -1, "msg": "Too many attempts, try again later"})
        assert answer["Retry-After"] == "900"
        assert answer["Content-Type"] == "application/json"
    assert Client().post("/admin/login/", {"username": EMAIL, "password": PASSWORD}).status_code == 429


# Tokens


def test_a_token_is_renewed(user: Api, admin: User) -> None:
    answer = user("get", "user/check-token")
    assert tokens.read(answer.json()["data"]["token"]) == admin
    assert answer["Cache-Control"] == "no-store"


ACCOUNT_PATHS = [
    ("get", "user/check-token"),
    ("get", "user/info"),
    ("post", "user/change-password"),
    ("post", "user/set-password"),
]


@pytest.mark.parametrize(("method", "path"), [*ACCOUNT_PATHS, ("get", "user/space-credits")])
def test_an_account_takes_a_token(method: str, path: str, key: Api, nobody: Api) -> None:
    missing = {"code": -1, "msg": "No valid user token provided"}
    wrong = {"code": "invalid_authentication", "msg": "Invalid authentication credentials"}
    assert told(nobody(method, path, {})) == (401, missing)
    assert told(key(method, path, {})) == (401, missing)
    assert told(caller(Authorization="Bearer a.b.c")(method, path, {})) == (401, wrong)


@pytest.mark.parametrize(("method", "path"), ACCOUNT_PATHS)
def test_an_account_s_token_comes_after_the_word_bearer(admin: User, method: str, path: str) -> None:
    bare = caller(Authorization=tokens.issue(user=admin))
    assert bare(method, path, {}).status_code == 401
    assert bare("get", "user/space-credits").status_code == 200


def test_credits_are_none(user: Api) -> None:
    assert user("get", "user/space-credits").json()["data"] == {
        "credits": None,
        "is_workspace_owner": True,
        "owner_space_bound": False,
    }


# Passwords


@pytest.mark.parametrize("path", ["user/change-password", "user/set-password"])
def test_a_new_password_logs_in_and_ends_the_token(user: Api, nobody: Api, path: str) -> None:
    assert told(user("post", path, CHANGE)) == (200, {"code": 0, "data": {"user": EMAIL}, "msg": "ok"})
    assert user("get", "user/info").status_code == 401
    assert log_in(nobody).json() == WRONG
    assert log_in(nobody, password=BETTER).json()["code"] == 0


@pytest.mark.parametrize(
    ("path", "changed", "message"),
    [
        ("change", {"current_password": "wrong"}, "Current password is incorrect"),
        ("change", {"current_password": None}, "current_password: This field may not be null."),
        ("change", {"new_password": "short"}, "This password is too short. It must contain at least 8 characters."),
        ("change", {"new_password": "x" * 1025}, "new_password: Ensure this field has no more than 1024 characters."),
        ("set", {"current_password": "wrong"}, "Current password is incorrect"),
        ("set", {"current_password": None}, "Current password is required"),
        ("set", {"current_password": ""}, "Current password is required"),
        ("set", {"new_password": None}, "New password is required"),
        ("set", {"new_password": ""}, "New password is required"),
        ("set", {"new_password": 12345678}, "new_password: Not a valid string."),
    ],
)
def test_a_wrong_change_changes_nothing(
    user: Api, nobody: Api, path: str, changed: dict[str, Any], message: str
) -> None:
    answer = user("post", f"user/{path}-password", {**CHANGE, **changed})
    assert told(answer) == (400, {"code": -1, "msg": message})
    assert log_in(nobody).json()["code"] == 0


def test_somebody_without_a_password_sets_their_first(user: Api, nobody: Api, admin: User) -> None:
    admin.set_unusable_password()
    admin.save()
    api = caller(Authorization=f"Bearer {tokens.issue(user=admin)}")
    assert api("get", "user/info").json()["data"]["has_password"] is False
    assert api("post", "user/set-password", {"new_password": BETTER}).status_code == 200
    assert log_in(nobody, password=BETTER).json()["code"] == 0


def test_a_new_password_is_as_it_is_typed(user: Api, nobody: Api) -> None:
    spaced = f"  {BETTER}  "
    user("post", "user/change-password", {**CHANGE, "new_password": spaced})
    assert log_in(nobody, password=spaced).json()["code"] == 0
    assert log_in(nobody, password=BETTER).json() == WRONG


def test_the_recovery_key_opens_a_locked_account(admin: User, nobody: Api, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        log_in(nobody, password="wrong")
    assert log_in(nobody).status_code == 429
    assert told(nobody("post", "user/reset-password", RESET)) == (
        200,
        {"code": 0, "data": {"user": EMAIL}, "msg": "ok"},
    )
    assert log_in(nobody, password=BETTER).json()["code"] == 0


@pytest.mark.parametrize(
    ("changed", "status", "message"),
    [
        ({"recovery_key": "wrong"}, 403, "Invalid recovery key"),
        ({"recovery_key": "wrong", "user": "nobody"}, 403, "Invalid recovery key"),
        ({"user": "nobody"}, 400, "User not found"),
        ({"new_password": "short"}, 400, "This password is too short. It must contain at least 8 characters."),
        ({"method": "totp"}, 400, 'method: "totp" is not a valid choice.'),
        ({"recovery_key": ""}, 400, "recovery_key: This field may not be blank."),
    ],
)
def test_a_wrong_recovery_changes_nothing(
    admin: User, nobody: Api, changed: dict[str, Any], status: int, message: str
) -> None:
    answer = nobody("post", "user/reset-password", {**RESET, **changed})
    assert told(answer) == (status, {"code": -1, "msg": message})
    assert log_in(nobody).json()["code"] == 0


def test_recovery_is_refused_before_there_is_anybody_and_without_a_key(nobody: Api, settings: Any) -> None:
    answer = nobody("post", "user/reset-password", RESET)
    assert told(answer) == (400, {"code": -1, "msg": "System not initialized"})
    User.objects.create_superuser(EMAIL, EMAIL, PASSWORD)
    settings.RECOVERY_KEY = ""
    answer = nobody("post", "user/reset-password", RESET)
    assert (answer.status_code, answer.json()["code"]) == (403, -1)
    assert "no recovery key" in answer.json()["msg"]


def test_a_sixth_attempt_at_recovery_has_to_wait(admin: User, nobody: Api) -> None:
    for _ in range(5):
        assert nobody("post", "user/reset-password", {**RESET, "recovery_key": "wrong"}).status_code == 403
    answer = nobody("post", "user/reset-password", RESET)
    assert told(answer) == (429, {"code": -1, "msg": "Too many attempts, try again later"})


@pytest.mark.parametrize("path", ["user/check-token", "user/info", "user/space-credits", "apikeys"])
@pytest.mark.parametrize("kind", ["good", "wrong"])
def test_where_a_token_is_asked_for_a_header_key_says_nothing(admin: User, path: str, kind: str) -> None:
    secret = factories.key(role=Role.ADMIN).secret if kind == "good" else "lbk_wrong"
    token = f"Bearer {tokens.issue(user=admin)}"
    assert caller(**{"X-API-Key": secret, "Authorization": token})("get", path).status_code == 200
    assert told(caller(**{"X-API-Key": secret})("get", path)) == (
        401,
        {"code": -1, "msg": "No valid user token provided"},
    )
