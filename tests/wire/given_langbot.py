"""What the recorded requests of this dialect meet."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission

from accounts.errors import LockedOut, PersonRefused
from accounts.models import ApiKey, Scope, User
from accounts.services import keys, people, tokens
from tests import factories
from tests.wire import given_langbot_models, given_langbot_tasks
from tests.wire.world import World

HERE = {"REMOTE_ADDR": "127.0.0.1"}  # where the recorded requests come from


def account(world: World) -> User:
    """The superuser, who is the `user` of the recordings."""
    return world.admin


def clerk(world: World) -> dict[str, str]:
    """The token of somebody who may see providers and nothing else."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_provider"))
    return {"token": tokens.issue(user=User.objects.get(pk=user.pk))}


def manager(world: World) -> dict[str, str]:
    """The token of somebody who may manage keys and nothing else."""
    user = User.objects.create_user("manager", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_apikey"))
    return {"token": tokens.issue(user=User.objects.get(pk=user.pk))}


def caller(world: World) -> ApiKey:
    """The admin's key, which is the `key` of the recordings."""
    return world.key.key


def secret(world: World) -> dict[str, str]:
    """The same key's secret, to be sent in another header."""
    return {"text": world.key.secret}


def apikey(world: World) -> ApiKey:
    """A key that the superuser has made through this API."""
    return keys.hand_out(
        rights=frozenset(Scope.values),
        name="monitor",
        description="Reads what there is",
        scopes=[Scope.RESOURCE_VIEW],
        expires_at=datetime(2999, 1, 1, tzinfo=UTC),
        made_by=world.admin,
        start="lbk_",
    ).key


def revoked(world: World) -> ApiKey:
    """A key of the console's that has been revoked."""
    return keys.revoke(key=factories.key(name="gone").key)


def recovery(world: World) -> dict[str, str]:
    return {"key": settings.RECOVERY_KEY}


def locked_out(world: World) -> None:
    """Too many failures with the superuser's password."""
    _until(LockedOut, lambda: people.log_in(name=world.admin.email, password="wrong", origin=HERE))


def guessed(world: World) -> None:
    """Too many failures with the recovery key."""
    _until(LockedOut, lambda: people.reset_password(name="x", key="wrong", new="x", origin=HERE))


def _until(end: type[PersonRefused], attempt: Callable[[], object]) -> None:
    for _ in range(100):
        try:
            attempt()
        except end:
            return
        except PersonRefused:
            continue


GIVEN: dict[str, Callable[[World], Any]] = (
    {
        each.__name__: each
        for each in (account, clerk, manager, caller, secret, apikey, revoked, recovery, locked_out, guessed)
    }
    | given_langbot_tasks.GIVEN
    | given_langbot_models.GIVEN
)
