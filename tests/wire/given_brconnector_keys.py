"""Keys, payments and grants that the recorded requests of this dialect meet."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accounts.models import Group, GroupGrant, KeyGrant, Payment
from accounts.services import keys
from chat.services import conversations
from providers.models import AIModel
from tests import factories
from tests.wire.world import World

JSON = dict[str, Any]


def key(**fields: Any) -> JSON:
    """As its holder and as others see it."""
    usual = {"month_quota": Decimal(1), "all_models": False, "start": "br-", "length": 29}
    issued = factories.key(**{**usual, **fields})
    masked = f"{issued.key.prefix}***{issued.key.suffix}"
    return {"row": issued.key, "id": issued.key.pk, "secret": issued.secret, "masked": masked}


def jack(world: World) -> JSON:
    return key(name="jack", email="jack@example.com", balance=Decimal("0.5"))


def unlimited(world: World) -> JSON:
    return key(name="jill", month_quota=None)


def deleted(world: World) -> JSON:
    """With a recharge, which stays in the ledger."""
    made = key(name="jack", balance=Decimal(3))
    conversations.retire_key(key=made["row"])
    return made


def in_group(world: World) -> JSON:
    group: Group = world.made["group"]
    return key(name="jim", group=group)


def recharge(world: World) -> Payment:
    return keys.recharge(key=world.made["jack"]["row"], amount=Decimal("0.0000000001"))


def small(world: World) -> AIModel:
    """Nobody may call it yet."""
    return factories.model(factories.provider(world.upstream), "small", price_in=Decimal(3), price_out=Decimal(15))


def group_grant(world: World) -> GroupGrant:
    return GroupGrant.objects.create(group=world.made["second_group"], model=world.made["small"])


def key_grant(world: World) -> KeyGrant:
    return KeyGrant.objects.create(key=world.made["jack"]["row"], model=world.made["small"])


GIVEN: dict[str, Callable[[World], Any]] = {
    "jack": jack,
    "unlimited": unlimited,
    "deleted": deleted,
    "in_group": in_group,
    "recharge": recharge,
    "small": small,
    "group_grant": group_grant,
    "key_grant": key_grant,
}
