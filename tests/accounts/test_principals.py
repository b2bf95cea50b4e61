"""Who manages, by token and by key, and what they may do."""

from datetime import timedelta

import jwt
import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.errors import InvalidKey, InvalidToken, KeyExpired, KeyRevoked, TokenExpired
from accounts.models import Role, Scope, User
from accounts.services import keys, principals, tokens
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("admin", "admin@example.com", "correct horse")


def test_a_token_names_its_user(admin: User) -> None:
    assert tokens.read(tokens.issue(user=admin)) == admin


def test_a_token_ends_with_its_time(admin: User) -> None:
    with pytest.raises(TokenExpired):
        tokens.read(tokens.issue(user=admin, lifetime=timedelta(seconds=-1)))


def test_a_new_password_ends_all_tokens(admin: User) -> None:
    token = tokens.issue(user=admin)
    admin.set_password("another horse")
    admin.save()
    with pytest.raises(InvalidToken):
        tokens.read(token)


def test_the_token_of_somebody_switched_off_is_none(admin: User) -> None:
    token = tokens.issue(user=admin)
    User.objects.update(is_active=False)
    with pytest.raises(InvalidToken):
        tokens.read(token)


@pytest.mark.parametrize("changed", [{"iss": "somebody else"}, {"sub": "no uuid"}, {"sub": 5}, {"stamp": None}])
def test_a_token_with_other_claims_is_none(admin: User, changed: dict[str, object]) -> None:
    claims = jwt.decode(tokens.issue(user=admin), options={"verify_signature": False})
    with pytest.raises(InvalidToken):
        tokens.read(jwt.encode({**claims, **changed}, tokens._secret(), "HS256"))


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_a_token_signed_another_way_is_none(admin: User, algorithm: str) -> None:
    claims = jwt.decode(tokens.issue(user=admin), options={"verify_signature": False})
    secret = "" if algorithm == "none" else tokens._secret()
    with pytest.raises(InvalidToken):
        tokens.read(jwt.encode(claims, secret, algorithm))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "x" * 100_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.read(text)


def test_a_superuser_may_all_and_a_stranger_nothing(admin: User) -> None:
    assert principals.of_user(admin).rights == frozenset(Scope.values)
    assert principals.of_user(User.objects.create_user("bob")).rights == frozenset()


def test_staff_may_what_their_permissions_open() -> None:
    user = User.objects.create_user("carol", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_provider"))
    assert principals.of_user(User.objects.get(pk=user.pk)).rights == {Scope.WORKSPACE_VIEW, Scope.RESOURCE_VIEW}


def test_permissions_of_somebody_who_is_not_staff_open_nothing() -> None:
    user = User.objects.create_user("dave")
    user.user_permissions.add(Permission.objects.get(codename="view_provider"))
    assert principals.of_user(User.objects.get(pk=user.pk)).rights == frozenset()


@pytest.mark.parametrize(
    ("fields", "rights"),
    [
        ({"role": Role.ADMIN}, frozenset(Scope.values)),
        ({"scopes": ["*"]}, frozenset(Scope.values)),
        ({"scopes": ["resource.view", "unheard.of"]}, frozenset({"resource.view"})),
        ({}, frozenset()),
    ],
)
def test_a_key_may_what_its_scopes_say(fields: dict[str, object], rights: frozenset[str]) -> None:
    assert principals.of_secret(factories.key(**fields).secret).rights == rights


def test_keys_that_hold_no_longer_are_told_apart() -> None:
    revoked, expired = factories.key(), factories.key(expires_at=timezone.now() - timedelta(seconds=1))
    keys.revoke(key=revoked.key)
    for secret, error in ((revoked.secret, KeyRevoked), (expired.secret, KeyExpired), ("wb-unknown", InvalidKey)):
        with pytest.raises(error):
            principals.of_secret(secret)
