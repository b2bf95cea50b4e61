"""Starting a background task of each kind."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from accounts.services import notices
from accounts.services.principals import Principal
from chat.models import Bot
from chat.services.bots import events
from chat.services.bots.platform import Message
from common.models import Job
from gateway.jobs import queue
from gateway.jobs.kinds import ANSWER, CHARGES, CHECK, CONFIG, IMPORT, KINDS, NOTICES
from gateway.jobs.queue import QueueFull
from providers.models import Provider

JSON = dict[str, Any]


def check_providers(*, by: Principal) -> Job:
    """Raises QueueFull, as all of these do."""
    return _start(CHECK, by=by)


def import_models(*, provider: Provider, names: Sequence[str] | None = None, prefix: str = "", by: Principal) -> Job:
    """All models of a provider, or those with these names."""
    chosen = None if names is None else sorted(set(names))
    arguments = {"provider": provider.pk, "models": chosen, "prefix": prefix}
    return _start(IMPORT, by=by, what=f" of {provider.name}", **arguments)


def export_config(*, by: Principal) -> Job:
    return _start(CONFIG, by=by)


def export_charges(*, since: datetime | None = None, until: datetime | None = None, by: Principal) -> Job:
    """Those of a time, `until` not included; all that there are now where no time is given."""
    bounds = {"since": since, "until": until}
    texts = {name: moment.astimezone(UTC).isoformat() for name, moment in bounds.items() if moment}
    days = "".join(f" {word} {moment:%Y-%m-%d}" for word, moment in (("from", since), ("to", until)) if moment)
    return _start(CHARGES, by=by, what=days, **texts)


def answer_event(*, bot: Bot, message: Message) -> None:
    """What a platform told a bot is answered once, however often it is told. Raises QueueFull, and then it may be told
    again."""
    if events.is_known(bot, message):
        return
    with transaction.atomic():
        event = events.note(bot, message)
        if event is not None:
            label = f"{KINDS[ANSWER].title} on {bot.platform}"
            queue.start(kind=ANSWER, label=label, arguments={"event": event.pk}, made_by=f"bot {bot.name}")


def tell_notices() -> None:
    """One task for all notices of limits that are due. While one runs, what is left waits for the next look."""
    if notices.due().exists():
        with suppress(QueueFull):
            queue.start(kind=NOTICES, label=KINDS[NOTICES].title, arguments={}, made_by="the gateway")


def _start(kind: str, *, by: Principal, what: str = "", **arguments: Any) -> Job:
    return queue.start(kind=kind, label=KINDS[kind].title + what, arguments=arguments, made_by=_name_of(by))


def _name_of(principal: Principal) -> str:
    """Names, not references: who is gone by now has started it all the same."""
    return str(principal.user or f"key {principal.key}")
