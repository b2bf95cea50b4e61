"""People: listed, asked in, changed, switched off; and nobody reaches above themselves."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission

from accounts.models import ApiKey, Role, Scope, User
from accounts.services import sessions
from tests import factories
from tests.gateway.providers_api.conftest import PASSWORD, Api, of_key, of_user
from tests.wire.matching import differences

MEMBER_SCOPES = [Scope.MEMBER_VIEW, Scope.MEMBER_INVITE, Scope.MEMBER_UPDATE_ROLE, Scope.MEMBER_REMOVE]
NEW = {"email": "dave@example.com", "name": "Dave"}


def id_of(user: User) -> str:
    return f"user-{user.uuid.hex}"


def denied(answer: tuple[int, Any]) -> bool:
    return (answer[0], answer[1]["code"]) == (403, "ACCESS_DENIED")


def test_somebody_new_logs_in_with_the_password_that_is_told_once(api: Api, nobody: Api) -> None:
    status, content = api.post("/users", {**NEW, "tenant": "acme", "isAgent": True, "limitRequestsPerMinute": 5})
    assert status == 201
    shown = {
        "id": "<int>",
        "userId": "user-<text>",
        "email": "dave@example.com",
        "name": "Dave",
        "tenant": "acme",
        "isAgent": True,
        "limitRequestsPerMinute": 5,
        "status": "active",
        "roleId": "user",
        "lastSignIn": None,
        "createdAt": "<time>",
        "updatedAt": "<time>",
    }
    assert not list(differences({"user": shown, "password": "<secret>", "message": "<text>"}, content))
    body = {"userId": content["user"]["userId"], "password": content["password"]}
    assert nobody.post("/auth/login", body)[0] == 200
    user = User.objects.get(email="dave@example.com")
    assert not (user.is_staff or user.is_superuser)
    again = api.get(f"/users/{id_of(user)}")[1]["user"]
    assert {**again, "lastSignIn": None} == content["user"]


def test_a_key_can_be_made_along_with_somebody(api: Api, admin: User) -> None:
    content = api.post("/users", {**NEW, "createApiKey": True})[1]
    assert Api({"X-API-Key": content["apiKey"]}).get("/me")[1]["user"]["userId"] == content["user"]["userId"]
    assert ApiKey.objects.get().made_by == admin


def test_a_key_along_with_somebody_needs_the_right_to_make_keys(database: None) -> None:
    assert denied(of_key(scopes=[Scope.MEMBER_INVITE]).post("/users", {**NEW, "createApiKey": True}))
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "MISSING_FIELDS"),
        ({"email": "x@example.com"}, 400, "MISSING_FIELDS"),
        ({"name": "X", "email": ""}, 400, "MISSING_FIELDS"),
        ({"name": "X", "email": "no address"}, 400, "INVALID_REQUEST"),
        ({"name": 5, "email": "x@example.com"}, 400, "INVALID_REQUEST"),
        ({"name": "x" * 151, "email": "x@example.com"}, 400, "INVALID_REQUEST"),
        ({**NEW, "isAgent": "yes"}, 400, "INVALID_REQUEST"),
        ({**NEW, "limitRequestsPerMinute": -1}, 400, "INVALID_REQUEST"),
        ({**NEW, "limitRequestsPerMinute": 10**30}, 400, "INVALID_REQUEST"),
        ({**NEW, "limitRequestsPerMinute": True}, 400, "INVALID_REQUEST"),
        ({**NEW, "roleId": "boss"}, 400, "ROLE_NOT_FOUND"),
        ({**NEW, "email": "bob@example.com"}, 409, "EMAIL_EXISTS"),
        ({**NEW, "email": "BOB@EXAMPLE.COM"}, 409, "EMAIL_EXISTS"),
    ],
)
def test_somebody_who_can_not_be_is_refused(api: Api, bob: User, body: dict[str, Any], status: int, code: str) -> None:
    answered, content = api.post("/users", body)
    assert (answered, content["code"]) == (status, code)
    assert User.objects.count() == 2


def test_only_an_admin_makes_admins(api: Api, carol: User, admin_key: Api) -> None:
    body = {**NEW, "roleId": "admin"}
    for asking in (of_user(carol), admin_key):  # a key with all rights is no person
        assert denied(asking.post("/users", body))
    content = api.post("/users", body)[1]
    assert content["user"]["roleId"] == "admin"
    assert User.objects.get(email="dave@example.com").is_superuser


def test_the_key_of_an_admin_with_all_rights_makes_admins(admin: User) -> None:
    assert of_key(owner=admin, role=Role.ADMIN).post("/users", {**NEW, "roleId": "admin"})[0] == 201
    assert denied(
        of_key(owner=admin, scopes=MEMBER_SCOPES).post("/users", {"email": "e@x.com", "name": "E", "roleId": "admin"})
    )


def test_people_are_listed_the_newest_first(api: Api, bob: User, carol: User) -> None:
    status, content = api.get("/users")
    assert [each["email"] for each in content["users"]] == ["carol@example.com", "bob@example.com", "ada@example.com"]
    assert (status, content["total"]) == (200, 3)
    assert [each["roleId"] for each in content["users"]] == ["staff", "user", "admin"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "BOB"}, ["bob"]),
        ({"search": "%"}, []),
        ({"limit": 1, "offset": 1}, ["bob"]),
        ({"sortBy": "email", "sortOrder": "asc"}, ["ada", "bob", "carol"]),
        ({"sortBy": "name", "sortOrder": "desc"}, ["bob", "ada", "carol"]),
        ({"sortBy": "password", "sortOrder": "asc"}, ["carol", "bob", "ada"]),
        ({"forApiKeys": "true"}, ["carol", "ada"]),
        ({"forApiKeys": "maybe"}, ["carol", "bob", "ada"]),
    ],
)
def test_people_are_searched_sorted_and_in_pages(
    api: Api, bob: User, carol: User, query: dict[str, Any], expected: list[str]
) -> None:
    factories.key(owner=bob)
    found = api.get("/users", **query)[1]["users"]
    assert [each["email"].partition("@")[0] for each in found] == expected


def test_what_is_left_out_of_a_change_stays(api: Api, bob: User) -> None:
    api.put(f"/users/{id_of(bob)}", {"tenant": "acme", "limitRequestsPerMinute": 7})
    status, content = api.put(f"/users/{id_of(bob)}", {"name": "Robert"})
    shown = content["user"]
    assert (status, shown["name"], shown["tenant"], shown["limitRequestsPerMinute"]) == (200, "Robert", "acme", 7)
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)
    assert bob.username == "bob@example.com"


def test_a_new_address_is_what_one_logs_in_with(api: Api, nobody: Api, bob: User) -> None:
    assert api.put(f"/users/{id_of(bob)}", {"email": "robert@example.com"})[0] == 200
    body = {"userId": "robert@example.com", "password": PASSWORD}
    assert nobody.post("/auth/login", body)[0] == 200
    status, content = api.put(f"/users/{id_of(bob)}", {"email": "ada@example.com"})
    assert (status, content["code"]) == (409, "EMAIL_EXISTS")


def test_the_note_of_another_program_stays(api: Api, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(metadata={"other": {"x": 1}})
    api.put(f"/users/{id_of(bob)}", {"tenant": "acme"})
    bob.refresh_from_db()
    assert bob.metadata["other"] == {"x": 1}


def test_roles_are_given_and_taken_by_admins(api: Api, bob: User, carol: User) -> None:
    assert api.put(f"/users/{id_of(bob)}", {"roleId": "admin"})[1]["user"]["roleId"] == "admin"
    assert api.put(f"/users/{id_of(bob)}", {"roleId": "user"})[1]["user"]["roleId"] == "user"
    assert api.put(f"/users/{id_of(carol)}", {"roleId": "staff"})[1]["user"]["roleId"] == "staff"
    assert api.put(f"/users/{id_of(carol)}", {"roleId": "user"})[1]["user"]["roleId"] == "user"
    assert api.put(f"/users/{id_of(bob)}", {"roleId": "staff"})[1]["code"] == "ROLE_NOT_FOUND"


def test_somebody_switched_off_is_out_with_their_keys_and_log_ins(api: Api, nobody: Api, bob: User) -> None:
    key, session = factories.key(owner=bob), sessions.start(user=bob)
    assert api.delete(f"/users/{id_of(bob)}") == (200, {"success": True})
    assert Api({"Authorization": f"Bearer {session.access_token}"}).get("/me")[0] == 401
    assert Api({"X-API-Key": key.secret}).get("/me")[0] == 401
    assert nobody.post("/auth/refresh", {"refreshToken": session.refresh_token})[0] == 401
    assert nobody.post("/auth/login", {"userId": "bob@example.com", "password": PASSWORD})[0] == 403
    assert api.get(f"/users/{id_of(bob)}")[1]["user"]["status"] == "inactive"


def test_a_reset_password_is_told_once_and_ends_the_old_one(api: Api, nobody: Api, bob: User) -> None:
    before = of_user(bob)
    status, content = api.post(f"/users/{id_of(bob)}/reset-password")
    assert (status, set(content)) == (200, {"user", "password", "message"})
    assert before.get("/me")[0] == 401
    assert nobody.post("/auth/login", {"userId": "bob@example.com", "password": PASSWORD})[0] == 401
    assert nobody.post("/auth/login", {"userId": "bob@example.com", "password": content["password"]})[0] == 200


ATTEMPTS = [
    ("PUT", "", {"name": "Mallory"}),
    ("PUT", "", {"email": "mallory@example.com"}),
    ("POST", "/reset-password", None),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "rest", "body"), ATTEMPTS)
def test_nobody_reaches_above_themselves(
    admin: User, carol: User, admin_key: Api, method: str, rest: str, body: Any
) -> None:
    path = f"/users/{id_of(admin)}{rest}"
    for asking in (of_user(carol), admin_key, of_key(scopes=MEMBER_SCOPES), of_key(owner=admin, scopes=MEMBER_SCOPES)):
        assert denied(asking(method, path, body))
    admin.refresh_from_db()
    assert (admin.first_name, admin.email, admin.is_active) == ("Ada", "ada@example.com", True)
    assert admin.check_password(PASSWORD)


@pytest.mark.parametrize(("method", "rest", "body"), ATTEMPTS)
def test_a_permission_that_no_right_stands_for_counts_too(carol: User, method: str, rest: str, body: Any) -> None:
    erin = User.objects.create_user("erin", "erin@example.com", PASSWORD, is_staff=True)
    erin.user_permissions.add(Permission.objects.get(codename="add_payment"))
    assert denied(of_user(carol)(method, f"/users/{id_of(erin)}{rest}", body))
    assert of_user(carol)("GET", f"/users/{id_of(erin)}")[0] == 200


@pytest.mark.parametrize(("method", "rest", "body"), ATTEMPTS)
def test_staff_manage_people_without_rights(carol: User, bob: User, method: str, rest: str, body: Any) -> None:
    assert of_user(carol)(method, f"/users/{id_of(bob)}{rest}", body)[0] == 200


def test_nobody_takes_away_their_own_access(api: Api, admin: User) -> None:
    assert denied(api.delete(f"/users/{id_of(admin)}"))
    assert denied(api.put(f"/users/{id_of(admin)}", {"roleId": "user"}))
    assert denied(of_key(owner=admin, role=Role.ADMIN).delete(f"/users/{id_of(admin)}"))
    admin.refresh_from_db()
    assert admin.is_active and admin.is_superuser


@pytest.mark.parametrize("text", ["user-" + "0" * 32, "user-x", "1", "%00", "é"])
@pytest.mark.parametrize(("method", "rest", "body"), [("GET", "", None), *ATTEMPTS])
def test_somebody_unknown_is_404(api: Api, text: str, method: str, rest: str, body: Any) -> None:
    assert api(method, f"/users/{text}{rest}", body) == (404, {"error": "User not found", "code": "USER_NOT_FOUND"})


@pytest.mark.parametrize(("method", "rest", "body"), ATTEMPTS)
def test_a_key_has_none_of_its_person_s_permissions(admin: User, method: str, rest: str, body: Any) -> None:
    erin = User.objects.create_user("erin", "erin@example.com", PASSWORD, is_staff=True)
    erin.user_permissions.add(Permission.objects.get(codename="add_payment"))
    assert denied(of_key(owner=admin, scopes=MEMBER_SCOPES)(method, f"/users/{id_of(erin)}{rest}", body))


@pytest.mark.parametrize(("method", "rest", "body"), ATTEMPTS)
def test_what_somebody_may_who_is_switched_off_counts_too(carol: User, method: str, rest: str, body: Any) -> None:
    erin = User.objects.create_user("erin", "erin@example.com", PASSWORD, is_staff=True, is_active=False)
    erin.user_permissions.add(Permission.objects.get(codename="change_provider"))
    assert denied(of_user(carol)(method, f"/users/{id_of(erin)}{rest}", body))


def test_nobody_switches_off_somebody_whose_key_may_do_more(carol: User, bob: User) -> None:
    factories.key(owner=bob, role=Role.ADMIN)
    assert denied(of_user(carol).delete(f"/users/{id_of(bob)}"))
    assert User.objects.get(pk=bob.pk).is_active


@pytest.mark.parametrize(("method", "path"), [("POST", "/users"), ("PUT", "/users/{}")])
def test_an_address_that_small_letters_make_too_long_is_refused(api: Api, bob: User, method: str, path: str) -> None:
    address = f"a@{'İ' * 60}.{'İ' * 60}.com"
    status, content = api(method, path.format(id_of(bob)), {"email": address, "name": "A"})
    assert (status, content["code"]) == (400, "INVALID_REQUEST")
    assert not User.objects.filter(email=address).exists()
