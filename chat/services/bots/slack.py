"""Slack's Events API, and the two methods that an answer takes: docs.slack.dev."""

import hashlib
import hmac
import html
import re
from typing import Any

from chat.errors import PlatformError
from chat.services.bots import outgoing
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

JSON = dict[str, Any]

WAITING = "Thinking …"
FAILED = ":warning: "
CUT = "\n… (cut: too long for one message)"
MOST_CHARACTERS = 3_900  # an update takes 4,000
MENTION = re.compile(r"<@[A-Z0-9]+(\|[^>]*)?>")
MAY_PASS = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})
ERROR_NAME = re.compile(r"[a-z_]{1,64}")


class Slack(Platform):
    fields = (
        Field("botToken", "Bot token", "Starts with xoxb-.", is_required=True, is_secret=True, travels=True),
        Field("signingSecret", "Signing secret", "Events are signed with it.", is_required=True, is_secret=True),
        Field("baseURL", "Address", default="https://slack.com/api"),
        *COMMON,
    )
    address = "baseURL"
    seconds_between = 1.2  # fifty a minute are allowed

    def read(self, incoming: Incoming) -> Challenge | Message | None:
        self._check(incoming)
        body = incoming.object()
        if body.get("type") == "url_verification":
            return Challenge({"challenge": text_in(body, "challenge")})
        event = body.get("event")
        if body.get("type") != "event_callback" or not isinstance(event, dict) or not _is_for_us(event):
            return None
        text = _plain(text_in(event, "text", is_optional=True))
        if not text:
            return None
        channel = key_in(event, "channel")
        return Message(key_in(body, "event_id"), channel, {"text": text, "channel": channel, "thread": _thread(event)})

    def _check(self, incoming: Incoming) -> None:
        timestamp = incoming.header("x-slack-request-timestamp")
        check_recent(timestamp, incoming.now)
        signed = b"v0:%b:%b" % (timestamp.encode(), incoming.raw)
        digest = hmac.new(str(self.settings["signingSecret"]).encode(), signed, hashlib.sha256).hexdigest()
        check_signature(f"v0={digest}", [incoming.header("x-slack-signature")])

    def start(self, message: Message, request_id: str) -> str:
        said = message.said
        thread = {"thread_ts": said["thread"]} if said["thread"] else {}
        sent = self._ask("chat.postMessage", {"channel": said["channel"], "text": WAITING, **thread})
        return told_in(sent, "ts")

    def show(self, place: str, message: Message, request_id: str, shown: Shown) -> None:
        text = (FAILED if shown.is_error else "") + (shown.text or WAITING)
        if len(text) > MOST_CHARACTERS:
            text = text[: MOST_CHARACTERS - len(CUT)] + CUT
        self._ask("chat.update", {"channel": message.said["channel"], "ts": place, "text": _escaped(text)})

    def _ask(self, method: str, body: JSON) -> JSON:
        headers = {"Authorization": f"Bearer {self.settings['botToken']}"}
        answer = outgoing.send("POST", f"{self.setting('baseURL').rstrip('/')}/{method}", headers, body)
        if answer.json.get("ok") is True:
            return answer.json
        raise _failure(answer)


def _failure(answer: outgoing.Answer) -> PlatformError:
    """With the name of the error alone, as Slack's answer may quote what was sent."""
    name = str(answer.json.get("error", ""))
    known = name if ERROR_NAME.fullmatch(name) else f"status {answer.status}"
    return answer.failure(f"Slack refused: {known}.", may_pass=name in MAY_PASS)


def _is_for_us(event: JSON) -> bool:
    """What a person says to the bot: a mention, or a message between the two. A channel's messages come as well where
    an app has asked for them, and a mention would come twice then. Bots don't answer bots, nor edits."""
    if event.get("bot_id") or event.get("subtype"):
        return False
    is_direct = event.get("type") == "message" and event.get("channel_type") == "im"
    return is_direct or event.get("type") == "app_mention"


def _thread(event: JSON) -> str:
    """In a channel, an answer stands under its question."""
    own = "" if event.get("channel_type") == "im" else text_in(event, "ts", is_optional=True, most=64)
    return text_in(event, "thread_ts", is_optional=True, most=64) or own


def _plain(text: str) -> str:
    return html.unescape(MENTION.sub("", text)).strip()


def _escaped(text: str) -> str:
    """The three characters that Slack reads as its own."""
    return html.escape(text, quote=False)
