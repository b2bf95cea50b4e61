"""Feishu, and Lark, which is the same at another address: open.feishu.cn/document, open.larksuite.com/document."""

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson

from chat.errors import PlatformError
from chat.services.bots import feishu_events as events
from chat.services.bots import feishu_messages as messages
from chat.services.bots.feishu_cards import WAITING, card_of, fitting
from chat.services.bots.feishu_interface import Interface
from chat.services.bots.feishu_messages import Attachment
from chat.services.bots.platform import (
    COMMON,
    Challenge,
    Field,
    Incoming,
    Message,
    Platform,
    Shown,
    check_recent,
    check_signature,
    key_in,
    text_in,
    told_in,
)

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

MESSAGES = "/open-apis/im/v1/messages"
RECEIVED = "im.message.receive_v1"


class Feishu(Platform):
    fields = (
        Field("appId", "App ID", "Of a self-built app.", is_required=True),
        Field("appSecret", "App secret", is_required=True, is_secret=True, travels=True),
        Field("encryptKey", "Encrypt key", "Events are encrypted and signed with it.", is_secret=True),
        Field("verificationToken", "Verification token", "Where there is no encrypt key.", is_secret=True),
        Field("baseURL", "Address", "For Lark: https://open.larksuite.com.", default="https://open.feishu.cn"),
        *COMMON,
    )
    address = "baseURL"
    seconds_between = 0.34  # five a second are allowed for one message

    # What comes in

    def read(self, incoming: Incoming) -> Challenge | Message | None:
        body = self._opened(incoming)
        if body.get("type") == "url_verification":
            self._check_token(body)
            return Challenge({"challenge": text_in(body, "challenge")})
        if self.settings.get("encryptKey"):
            self._check_signature(incoming)
        return self._message(body, incoming.now)

    def _opened(self, incoming: Incoming) -> JSON:
        key = str(self.settings.get("encryptKey") or "")
        return events.opened(incoming.object(), key)

    def _check_signature(self, incoming: Incoming) -> None:
        """Over the bytes that came: nothing that was parsed and written again is what was signed."""
        timestamp, nonce = incoming.header("x-lark-request-timestamp"), incoming.header("x-lark-request-nonce")
        check_recent(timestamp, incoming.now)
        expected = events.signature(timestamp, nonce, str(self.settings["encryptKey"]), incoming.raw)
        check_signature(expected, [incoming.header("x-lark-signature")])

    def _check_token(self, body: JSON) -> None:
        token = str(self.settings.get("verificationToken") or "")
        if token:
            check_signature(token, [str(events.head_of(body).get("token", ""))])

    def _message(self, body: JSON, now: float) -> Message | None:
        self._check_token(body)
        event = events.event_of(body, app_id=str(self.settings["appId"]), now=now)
        if event.type != RECEIVED or messages.is_by_app(event.body):
            return None
        said = messages.said_in(event.body)
        if said is None:
            return None
        sender = key_in(event.body, "sender", "sender_id", "open_id")
        ids = {"sender": sender, "id": key_in(event.body, "message", "message_id")}
        return Message(event.key, key_in(event.body, "message", "chat_id"), {**ids, **said})

    # What goes out

    def start(self, message: Message, request_id: str) -> str:
        """To the sender alone, wherever the question was asked. The platform sends one of a `uuid` once."""
        card = card_of(WAITING, "……")
        body = {
            "receive_id": message.said["sender"],
            "msg_type": "interactive",
            "content": orjson.dumps(card).decode(),
            "uuid": request_id,
        }
        data = self._interface.ask("POST", f"{MESSAGES}?receive_id_type=open_id", body)
        return told_in(data, "message_id")

    def show(self, place: str, message: Message, request_id: str, shown: Shown) -> None:
        title = messages.title_of(message.said)
        self._interface.ask("PATCH", f"{MESSAGES}/{_step(place)}", fitting(title, shown))

    @property
    def _interface(self) -> Interface:
        return Interface(
            self.setting("baseURL").rstrip("/"), str(self.settings["appId"]), str(self.settings["appSecret"])
        )

    # What the model is asked

    def messages(self, message: Message, earlier: Sequence[JSON]) -> list[JSON]:
        """The chat's last hour is the platform's to tell: people see there what the bot sees."""
        said = messages.read(message.said["type"], message.said["content"])
        items = [each for each in self._history(message) if each.get("message_id") != message.said["id"]]
        attached = [(message.said["id"], each) for each in said.attachments] or messages.newest_attached(items)
        parts = [self._part(id, attachment) for id, attachment in attached]
        own_text = messages.without_mentions(said.text, message.said["mentions"])
        return [*messages.turns_of(items), messages.question(own_text, parts)]

    def _history(self, message: Message) -> list[JSON]:
        query = messages.history_query(message.chat)
        try:
            data = self._interface.ask("GET", f"{MESSAGES}?{query}")
        except PlatformError as error:  # the right to read it is one of its own; an answer without is better than none
            logger.warning("a bot answers without its chat's history: %s", error)
            return []
        items = data.get("items")
        return [item for item in items if isinstance(item, dict)][::-1] if isinstance(items, list) else []

    def _part(self, message_id: str, attachment: Attachment) -> JSON:
        path = f"{MESSAGES}/{_step(message_id)}/resources/{_step(attachment.key)}?type={attachment.kind}"
        return attachment.part(self._interface.file(path))


def _step(id: str) -> str:
    """One step of a path, whatever is in it: an id must not lead the app's token to another method."""
    return quote(id, safe="")
