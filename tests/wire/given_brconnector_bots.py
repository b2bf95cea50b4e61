"""Bots that recorded requests meet."""

from collections.abc import Callable
from typing import Any

from chat.models import Bot, BotPlatform
from chat.services.bots import managing
from tests.wire.world import World

CONFIG = {"appId": "cli_1", "appSecret": "app-secret", "apiKey": "br-pays", "modelId": "claude-3-sonnet"}
SLACK = {"botToken": "xoxb-1", "signingSecret": "sign", "apiKey": "br-pays"}


def bot(world: World) -> Bot:
    return managing.make(name="helper", platform=BotPlatform.FEISHU, config=CONFIG)


def second_bot(world: World) -> Bot:
    return managing.make(name="second", platform=BotPlatform.FEISHU, config={**CONFIG, "appId": "cli_2"})


def twin_bot(world: World) -> Bot:
    """Of the first one's app."""
    return managing.make(name="twin", platform=BotPlatform.FEISHU, config=CONFIG)


def slack_bot(world: World) -> Bot:
    return managing.make(name="slack helper", platform=BotPlatform.SLACK, config=SLACK)


def many_bots(world: World) -> list[Bot]:
    return [
        managing.make(name=f"bot {number}", platform=BotPlatform.FEISHU, config={**CONFIG, "appId": f"cli_{number}"})
        for number in range(25)
    ]


GIVEN: dict[str, Callable[[World], Any]] = {
    "bot": bot,
    "second_bot": second_bot,
    "twin_bot": twin_bot,
    "slack_bot": slack_bot,
    "many_bots": many_bots,
}
