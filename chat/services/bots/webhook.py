"""Any program that signs as www.standardwebhooks.com says: its questions come in, answers go to its own address."""

import time
from typing import Any

import orjson

from chat.errors import Forged
from chat.services.bots import outgoing
from chat.services.bots.platform import (
    COMMON,
    Field,
    Incoming,
    Message,
    Platform,
    Shown,
    check_recent,
    check_signature,
    key_in,
    text_in,
)
from common.webhooks import key_bytes, signature

JSON = dict[str, Any]

ACCEPTED = range(200, 300)
NOT_BASE64 = "must be base64 of at least 16 bytes, with or without whsec_ before it."
ANSWER = frozenset({"reply_to", "is_final"})  # what no question has


def _secret_problem(text: str) -> str:
    return NOT_BASE64 if key_bytes(text) is None else ""


class Webhook(Platform):
    """Sends one whole answer; the message's id is the one that it was asked with."""

    fields = (
        Field(
            "signingSecret",
            "Signing secret",
            "whsec_ and base64; both ways.",
            is_required=True,
            is_secret=True,
            problem=_secret_problem,
        ),
        Field("replyURL", "Answers go to", is_required=True),
        *COMMON,
    )
    address = "replyURL"
    seconds_between = 0.0

    def read(self, incoming: Incoming) -> Message | None:
        """Bots don't answer bots: an answer that comes back here is signed as a question is."""
        id = incoming.header("webhook-id")
        self._check(id, incoming)
        key = key_in({"webhook-id": id}, "webhook-id")
        body = incoming.object()
        if body.keys() >= ANSWER:
            return None
        text_in(body, "user", is_optional=True, most=1000)
        return Message(key, key_in(body, "chat_id"), {"text": text_in(body, "text")})

    def _check(self, id: str, incoming: Incoming) -> None:
        timestamp = incoming.header("webhook-timestamp")
        check_recent(timestamp, incoming.now)
        check_signature(self._signature(id, timestamp, incoming.raw), incoming.header("webhook-signature").split())

    def _signature(self, id: str, timestamp: str, content: bytes) -> str:
        key = key_bytes(str(self.settings["signingSecret"]))
        if key is None:
            raise Forged("The bot's signing secret is not valid.")
        return signature(key, id, timestamp, content)

    def start(self, message: Message, request_id: str) -> str:
        return message.key

    def show(self, place: str, message: Message, request_id: str, shown: Shown) -> None:
        """Only the whole. The id is the same however often it is sent, so that its receiver can tell."""
        if not shown.is_final:
            return
        body = {"chat_id": message.chat, "reply_to": place, "text": shown.text, "is_final": True}
        content, timestamp = orjson.dumps(body), str(int(time.time()))
        headers = {
            "webhook-id": request_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": self._signature(request_id, timestamp, content),
        }
        answer = outgoing.send_bytes(self.setting("replyURL"), headers, content)
        if answer.status not in ACCEPTED:
            raise answer.failure(f"The receiver of answers refused (status {answer.status}).")
