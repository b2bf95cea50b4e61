"""What the recorded requests of this dialect meet."""

from collections.abc import Callable
from typing import Any

from accounts.models import Group
from tests import factories
from tests.wire import (
    given_brconnector_bots,
    given_brconnector_keys,
    given_brconnector_models,
    given_brconnector_sessions,
)
from tests.wire.world import World


def group(world: World) -> Group:
    """With a model in it."""
    return factories.group(factories.model(factories.provider(world.upstream)), name="group 1", code="g-1")


def second_group(world: World) -> Group:
    return factories.group(name="group 2")


GIVEN: dict[str, Callable[[World], Any]] = {
    **given_brconnector_bots.GIVEN,
    **given_brconnector_keys.GIVEN,
    **given_brconnector_models.GIVEN,
    **given_brconnector_sessions.GIVEN,
    "group": group,
    "second_group": second_group,
}
