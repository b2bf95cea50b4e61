"""Feishu's messages: what is said in them, what is attached, and what of the chat's history a model is told."""

import base64
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from chat.errors import Malformed
from chat.services.bots.feishu_cards import NOT_SAID
from chat.services.bots.outgoing import Answer
from chat.services.bots.platform import parse_object, text_in

JSON = dict[str, Any]

HISTORY_SECONDS = 3600
MOST_HISTORY = 20
MOST_ATTACHED = 10
LONGEST_TITLE = 60
LONGEST_CONTENT = 200_000
TITLE = "以下是回复"
SUMMARISE = "用 20 个字以内概括以上内容，然后等我提问。"
KINDS = frozenset({"text", "image", "file", "post"})
DEFAULT_TYPES = {"image": "image/png", "file": "application/octet-stream"}
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """`kind`: image or file, as the platform calls them."""

    kind: str
    key: str
    name: str = ""

    def part(self, answer: Answer) -> JSON:
        """The inner form's content part with this file."""
        stated = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        media_type = stated if MEDIA_TYPE.fullmatch(stated) else DEFAULT_TYPES[self.kind]
        data = f"data:{media_type};base64,{base64.b64encode(answer.content).decode()}"
        if self.kind == "image":
            return {"type": "image_url", "image_url": {"url": data}}
        return {"type": "file", "file": {"filename": self.name or "file", "file_data": data}}


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    attachments: tuple[Attachment, ...] = ()


def is_by_app(event: JSON) -> bool:
    """Bots don't answer bots."""
    sender = event.get("sender")
    return isinstance(sender, dict) and sender.get("sender_type") == "app"


def said_in(event: JSON) -> JSON | None:
    """What has to be kept of a message to answer it; None: of a kind that is not answered. Raises Malformed."""
    kind = text_in(event, "message", "message_type")
    if kind not in KINDS:
        return None
    content = text_in(event, "message", "content", most=LONGEST_CONTENT)
    mentions = list(_mentions(event["message"].get("mentions")))
    said = read(kind, content)
    if not said.attachments and not without_mentions(said.text, mentions):
        return None
    return {"type": kind, "content": content, "mentions": mentions}


def _mentions(mentions: Any) -> Iterator[str]:
    for mention in mentions[:100] if isinstance(mentions, list) else ():
        yield text_in(mention, "key", most=64)


def read(kind: str, content: str) -> Said:
    """A message's content, which is JSON in a text. Raises Malformed."""
    body = parse_object(content)
    if kind == "text":
        return Said(text_in(body, "text", is_optional=True))
    if kind == "post":
        return _post(body)
    return Said("", tuple(_attached(body)))


def _post(body: JSON) -> Said:
    """Rich text: a title, and paragraphs of texts, links, mentions, images and files."""
    title = text_in(body, "title", is_optional=True)
    paragraphs = [_paragraph(each) for each in _list(body.get("content"))]
    text = "\n".join(filter(None, [title, *(paragraph.text for paragraph in paragraphs)]))
    attached = [each for paragraph in paragraphs for each in paragraph.attachments]
    return Said(text, tuple(attached[:MOST_ATTACHED]))


def _paragraph(elements: Any) -> Said:
    known = [each for each in _list(elements) if isinstance(each, dict)]
    texts = [each["text"] for each in known if isinstance(each.get("text"), str)]
    return Said("".join(texts), tuple(attachment for each in known for attachment in _attached(each)))


def _attached(body: JSON) -> Iterator[Attachment]:
    if body.get("image_key"):
        yield Attachment("image", text_in(body, "image_key", most=256))
    elif body.get("file_key"):
        name = text_in(body, "file_name", is_optional=True, most=1000)
        yield Attachment("file", text_in(body, "file_key", most=256), name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def without_mentions(text: str, mentions: Sequence[str]) -> str:
    """`@_user_1` and the like stand for people, the bot itself above all."""
    for mention in mentions:
        text = text.replace(mention, "")
    return text.strip()


def title_of(message: JSON) -> str:
    """What was asked, in one line."""
    text = without_mentions(read(message["type"], message["content"]).text, message["mentions"])
    line = text.partition("\n")[0].strip()
    short = line if len(line) <= LONGEST_TITLE else f"{line[:LONGEST_TITLE]}…"
    return short if short and short not in NOT_SAID else TITLE


# History


def history_query(chat: str) -> str:
    now = int(time.time())
    return urlencode(
        {
            "container_id_type": "chat",
            "container_id": chat,
            "start_time": now - HISTORY_SECONDS,
            "end_time": now,
            "sort_type": "ByCreateTimeDesc",
            "page_size": MOST_HISTORY,
        }
    )


def turns_of(items: Sequence[JSON]) -> list[JSON]:
    """What people and the bot said, oldest first; what can't be read is passed over."""
    turns = (_turn(item) for item in items if not item.get("deleted"))
    return [turn for turn in turns if turn]


def _turn(item: JSON) -> JSON | None:
    content = _content(item)
    if item.get("msg_type") == "text" and not is_by_app(item):
        text = content.get("text")
        mentions = [str(each.get("key")) for each in _list(item.get("mentions")) if isinstance(each, dict)]
        cleaned = without_mentions(text, mentions) if isinstance(text, str) else ""
        return {"role": "user", "content": cleaned} if cleaned else None
    if item.get("msg_type") == "interactive":
        return _answer(content)
    return None


def _answer(card: JSON) -> JSON | None:
    """The platform tells a card's title as a text, and its elements as a list of lists."""
    header = card.get("header")
    title = card.get("title") or (header.get("title") if isinstance(header, dict) else None)
    words = title.get("content") if isinstance(title, dict) else title
    text = "".join(_texts(card.get("elements"))).strip()
    return {"role": "assistant", "content": text} if text and words not in NOT_SAID else None


def _texts(elements: Any) -> Iterator[str]:
    """`text` is a text in what the platform tells, and an object with `content` in what was sent."""
    for element in _list(elements):
        if isinstance(element, list):
            yield from _texts(element)
        elif isinstance(element, dict):
            text = element.get("text")
            said = text.get("content") if isinstance(text, dict) else text
            yield said if isinstance(said, str) else ""


def _content(item: JSON) -> JSON:
    body = item.get("body")
    try:
        return parse_object(text_in(body, "content"))
    except Malformed:
        return {}


def newest_attached(items: Sequence[JSON]) -> list[tuple[str, Attachment]]:
    """A question without a file of its own is asked about the last one that somebody sent."""
    for item in reversed(items):
        if item.get("msg_type") in ("image", "file") and not item.get("deleted") and not is_by_app(item):
            found = [(str(item.get("message_id")), each) for each in _readable(_content(item))]
            if found:
                return found
    return []


def _readable(content: JSON) -> list[Attachment]:
    try:
        return list(_attached(content))
    except Malformed:
        return []


def question(text: str, parts: Sequence[JSON]) -> JSON:
    """The last message; a file alone is to be summarised."""
    if not parts:
        return {"role": "user", "content": text}
    return {"role": "user", "content": [*parts, {"type": "text", "text": text or SUMMARISE}]}
