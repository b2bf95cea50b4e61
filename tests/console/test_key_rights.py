"""What a key may manage, given in the console: by checkboxes, and by nobody who may not do it themselves."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey, Role, Scope, User
from tests import factories
from tests.console.test_keys import change, form, issue, nonce, staff

pytestmark = pytest.mark.django_db

ADD = "/admin/accounts/apikey/add/"
BEYOND = "give a key what you may not do yourself"


def make(browser: Client, **fields: Any) -> Any:
    return browser.post(ADD, form(**nonce(browser), **fields), follow=True)


def test_a_key_is_made_for_somebody_with_a_purpose_and_rights(console: Client, admin: User) -> None:
    bob = User.objects.create_user("bob")
    issue(console, description="for the build", owner=bob.pk, scopes=["resource.view", "audit.view"])
    key = ApiKey.objects.get()
    assert (key.description, key.owner, key.made_by) == ("for the build", bob, admin)
    assert key.scopes == ["audit.view", "resource.view"]
    page = console.get(change(key)).content.decode()
    assert all(scope in page for scope in Scope.values)
    assert page.count('name="scopes"') == len(Scope.values)


def test_rights_are_taken_away_and_the_rest_stays(console: Client, admin: User) -> None:
    key = factories.key(scopes=["resource.view", "audit.view"], description="why").key
    console.post(change(key), form(name="ci", month_quota="7", description="why", scopes=["audit.view"]))
    key.refresh_from_db()
    assert (key.name, key.scopes, key.description) == ("ci", ["audit.view"], "why")


def test_a_key_that_may_all_shows_all_its_rights(console: Client, admin: User) -> None:
    key = factories.key(scopes=["*"]).key
    assert console.get(change(key)).content.decode().count(" checked") >= len(Scope.values)


def test_an_unknown_right_is_refused(console: Client) -> None:
    assert "unheard.of is not one of the available choices" in issue(console, scopes=["unheard.of"]).content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("fields", [{"role": Role.ADMIN}, {"scopes": ["provider_secret.manage"]}])
def test_nobody_makes_a_key_that_may_more_than_they(fields: dict[str, Any]) -> None:
    browser = staff("add_apikey", "view_apikey", "view_provider")
    assert BEYOND in make(browser, **fields).content.decode().replace("&#x27;", "'")
    assert not ApiKey.objects.exists()
    make(browser, scopes=["resource.view"])
    assert ApiKey.objects.get().scopes == ["resource.view"]


@pytest.mark.parametrize("fields", [{"role": Role.ADMIN}, {"scopes": ["provider_secret.manage"]}])
def test_nobody_gives_a_key_more_than_they_may(fields: dict[str, Any]) -> None:
    browser = staff("change_apikey", "view_apikey")
    key = factories.key().key
    assert BEYOND in browser.post(change(key), form(**fields)).content.decode()
    key.refresh_from_db()
    assert key.rights == frozenset()


def test_a_key_keeps_rights_that_its_editor_lacks() -> None:
    browser = staff("change_apikey", "view_apikey")
    key = factories.key(role=Role.ADMIN).key
    browser.post(change(key), form(name="renamed", role=Role.ADMIN))
    key.refresh_from_db()
    assert (key.name, key.role) == ("renamed", Role.ADMIN)
