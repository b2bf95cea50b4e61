"""Who asks the providers API: an admin's key, an admin's token, and people and keys with fewer rights."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Role, Scope, User
from accounts.services import tokens
from tests import factories
from tests.fakes.openai import FakeOpenAI

PASSWORD = "correct horse battery"


@dataclass
class Api:
    """A client with credentials; answers are given as status and JSON."""

    headers: dict[str, str]

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        data = json.dumps(body) if isinstance(body, dict | list) else body
        content = {"data": data, "content_type": "application/json"} if body is not None else {}
        client = Client(raise_request_exception=False, headers=self.headers)
        answer = client.generic(method, f"/api{path}", query_params=query, **content)
        return answer.status_code, answer.json()

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return self("GET", path, **query)

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self("POST", path, body)

    def put(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self("PUT", path, body)

    def delete(self, path: str) -> tuple[int, Any]:
        return self("DELETE", path)


def of_user(user: User) -> Api:
    return Api({"Authorization": f"Bearer {tokens.issue(user=user)}"})


def of_key(**fields: Any) -> Api:
    return Api({"X-API-Key": factories.key(**fields).secret})


@pytest.fixture
def admin(database: None) -> User:
    return User.objects.create_superuser("ada@example.com", "ada@example.com", PASSWORD, first_name="Ada")


@pytest.fixture
def bob(database: None) -> User:
    return User.objects.create_user("bob@example.com", "bob@example.com", PASSWORD, first_name="Bob")


@pytest.fixture
def carol(database: None) -> User:
    """Of the staff: she may look at people and change them, and nothing else."""
    user = User.objects.create_user("carol", "carol@example.com", PASSWORD, is_staff=True)
    names = ("view_user", "add_user", "change_user", "delete_user")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


@pytest.fixture
def api(admin: User) -> Api:
    return of_user(admin)


@pytest.fixture
def admin_key(database: None) -> Api:
    return of_key(role=Role.ADMIN)


@pytest.fixture
def reader(database: None) -> Api:
    return of_key(scopes=[Scope.RESOURCE_VIEW])


@pytest.fixture
def nobody(database: None) -> Api:
    return Api({})


@pytest.fixture
def refusing() -> Iterator[FakeOpenAI]:
    """An upstream that takes no key that anybody has."""
    with FakeOpenAI(key="sk-that-nobody-has") as fake:
        yield fake
