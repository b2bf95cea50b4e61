"""Events of bots, each taken in once."""

from dataclasses import asdict
from datetime import timedelta

from django.db.models.functions import Now

from chat.models import Bot, BotEvent
from chat.services.bots.platform import Message
from common.database import remove

KEPT_FOR = timedelta(hours=8)  # Feishu sends one again for 7.1 hours


def is_known(bot: Bot, message: Message) -> bool:
    return BotEvent.objects.filter(bot=bot, key=message.key).exists()


def note(bot: Bot, message: Message) -> BotEvent | None:
    """The event's row, in the caller's transaction; None: somebody else has it, even if only by a moment."""
    event, is_new = BotEvent.objects.get_or_create(bot=bot, key=message.key, defaults={"message": asdict(message)})
    return event if is_new else None


def tidy() -> None:
    """Forget old ones, a little at a time."""
    old = BotEvent.objects.filter(created_at__lt=Now() - KEPT_FOR)
    remove(old.order_by("id"))
