"""What the recorded requests of this dialect meet."""

import atexit
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.conf import settings

from accounts.errors import PersonRefused
from accounts.models import ApiKey, Charge, User
from accounts.services import keys, people, sessions, tokens
from gateway.dialects.providers_api.shapes import PROGRAM
from providers.models import AIModel, Provider
from providers.services import upserts
from providers.services.upserts import Wanted
from tests import factories
from tests.console import rows
from tests.fakes.openai import FakeOpenAI
from tests.wire.world import PASSWORD, World

HERE = {"REMOTE_ADDR": "127.0.0.1"}  # where the recorded requests come from
PAGE_METADATA = {"displayName": "OpenAI", "baseUrl": "https://api.openai.com/v1"}
DAY = datetime(2025, 1, 31, 12, tzinfo=UTC)


@cache
def _refusing() -> FakeOpenAI:
    """An upstream that takes no key that anybody has; it ends with the tests."""
    fake = FakeOpenAI(key="sk-that-nobody-has").__enter__()
    atexit.register(fake.__exit__, None, None, None)
    return fake


def _provider(secret: str = "sk-0123456789", **metadata: Any) -> Provider:
    base_url = metadata.get("baseUrl", "")
    return upserts.put(Wanted(name="openai", secret=secret, program=PROGRAM, metadata=metadata, base_url=str(base_url)))


def provider(world: World) -> Provider:
    """The page's own."""
    return _provider(**PAGE_METADATA)


def connected(world: World) -> Provider:
    """One that answers."""
    return _provider(world.upstream.key, baseUrl=f"{world.upstream.origin}/v1")


def refused(world: World) -> Provider:
    """One that answers, and takes no key."""
    return _provider(baseUrl=f"{_refusing().origin}/v1")


def unreachable(world: World) -> Provider:
    return _provider(baseUrl="http://127.0.0.1:9/v1")


def others(world: World) -> Provider:
    """Two more, of which one was made in the console."""
    factories.provider(name="Console", base_url="http://llm.example.com/v1")
    metadata = {"baseUrl": "http://zoo.example.com/v1"}
    wanted = Wanted(
        name="zoo", secret="sk-0123456789", program=PROGRAM, metadata=metadata, base_url="http://zoo.example.com/v1"
    )
    return upserts.put(wanted)


def account(world: World) -> dict[str, Any]:
    """The superuser, who is the `user` of the recordings."""
    return {"id": f"user-{world.admin.uuid.hex}", "password": PASSWORD, "email": world.admin.email}


def bob(world: World) -> dict[str, Any]:
    """Somebody without rights."""
    user = User.objects.create_user("bob@example.com", "bob@example.com", PASSWORD, first_name="Bob")
    return {"id": f"user-{user.uuid.hex}", "password": PASSWORD, "token": tokens.issue(user=user)}


def _bob() -> User:
    return User.objects.get(username="bob@example.com")


def bobs_key(world: World) -> ApiKey:
    return keys.issue(name="bob@example.com", owner=_bob(), month_quota=Decimal(0)).key


def session(world: World) -> dict[str, str]:
    """What Bob's last log-in gave him."""
    return {"refresh": sessions.start(user=_bob()).refresh_token}


def spent(world: World) -> dict[str, str]:
    """A refresh token that was used."""
    token = sessions.start(user=_bob()).refresh_token
    sessions.refresh(token=token)
    return {"refresh": token}


def ended(world: World) -> dict[str, str]:
    """A refresh token of a log-in that is over."""
    token = sessions.start(user=_bob()).refresh_token
    sessions.end(token=token)
    return {"refresh": token}


def switched_off(world: World) -> User:
    """After what was made before: Bob may log in no more."""
    User.objects.filter(pk=_bob().pk).update(is_active=False)
    return _bob()


def admin_switched_off(world: World) -> User:
    world.admin.is_active = False
    world.admin.save()
    return world.admin


def locked_out(world: World) -> None:
    """Too many wrong passwords of the superuser's."""
    name = world.admin.email
    for _ in range(settings.AXES_FAILURE_LIMIT):
        try:
            people.log_in(name=name, password="wrong", origin=HERE)
        except PersonRefused:
            continue


def expired(world: World) -> dict[str, str]:
    """A token whose time is over."""
    return {"token": tokens.issue(user=_bob(), lifetime=-sessions.ACCESS_LIFETIME)}


def call(world: World) -> Charge:
    """One of Bob's, of the last day of a month."""
    model: AIModel = factories.model(factories.provider(name="east"), "alpha")
    charge = rows.charge(_bob().keys.get(), model, request_id="req_0123456789abcdef")
    charge.quota_fee, charge.balance_fee = Decimal(0), charge.fee
    rows.save([charge], [DAY])
    return charge


GIVEN: dict[str, Callable[[World], Any]] = {
    "provider": provider,
    "connected": connected,
    "refused": refused,
    "unreachable": unreachable,
    "others": others,
    "account": account,
    "bob": bob,
    "bobs_key": bobs_key,
    "session": session,
    "spent": spent,
    "ended": ended,
    "switched_off": switched_off,
    "admin_switched_off": admin_switched_off,
    "locked_out": locked_out,
    "expired": expired,
    "call": call,
}
