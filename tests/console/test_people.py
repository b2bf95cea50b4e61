"""Whoever may edit people gives nobody, himself included, more than he has."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.errors import KeyRevoked, TokenExpired
from accounts.models import ApiKey, User
from accounts.services import keys, sessions
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(admin: User) -> User:
    user = User.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_user", "add_user", "change_user", "delete_user"])
    )
    return user


@pytest.fixture
def desk(clerk: User) -> Client:
    client = Client()
    client.force_login(clerk)
    return client


def page(user: User, name: str = "change") -> str:
    return reverse(
        "admin:auth_user_password_change" if name == "password" else f"admin:accounts_user_{name}", args=[user.pk]
    )


def form(user: User, **fields: Any) -> dict[str, Any]:
    return {"username": user.username, "is_active": "on", "is_staff": "on", **fields}


def test_nobody_raises_himself(desk: Client, clerk: User) -> None:
    everything = list(Permission.objects.values_list("pk", flat=True))
    posted = form(clerk, first_name="Cleo", is_superuser="on", user_permissions=everything)
    assert desk.post(page(clerk), posted).status_code == 302
    clerk.refresh_from_db()
    assert (clerk.first_name, clerk.is_superuser, clerk.user_permissions.count()) == ("Cleo", False, 4)


def test_nobody_is_let_in_by_somebody_who_is_no_superuser(desk: Client) -> None:
    user = User.objects.create_user("caller", password="x")
    assert desk.post(page(user), form(user)).status_code == 302
    user.refresh_from_db()
    assert not user.is_staff


@pytest.mark.parametrize("name", ["change", "password", "delete"])
def test_a_superuser_s_row_is_a_superuser_s(desk: Client, admin: User, name: str) -> None:
    posted = form(admin, password1="a new one 1", password2="a new one 1", usable_password="true", post="yes")
    assert desk.post(page(admin, name), posted).status_code == 403
    assert desk.get(page(admin)).status_code == 200  # to read
    admin.refresh_from_db()
    assert admin.check_password("a long password")


def test_who_may_do_more_is_left_alone(desk: Client) -> None:
    bursar = User.objects.create_user("bursar", password="x", is_staff=True)
    bursar.user_permissions.set(Permission.objects.filter(codename="add_payment"))
    assert desk.get(page(bursar, "password")).status_code == 403
    assert desk.post(page(bursar), form(bursar)).status_code == 403


def test_a_superuser_gives_rights(console: Client, clerk: User) -> None:
    assert console.post(page(clerk), form(clerk, is_superuser="on")).status_code == 302
    clerk.refresh_from_db()
    assert clerk.is_superuser


def test_whoever_is_switched_off_here_calls_and_manages_no_more(desk: Client) -> None:
    user = User.objects.create_user("caller", password="x")
    theirs, other = factories.key(owner=user), factories.key()
    session = sessions.start(user=user)
    assert desk.post(page(user), form(user)).status_code == 302
    assert keys.caller_of(ApiKey.objects.get(pk=theirs.key.pk)).name == theirs.key.name
    posted = form(user)
    del posted["is_active"]
    assert desk.post(page(user), posted).status_code == 302
    with pytest.raises(KeyRevoked):
        keys.caller_of(ApiKey.objects.get(pk=theirs.key.pk))
    with pytest.raises(TokenExpired):
        sessions.refresh(token=session.refresh_token)
    assert keys.caller_of(ApiKey.objects.get(pk=other.key.pk)).name == other.key.name
