"""The card that an answer grows in."""

from bisect import bisect_right
from typing import Any

import orjson

from chat.services.bots.platform import Shown

JSON = dict[str, Any]

WAITING = "正在思考中"
FAILED = "发生错误"
NOT_SAID = frozenset({WAITING, FAILED})  # cards of these titles are no part of a conversation
CUT = "\n\n……（内容过长，已截断 / cut: too long for one message）"
MOST_BYTES = 30_000  # of the request, in which the card is a text within a text


def card_of(title: str, text: str) -> JSON:
    """Without `update_multi`, before and after, no card can be updated."""
    return {
        "config": {"wide_screen_mode": True, "update_multi": True},
        "header": {"title": {"tag": "plain_text", "content": title}},
        "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": text}}],
    }


def fitting(title: str, shown: Shown) -> JSON:
    """The body of an update; where the text is too long it is cut between two characters, and says so."""
    heading = FAILED if shown.is_error else title
    text = shown.text or "……"
    if _size(heading, text) <= MOST_BYTES:
        return _body(heading, text)
    room = bisect_right(range(min(len(text), MOST_BYTES)), MOST_BYTES, key=lambda n: _size(heading, text[:n] + CUT))
    return _body(heading, text[: max(room - 1, 0)] + CUT)


def _body(title: str, text: str) -> JSON:
    return {"content": orjson.dumps(card_of(title, text)).decode()}


def _size(title: str, text: str) -> int:
    return len(orjson.dumps(_body(title, text)))
