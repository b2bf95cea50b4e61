"""Who calls the service API in its tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, User
from accounts.services import tokens
from tests import factories

PASSWORD = "correct horse battery"
BETTER = "purple monkey dishwasher"

Api = Callable[..., Any]


def caller(**credentials: str) -> Api:
    """`api(method, path, body)` for whoever has these headers; a body that is no text or bytes is sent as JSON."""
    client = Client(headers=credentials, raise_request_exception=False)

    def call(method: str, path: str, body: Any = None, **options: Any) -> Any:
        if body is None:
            return client.generic(method.upper(), f"/api/v1/{path}", **options)
        return getattr(client, method)(f"/api/v1/{path}", data=body, content_type="application/json", **options)

    return call


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin@example.com", "admin@example.com", PASSWORD)


@pytest.fixture
def user(admin: User) -> Api:
    """With the superuser's token."""
    return caller(Authorization=f"Bearer {tokens.issue(user=admin)}")


@pytest.fixture
def key(db: None) -> Api:
    """With an admin's key."""
    return caller(**{"X-API-Key": factories.key(role=Role.ADMIN).secret})


@pytest.fixture
def nobody(db: None) -> Api:
    return caller()
