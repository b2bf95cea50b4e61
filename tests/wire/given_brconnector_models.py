"""Models that the recorded requests of this dialect meet."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accounts.models import Group, KeyGrant
from gateway.dialects.brconnector.models import PROGRAM
from providers import catalog
from providers.models import AIModel
from providers.services import flat
from tests import factories
from tests.wire.world import World

AWS = {
    "modelId": "anthropic.claude-3-sonnet-20240229-v1:0",
    "regions": "us-east-1, us-west-2",
    "credentials": [{"accessKeyId": "AKIARECORDED", "secretAccessKey": "recorded-secret"}],
    "note": "as it was sent",
}


def sonnet(world: World) -> AIModel:
    """Saved over this dialect."""
    model = AIModel(name="claude-3-sonnet", is_multimodal=True, price_in=Decimal(3), price_out=Decimal(15))
    return flat.store(model=model, provider_id="bedrock-converse", config=AWS, program=PROGRAM)


def console_model(world: World) -> AIModel:
    """Made in the console, its prices unknown."""
    headers = {"headers": {"X-Team": "blue"}}
    provider = factories.provider(base_url="https://llm.example.com/v1", config=headers, retries=1)
    return factories.model(provider, "Console", upstream_name="big-1", price_in=None, price_out=None)


def group_of_sonnet(world: World) -> Group:
    return factories.group(world.made["sonnet"], name="group 1")


def member(world: World) -> KeyGrant:
    """The stranger may call the group's model, and the other one by a grant of its own; all models no more."""
    key = world.stranger.key
    key.all_models, key.group = False, world.made["group_of_sonnet"]
    key.save()
    factories.grant(world.stranger, world.made["sonnet"])
    return factories.grant(world.stranger, world.made["console_model"])


def provider_ids(world: World) -> dict[str, list[str]]:
    return {"all": catalog.flat_ids()}


GIVEN: dict[str, Callable[[World], Any]] = {
    "sonnet": sonnet,
    "console_model": console_model,
    "group_of_sonnet": group_of_sonnet,
    "member": member,
    "provider_ids": provider_ids,
}
