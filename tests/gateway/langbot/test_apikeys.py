"""Keys made, listed and revoked by people: within their own rights, and never by a key."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, Role, Scope, User
from accounts.services import keys, tokens
from gateway.dialects.langbot.identity import workspace_uuid
from tests import factories
from tests.gateway.langbot.conftest import Api, caller

ALL = sorted(Scope.values)
HUGE = 10**30


def create(api: Api, **fields: Any) -> Any:
    return api("post", "apikeys", {"name": "ci", **fields})


def created(api: Api, **fields: Any) -> dict[str, Any]:
    answer = create(api, **fields)
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()["data"]["key"]
    return made


def staff(*permissions: str) -> Api:
    """With the token of somebody who may do just that."""
    user = User.objects.create_user("carol", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return caller(Authorization=f"Bearer {tokens.issue(user=user)}")


def test_a_new_key_is_whole_and_its_secret_is_shown_once(user: Api, admin: User) -> None:
    answer = create(
        user, description=" for the build ", scopes=["resource.view"], expires_at="2999-01-01T02:00:00+02:00"
    )
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()["data"]["key"]
    row = ApiKey.objects.get()
    secret = made.pop("key")
    assert re.fullmatch(r"lbk_\w{40,}", secret)
    assert keys.digest(secret) == row.digest
    assert made.pop("secret_available") is True
    assert made == {
        "created_at": f"{row.created_at:%Y-%m-%dT%H:%M:%S}",
        "created_by_account_uuid": str(admin.uuid),
        "description": "for the build",
        "expires_at": "2999-01-01T00:00:00",
        "id": row.pk,
        "last_used_at": None,
        "name": "ci",
        "scopes": ["resource.view"],
        "status": "active",
        "updated_at": f"{row.updated_at:%Y-%m-%dT%H:%M:%S}",
        "uuid": str(row.uuid),
        "workspace_uuid": workspace_uuid(),
    }
    for path in ("apikeys", f"apikeys/{row.pk}"):
        again = user("get", path)
        assert secret not in again.content.decode()
        assert '"secret_available":false' in again.content.decode()
        assert '"key":"' not in again.content.decode()


def test_a_new_key_opens_what_its_scopes_say(user: Api) -> None:
    reader = caller(**{"X-API-Key": created(user, scopes=["resource.view"])["key"]})
    assert reader("get", "system/context").json()["data"]["permissions"] == ["resource.view"]


@pytest.mark.parametrize("scopes", [{}, {"scopes": None}])
def test_a_key_may_all_that_its_maker_may_unless_told_otherwise(user: Api, scopes: dict[str, Any]) -> None:
    assert created(user, **scopes)["scopes"] == ALL
    row = ApiKey.objects.get()
    assert (row.role, row.all_models, row.month_quota) == (Role.USER, True, None)


def test_only_the_right_to_run_models_runs_them(user: Api) -> None:
    assert created(user, scopes=["runtime.operate", " runtime.operate "])["scopes"] == ["runtime.operate"]
    assert created(user, scopes=[])["scopes"] == []
    assert list(ApiKey.objects.order_by("pk").values_list("all_models", flat=True)) == [True, False]


def test_nobody_hands_out_a_right_that_they_lack(db: None) -> None:
    api = staff("change_apikey", "view_provider")
    answer = create(api, scopes=["resource.view", "audit.view", "api_key.manage"])
    message = {"code": "permission_denied", "msg": "Missing Workspace permission: audit.view"}
    assert (answer.status_code, answer.json()) == (403, message)
    assert not ApiKey.objects.exists()
    assert created(api)["scopes"] == ["api_key.manage", "resource.view", "workspace.view"]
    assert not ApiKey.objects.get().all_models


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"name": ""}, "invalid_api_key", "Name is required"),
        ({"name": "  "}, "invalid_api_key", "Name is required"),
        ({"name": None}, "invalid_api_key", "Name is required"),
        ({"name": 5}, "invalid_api_key", "name: Not a valid string."),
        ({"name": "x" * 256}, "invalid_api_key", "name: Ensure this field has no more than 255 characters."),
        ({"name": "a\0"}, "invalid_api_key", "name: Null characters are not allowed."),
        ({"description": "\0"}, "invalid_api_key", "description: Null characters are not allowed."),
        ({"scopes": ["x"]}, "invalid_api_key", "Unknown API key scope: x"),
        ({"scopes": ["*"]}, "invalid_api_key", "Unknown API key scope: *"),
        ({"scopes": [5]}, "invalid_api_key", "API key scopes must be strings"),
        ({"scopes": "resource.view"}, "invalid_api_key", "API key scopes must be strings"),
        ({"scopes": [["resource.view"]]}, "invalid_api_key", "API key scopes must be strings"),
        ({"expires_at": "soon"}, "invalid_expiry", "Invalid API key expiry"),
        ({"expires_at": 2999}, "invalid_expiry", "Invalid API key expiry"),
        ({"expires_at": ["2999-01-01"]}, "invalid_expiry", "Invalid API key expiry"),
        ({"expires_at": "9999-12-31T23:59:59-10:00"}, "invalid_expiry", "Invalid API key expiry"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_api_key", "API key expiry must be in the future"),
    ],
)
def test_a_wrong_key_is_refused_and_not_made(user: Api, fields: dict[str, Any], code: str, message: str) -> None:
    answer = create(user, **fields)
    assert (answer.status_code, answer.json()) == (400, {"code": code, "msg": message})
    assert not ApiKey.objects.exists()


def test_a_key_without_a_name_is_none(user: Api) -> None:
    assert user("post", "apikeys", {}).json() == {"code": "invalid_api_key", "msg": "Name is required"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2999-01-01T00:00:00Z", datetime(2999, 1, 1, tzinfo=UTC)),
        ("2999-01-01T00:00:00.123456", datetime(2999, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2999-01-01", datetime(2999, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_an_expiry_is_a_moment_in_utc_or_never(user: Api, text: str | None, moment: datetime | None) -> None:
    created(user, expires_at=text)
    assert ApiKey.objects.get().expires_at == moment


def test_an_expired_key_opens_nothing(user: Api) -> None:
    made = created(user, expires_at=(timezone.now() + timedelta(hours=1)).isoformat())
    api = caller(**{"X-API-Key": made["key"]})
    assert api("get", "system/context").status_code == 200
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert api("get", "system/context").json()["code"] == "invalid_authentication"


def test_the_list_has_every_key_but_the_console_s_own_the_oldest_first(user: Api) -> None:
    keys.console_key()
    made = [factories.key(name="first", role=Role.ADMIN).key, factories.key(scopes=["*"]).key, factories.key().key]
    keys.revoke(key=made[2])
    ApiKey.objects.filter(pk=made[1].pk).update(created_at=timezone.now() - timedelta(days=1))
    listed = user("get", "apikeys").json()["data"]["keys"]
    assert [each["id"] for each in listed] == [made[1].pk, made[0].pk, made[2].pk]
    assert [each["status"] for each in listed] == ["active", "active", "revoked"]
    assert [each["scopes"] for each in listed] == [ALL, ALL, []]
    assert {each["created_by_account_uuid"] for each in listed} == {None}


def test_a_longer_list_takes_no_more_queries(user: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert user("get", "apikeys").status_code == 200
        return len(captured)

    created(user)
    before = queries()
    for _ in range(5):
        created(user)
    assert queries() == before


def test_a_key_is_renamed_and_described(user: Api) -> None:
    made = created(user, scopes=["resource.view"], expires_at="2999-01-01")
    ApiKey.objects.update(updated_at=timezone.now() - timedelta(days=1))
    path = f"apikeys/{made['id']}"
    changed = {"name": " renamed ", "description": "why", "scopes": ["audit.view"], "expires_at": None, "role": "admin"}
    assert user("put", path, changed).json() == {"code": 0, "data": {}, "msg": "ok"}
    now = user("get", path).json()["data"]["key"]
    kept = {"secret_available": False, "name": "renamed", "description": "why"}
    assert now == {
        **{name: value for name, value in made.items() if name != "key"},
        **kept,
        "updated_at": now["updated_at"],
    }
    assert now["updated_at"] >= made["updated_at"]
    assert user("put", path, {"description": ""}).json()["code"] == 0
    row = ApiKey.objects.get()
    assert (row.name, row.description) == ("renamed", "")


@pytest.mark.parametrize("body", [{}, {"name": None, "description": None}, {"scopes": "nonsense"}])
def test_a_change_of_nothing_changes_nothing(user: Api, body: dict[str, Any]) -> None:
    path = f"apikeys/{created(user, description='why')['id']}"
    before = ApiKey.objects.values().get()
    assert user("put", path, body).status_code == 200
    assert ApiKey.objects.values().get() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": " "}, "Name is required"),
        ({"name": "x" * 256}, "name: Ensure this field has no more than 255 characters."),
        ({"description": 5}, "description: Not a valid string."),
    ],
)
def test_a_wrong_change_is_refused(user: Api, body: dict[str, Any], message: str) -> None:
    path = f"apikeys/{created(user)['id']}"
    before = ApiKey.objects.values().get()
    answer = user("put", path, body)
    assert (answer.status_code, answer.json()) == (400, {"code": "invalid_api_key", "msg": message})
    assert ApiKey.objects.values().get() == before


def test_a_revoked_key_is_shut_out_at_once_and_stays_in_the_list(user: Api) -> None:
    made = created(user)
    api = caller(**{"X-API-Key": made["key"]})
    assert api("get", "system/context").status_code == 200
    for _ in range(2):
        assert user("delete", f"apikeys/{made['id']}").json() == {"code": 0, "data": {}, "msg": "ok"}
    assert api("get", "system/context").status_code == 401
    assert [each["status"] for each in user("get", "apikeys").json()["data"]["keys"]] == ["revoked"]


@pytest.mark.parametrize("number", ["internal", 0, 999_999, 2**63, HUGE])
@pytest.mark.parametrize(
    ("method", "message"),
    [("get", "API key not found"), ("put", "Resource not found"), ("delete", "Resource not found")],
)
def test_a_key_that_is_not_there_is_404(user: Api, number: Any, method: str, message: str) -> None:
    number = keys.console_key().pk if number == "internal" else number
    answer = user(method, f"apikeys/{number}", {} if method == "put" else None)
    assert (answer.status_code, answer.json()) == (404, {"code": "resource_not_found", "msg": message})


CALLS = [("get", "apikeys"), ("post", "apikeys"), ("get", "apikeys/1"), ("put", "apikeys/1"), ("delete", "apikeys/1")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_no_key_manages_keys(key: Api, nobody: Api, method: str, path: str) -> None:
    missing = {"code": -1, "msg": "No valid user token provided"}
    for api in (key, nobody):
        answer = api(method, path)
        assert (answer.status_code, answer.json()) == (401, missing)
    secret = factories.key(role=Role.ADMIN).secret
    answer = caller(Authorization=f"Bearer {secret}")(method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_authentication")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_who_may_not_manage_keys_sees_none(db: None, method: str, path: str) -> None:
    message = {"code": "permission_denied", "msg": "Missing Workspace permission: api_key.manage"}
    answer = staff("view_provider")(method, path, {"name": "ci"} if method in ("post", "put") else None)
    assert (answer.status_code, answer.json()) == (403, message)


def test_the_last_use_is_noted_once_a_minute(user: Api) -> None:
    made = created(user)
    api = caller(**{"X-API-Key": made["key"]})

    def last_used() -> datetime | None:
        api("get", "system/context")
        return ApiKey.objects.get().last_used_at

    first = last_used()
    assert first is not None and last_used() == first
    assert user("get", f"apikeys/{made['id']}").json()["data"]["key"]["last_used_at"] == f"{first:%Y-%m-%dT%H:%M:%S}"
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    later = last_used()
    assert later is not None and later >= first
