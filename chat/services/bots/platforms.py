"""Every platform that a bot can be on."""

from chat.models import Bot, BotPlatform
from chat.services.bots.feishu import Feishu
from chat.services.bots.platform import Platform
from chat.services.bots.slack import Slack
from chat.services.bots.webhook import Webhook

PLATFORMS: dict[str, type[Platform]] = {
    BotPlatform.FEISHU: Feishu,
    BotPlatform.SLACK: Slack,
    BotPlatform.WEBHOOK: Webhook,
}


def of(bot: Bot) -> Platform:
    """The bot's own. Raises InvalidToken when its secrets can't be read."""
    return PLATFORMS[bot.platform](bot.settings)
