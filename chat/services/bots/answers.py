"""One event's answer: a call over the one pipeline, paid by the bot's key, shown on its platform as it grows.

An attempt that was cut off is taken up by the next one: where it was paid for already, what it said is shown and
nobody is asked again.
"""

import hashlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import orjson
from cryptography.fernet import InvalidToken
from django.db import Error
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import InsufficientQuota, Refused
from accounts.models import Charge, Outcome, State
from accounts.services import keys
from chat.errors import CallError, EventRefused, PlatformError
from chat.models import Bot, BotEvent, Thread
from chat.services import completions
from chat.services.bots import platforms
from chat.services.bots.platform import Message, Platform
from chat.services.bots.updates import Updates, patiently
from chat.services.calls import ENDPOINTS, Call
from chat.services.relay import Relay
from common.jobs import JobFailed, Lost, Running, Stopped
from providers.requesters.errors import ProviderError
from providers.requesters.sse import Event

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

REMEMBERED_FOR = timedelta(hours=1)
MOST_TURNS = 20
LONGEST_ERROR = 500
GONE = "The bot or its event is not there any more."
UNREADABLE = "The bot's secrets can't be read."
NO_TEXT = "The model answered without a text."
UNEXPECTED = "It failed unexpectedly; the server's log says more."
NOT_KEPT = "The answer was made, but it was not kept and can't be shown again. Please ask once more."
RECHARGE = "Please recharge."


def answer(task: Running) -> JSON:
    """Answer the task's `event`. Raises JobFailed where people could not even be told that it failed."""
    known = BotEvent.objects.select_related("bot").defer("bot__secrets")
    event = known.filter(pk=task.arguments["event"]).first()
    if event is None or not event.bot.is_enabled or not event.message:
        raise JobFailed(GONE)
    try:
        error = Answering(task, event).run()
    except (PlatformError, InvalidToken) as failure:
        why = str(failure) or UNREADABLE
        _close(event, why)
        raise JobFailed(why) from failure
    _close(event, error)
    return {}


def _close(event: BotEvent, error: str) -> None:
    """What was said is not needed any more."""
    BotEvent.objects.filter(pk=event.pk).update(message={}, error=error[:LONGEST_ERROR])


class Answering:
    """What one attempt needs."""

    def __init__(self, task: Running, event: BotEvent) -> None:
        self.task = task
        self.bot: Bot = event.bot
        self.message = Message(**event.message)
        self.platform: Platform = platforms.of(event.bot)
        self.base_id = request_id_of(event)
        self.said = ""  # by the model, so far

    def run(self) -> str:
        """Why there is no answer, as people were told; empty where there is one."""
        place = self.task.memory.get("place") or self._start()
        updates = Updates(
            lambda shown: self.platform.show(place, self.message, self.base_id, shown), self.platform.seconds_between
        )
        try:
            text, error = self._text(updates), ""
        except (Lost, Stopped, Error):
            raise
        except Exception as failure:
            text, error = self.said, told(failure)
            if error == UNEXPECTED:
                logger.exception("a bot's answer failed")
        self.task.beat()  # raises Lost when somebody else is at it by now
        updates.end("\n\n".join(filter(None, (text, error))) or NO_TEXT, is_error=bool(error))
        return error

    def _start(self) -> str:
        place = patiently(lambda: self.platform.start(self.message, self.base_id))
        self.task.report(memory={"place": place})
        return place

    def _text(self, updates: Updates) -> str:
        request_id, paid = earlier(self.base_id)
        if paid is not None:
            return _kept(paid)
        relay = completions.open_stream(self._call(request_id))
        try:
            for piece in _pieces(relay):
                self.said += piece
                if updates.is_due:
                    self._stop_if_asked()
                    updates.show(self.said)
        finally:
            relay.close()
        if relay.error is not None:
            raise relay.error
        return self.said

    def _stop_if_asked(self) -> None:
        if self.task.is_stopping():
            raise Stopped

    def _call(self, request_id: str) -> Call:
        caller = keys.look_up(keys.digest(self.platform.setting("apiKey")))
        said = self.platform.messages(self.message, remembered(caller.id, self.message.chat))
        body = {"model": self.platform.setting("modelId"), "messages": said, "stream": True}
        size = len(orjson.dumps(body))
        return Call(ENDPOINTS["chat"], body, size, caller, request_id, session_key=self.message.chat)


def request_id_of(event: BotEvent) -> str:
    """The same for each attempt, so that the ledger takes no two of them for different calls."""
    digest = hashlib.sha256(f"{event.bot.uuid}\0{event.key}".encode()).hexdigest()
    return f"req_{digest[:28]}"


def earlier(base_id: str) -> tuple[str, Charge | None]:
    """The id for the next call, and the charge of an earlier attempt's that came to its end.

    One that was cut off half-way stays in the ledger under its own id, and what comes after it has another.
    """
    for number in count(1):
        request_id = base_id if number == 1 else f"{base_id}-{number}"
        charge = Charge.objects.filter(request_id=request_id).select_related("thread__body").first()
        if charge is None or (charge.state == State.SETTLED and charge.outcome == Outcome.OK):
            return request_id, charge
    raise AssertionError("there is always a next number")


def _kept(charge: Charge) -> str:
    thread: Thread | None = getattr(charge, "thread", None)
    return thread.completion if thread and thread.completion else NOT_KEPT


def remembered(key_id: int, chat: str) -> list[JSON]:
    """What was said in this chat of late, oldest first, as far as the gateway keeps it."""
    since = timezone.now() - REMEMBERED_FOR
    threads: QuerySet[Thread] = Thread.objects.filter(
        session__key=chat, api_key_id=key_id, created_at__gte=since, charge__outcome=Outcome.OK
    )
    turns = [
        ({"role": "user", "content": thread.prompt}, {"role": "assistant", "content": thread.completion})
        for thread in threads.select_related("body")[: MOST_TURNS // 2]
        if thread.prompt and thread.completion
    ]
    return [each for turn in reversed(turns) for each in turn]


def _pieces(relay: Relay) -> Iterator[str]:
    for events in relay:
        yield "".join(map(_said, events))


def _said(event: Event) -> str:
    """What an event adds to the answer's text. The pipeline has looked at its shape already."""
    choices = event.json.get("choices")
    delta = choices[0].get("delta") if choices else None
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else ""


def told(error: Exception) -> str:
    """A failure as the chat is told it. Requesters blot secrets out of what a vendor says."""
    if isinstance(error, InsufficientQuota):
        return RECHARGE
    if isinstance(error, Refused | CallError | ProviderError | PlatformError | EventRefused):
        return str(error)[:LONGEST_ERROR]
    return UNEXPECTED
