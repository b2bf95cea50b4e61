"""The key that each person has: made, rotated, revoked; and what people see of themselves."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import ApiKey, Role, Scope, User
from accounts.services import keys
from accounts.services.ledger import writer
from accounts.services.ledger.audit import audit
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.providers_api.conftest import Api, of_key, of_user
from tests.wire.matching import differences

NO_KEY = (404, {"error": "API key not found", "code": "KEY_NOT_FOUND"})


@pytest.fixture
def bob_id(bob: User) -> str:
    return f"user-{bob.uuid.hex}"


def made(api: Api, user_id: str) -> str:
    status, content = api.post("/keys", {"userId": user_id})
    assert (status, content["userId"]) == (201, user_id)
    secret: str = content["apiKey"]
    return secret


def chat(secret: str) -> int:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    headers = {"Authorization": f"Bearer {secret}"}
    return Client().post("/v1/chat/completions", body, "application/json", headers=headers).status_code


def test_a_new_key_is_told_once_and_shown_by_its_end(api: Api, bob_id: str) -> None:
    secret = made(api, bob_id)
    shown = {"id": "<int>", "userId": bob_id, "keySuffix": secret[-5:], "createdAt": "<time>"}
    for path, more in (("/keys", {"total": 1}), (f"/keys/user/{bob_id}", {})):
        status, content = api.get(path)
        assert status == 200
        assert not list(differences({"keys": [shown], **more}, content))
        assert secret not in str(content)


def test_a_new_key_is_no_open_purse(api: Api, admin: User, bob_id: str, upstream: FakeOpenAI) -> None:
    model = factories.model(factories.provider(upstream))
    secret = made(api, bob_id)
    key = ApiKey.objects.get()
    assert (key.month_quota, key.balance, key.all_models, key.scopes, key.role) == (0, 0, False, [], Role.USER)
    assert key.made_by == admin
    assert chat(secret) == 404
    key.grants.create(model=model)
    assert chat(secret) == 429  # nothing to pay with
    assert not upstream.seen


def test_there_is_one_key_a_person(api: Api, bob_id: str) -> None:
    made(api, bob_id)
    status, content = api.post("/keys", {"userId": bob_id})
    assert (status, content["code"]) == (409, "KEY_EXISTS")


def test_of_two_asked_for_at_once_one_is_made(api: Api, bob_id: str) -> None:
    barrier, answers = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        answers.append(api.post("/keys", {"userId": bob_id})[0])
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (None, 400, "MISSING_USER_ID"),
        ({}, 400, "MISSING_USER_ID"),
        ({"userId": ""}, 400, "MISSING_USER_ID"),
        ({"userId": 5}, 400, "INVALID_REQUEST"),
        ({"userId": "user-" + "0" * 32}, 404, "USER_NOT_FOUND"),
        ({"userId": "x"}, 404, "USER_NOT_FOUND"),
    ],
)
def test_a_key_is_somebody_s(api: Api, body: Any, status: int, code: str) -> None:
    answered, content = api.post("/keys", body)
    assert (answered, content["code"]) == (status, code)


def test_somebody_switched_off_gets_no_key(api: Api, bob_id: str) -> None:
    api.delete(f"/users/{bob_id}")
    status, content = api.post("/keys", {"userId": bob_id})
    assert (status, content["code"]) == (403, "USER_INACTIVE")


def test_a_rotated_key_keeps_what_it_spent_and_its_old_secret_ends_at_once(
    api: Api, bob: User, bob_id: str, upstream: FakeOpenAI
) -> None:
    factories.model(factories.provider(upstream))
    issued = factories.key(owner=bob, month_quota=Decimal(1))
    assert chat(issued.secret) == 200
    before = ApiKey.objects.get()
    status, content = api.post(f"/keys/{bob_id}/rotate")
    assert (status, set(content)) == (200, {"apiKey", "userId", "message"})
    assert chat(issued.secret) == 401
    assert chat(content["apiKey"]) == 200
    writer.stop()
    after = ApiKey.objects.get()
    assert (after.pk, after.month_quota, after.suffix) == (before.pk, before.month_quota, content["apiKey"][-5:])
    assert after.month_fee == 2 * before.month_fee > 0
    assert audit() == []


def test_another_process_that_remembers_the_old_secret_refuses_it_too(
    api: Api, bob: User, bob_id: str, upstream: FakeOpenAI
) -> None:
    """What that process has is what this one had before the rotation: its memory is put back."""
    factories.model(factories.provider(upstream))
    issued = factories.key(owner=bob)
    assert chat(issued.secret) == 200
    remembered = dict(keys._remembered)
    api.post(f"/keys/{bob_id}/rotate")
    keys._remembered.update(remembered)
    assert chat(issued.secret) == 401


def test_a_key_is_revoked_by_its_owner_s_id_or_its_own(api: Api, bob: User, bob_id: str) -> None:
    first = factories.key(owner=bob)
    assert api.delete(f"/keys/{bob_id}") == (200, {"success": True})
    second = factories.key(owner=bob)
    assert api.delete(f"/keys/id/{second.key.pk}") == (200, {"success": True})
    for issued in (first, second):
        assert Api({"X-API-Key": issued.secret}).get("/me")[0] == 401
    assert api.get("/keys") == (200, {"keys": [], "total": 0})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/keys/{}/rotate"),
        ("DELETE", "/keys/{}"),
        ("DELETE", "/keys/id/0"),
        ("DELETE", "/keys/id/x"),
        ("DELETE", "/keys/id/-1"),
        ("DELETE", "/keys/id/" + "9" * 40),
        ("DELETE", "/keys/id/٣"),
    ],
)
def test_a_key_that_is_not_there_is_404(api: Api, bob_id: str, method: str, path: str) -> None:
    assert api(method, path.format(bob_id)) == NO_KEY


def test_the_console_s_own_key_is_out_of_reach(api: Api) -> None:
    assert api.delete(f"/keys/id/{keys.console_key().pk}") == NO_KEY
    assert api.get("/keys")[1]["total"] == 0


@pytest.mark.parametrize(("method", "path"), [("POST", "/keys/{}/rotate"), ("DELETE", "/keys/{}"), ("DELETE", "")])
def test_a_key_with_more_rights_than_one_s_own_is_out_of_reach(bob: User, bob_id: str, method: str, path: str) -> None:
    strong = factories.key(owner=bob, role=Role.ADMIN)
    status, content = of_key(scopes=[Scope.API_KEY_MANAGE])(method, path.format(bob_id) or f"/keys/id/{strong.key.pk}")
    assert (status, content["code"], content["reason"]) == (
        403,
        "ACCESS_DENIED",
        "The key has more rights than you.",
    )
    assert Api({"X-API-Key": strong.secret}).get("/providers")[0] == 200


def test_somebody_sees_their_own_key_and_rotates_it(api: Api, bob: User, bob_id: str) -> None:
    factories.key(owner=User.objects.create_user("other"))
    own = of_user(bob)
    assert own.get("/me/keys") == (200, {"keys": []})
    assert own.post("/me/rotate") == NO_KEY
    secret = made(api, bob_id)
    assert [each["keySuffix"] for each in own.get("/me/keys")[1]["keys"]] == [secret[-5:]]
    status, content = own.post("/me/rotate")
    assert (status, content["userId"]) == (200, bob_id)
    assert Api({"X-API-Key": secret}).get("/me")[0] == 401
    by_key = Api({"Authorization": f"Bearer {content['apiKey']}"})
    assert by_key.get("/me")[1]["user"]["userId"] == bob_id
    assert by_key.get("/providers")[0] == 403


def test_a_key_that_asks_is_rotated_itself_and_never_a_stronger_or_a_richer_one(admin: User) -> None:
    weak = factories.key(owner=admin)
    strong = factories.key(owner=admin, role=Role.ADMIN)
    status, content = Api({"X-API-Key": weak.secret}).post("/me/rotate")
    assert (status, content["apiKey"][-5:]) == (200, ApiKey.objects.get(pk=weak.key.pk).suffix)
    assert Api({"X-API-Key": content["apiKey"]}).get("/providers")[0] == 403
    assert Api({"X-API-Key": strong.secret}).get("/providers")[0] == 200


def test_who_sets_somebody_s_password_gets_none_of_their_stronger_keys(carol: User, nobody: Api, bob: User) -> None:
    strong = factories.key(owner=bob, role=Role.ADMIN)
    password = of_user(carol).post(f"/users/user-{bob.uuid.hex}/reset-password")[1]["password"]
    session = nobody.post("/auth/login", {"userId": "bob@example.com", "password": password})[1]
    as_bob = Api({"Authorization": f"Bearer {session['accessToken']}"})
    status, content = as_bob.post("/me/rotate")
    assert (status, content["code"]) == (403, "ACCESS_DENIED")
    assert Api({"X-API-Key": strong.secret}).get("/providers")[0] == 200


def test_the_key_of_somebody_switched_off_manages_nothing(bob: User, nobody: Api) -> None:
    strong = Api({"X-API-Key": factories.key(owner=bob, role=Role.ADMIN).secret})
    assert strong.get("/providers")[0] == 200
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert strong.get("/providers") == nobody.get("/providers")
