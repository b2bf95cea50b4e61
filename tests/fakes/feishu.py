"""A strict Feishu on a real socket: an app's token, its messages and cards, a chat's history and its files; and events
as it sends them, signed and encrypted.

What the real one would refuse is answered with its code and recorded in `violations`.
"""

import base64
import hashlib
import json
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.fakes.server import JSON, FakeVendor, Handler, Seen, Violation

APP_ID, APP_SECRET = "cli_fake", "fake-app-secret"
MOST_CARD_BYTES = 30 * 1024
MOST_UPDATES = 5  # of one message, in a second
STALE = 99991663
TOO_OFTEN = 230020


class FeishuHandler(Handler):
    fake: "FakeFeishu"  # type: ignore[misc]  # this one's own

    def do_PATCH(self) -> None:
        self.do_POST()

    def _note(self, raw: bytes | None) -> Any:
        body = json.loads(raw) if raw is not None else None
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        if raw is not None and self.headers.get("Content-Type") != "application/json; charset=utf-8":
            raise Violation("Content-Type must be application/json; charset=utf-8", status=400)
        self.size = len(raw or b"")
        return body

    def respond(self, body: Any) -> None:
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()}
        if url.path == "/open-apis/auth/v3/tenant_access_token/internal":
            self._token(body)
            return
        if not self._is_authorized():
            self.refuse(STALE, 400)
            return
        steps = url.path.removeprefix("/open-apis/im/v1/messages").strip("/").split("/")
        routes: dict[tuple[str, int], Callable[..., None]] = {
            ("POST", 1): self._send,
            ("GET", 1): self._list,
            ("PATCH", 1): self._update,
            ("GET", 3): self._file,
        }
        route = routes.get((self.command, len(steps)))
        if route is None or not url.path.startswith("/open-apis/im/v1/messages"):
            raise Violation(f"no such path: {self.command} {self.path}", status=404)
        route(steps, body)

    def error_body(self, violation: Violation) -> JSON:
        return {"code": 230001, "msg": violation.message}

    def refuse(self, code: int, status: int = 200) -> None:
        self.send_json(status, {"code": code, "msg": f"refused, {self.headers.get('Authorization')}"})

    def give(self, data: JSON) -> None:
        self.send_json(200, {"code": 0, "msg": "success", "data": data})

    def _token(self, body: JSON) -> None:
        if body != {"app_id": APP_ID, "app_secret": self.fake.secret}:
            self.send_json(200, {"code": 10014, "msg": f"app secret invalid: {body.get('app_secret')}"})
            return
        token = self.fake.new_token()
        self.send_json(200, {"code": 0, "msg": "ok", "tenant_access_token": token, "expire": self.fake.token_seconds})

    def _is_authorized(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and token in self.fake.tokens

    def _send(self, steps: list[str], body: JSON) -> None:
        if self.query != {"receive_id_type": "open_id"}:
            raise Violation(f"receive_id_type must be open_id: {self.query}")
        if set(body) != {"receive_id", "msg_type", "content", "uuid"} or body["msg_type"] != "interactive":
            raise Violation(f"fields of a message: {sorted(body)}")
        if not body["receive_id"].startswith("ou_") or not 0 < len(body["uuid"]) <= 50:
            raise Violation(f"receive_id or uuid: {body['receive_id']} {body['uuid']}")
        self.give({"message_id": self.fake.sent(body["uuid"], body["receive_id"], self._card(body))})

    def _update(self, steps: list[str], body: JSON) -> None:
        if set(body) != {"content"} or self.query:
            raise Violation(f"fields of an update: {sorted(body)}")
        if steps[0] not in self.fake.cards:
            raise Violation(f"no such message: {steps[0]}")
        card = self._card(body)
        if failure := self.fake.next_failure():
            self.refuse(*failure)
            return
        if not self.fake.updated(steps[0], card):
            with self.fake.lock:
                self.fake.violations.append(f"more than {MOST_UPDATES} updates a second")
            self.refuse(TOO_OFTEN, 400)
            return
        self.give({})

    def _card(self, body: JSON) -> JSON:
        if self.size > MOST_CARD_BYTES:
            raise Violation(f"a card of {self.size} bytes")
        card = json.loads(body["content"])
        if set(card) != {"config", "header", "elements"} or card["config"].get("update_multi") is not True:
            raise Violation("a card has config with update_multi, header and elements")
        title, (element,) = card["header"]["title"], card["elements"]
        if title["tag"] != "plain_text" or element["tag"] != "div" or element["text"]["tag"] != "lark_md":
            raise Violation("a card's tags")
        if not title["content"] or not element["text"]["content"]:
            raise Violation("a card without a text")
        return {"title": title["content"], "text": element["text"]["content"]}

    def _list(self, steps: list[str], body: None) -> None:
        known = {"container_id_type", "container_id", "start_time", "end_time", "sort_type", "page_size"}
        if set(self.query) != known or self.query["container_id_type"] != "chat":
            raise Violation(f"a history's parameters: {self.query}")
        if not 1 <= int(self.query["page_size"]) <= 50 or self.query["sort_type"] != "ByCreateTimeDesc":
            raise Violation(f"a history's order: {self.query}")
        if not 0 < int(self.query["end_time"]) - int(self.query["start_time"]) <= 3600:
            raise Violation(f"a history's time, in seconds: {self.query}")
        if self.fake.history is None:
            self.refuse(230027, 400)
            return
        newest_first = self.fake.history[::-1][: int(self.query["page_size"])]
        self.give({"has_more": False, "items": newest_first})

    def _file(self, steps: list[str], body: None) -> None:
        known = self.fake.files.get((steps[0], steps[2], self.query.get("type", "")))
        if steps[1] != "resources" or known is None:
            raise Violation(f"no such file: {self.path}")
        self.send_bytes(200, known[1], known[0])


class FakeFeishu(FakeVendor):
    """`cards`: what stood in each message, with the times. `files`: by message, key and type, what is in them and its
    media type. `failures`: (code, status) of the next updates."""

    handler = FeishuHandler

    def __init__(self, secret: str = APP_SECRET) -> None:
        super().__init__()
        self.secret = secret
        self.tokens: set[str] = set()
        self.tokens_given = 0
        self.token_seconds = 7200
        self.cards: dict[str, list[tuple[float, JSON]]] = {}
        self.receivers: dict[str, str] = {}
        self.by_uuid: dict[str, str] = {}
        self.history: list[JSON] | None = []
        self.files: dict[tuple[str, str, str], tuple[str, bytes]] = {}
        self.failures: deque[tuple[int, int]] = deque()
        self._updates: defaultdict[str, list[float]] = defaultdict(list)

    def new_token(self) -> str:
        with self.lock:
            self.tokens_given += 1
            self.tokens.add(f"t-{self.tokens_given}")
            return f"t-{self.tokens_given}"

    def sent(self, uuid: str, receiver: str, card: JSON) -> str:
        """One message of a uuid, however often it is sent."""
        with self.lock:
            id = self.by_uuid.setdefault(uuid, f"om_card_{len(self.by_uuid) + 1}")
            self.cards.setdefault(id, [(time.monotonic(), card)])
            self.receivers[id] = receiver
            return id

    def updated(self, id: str, card: JSON) -> bool:
        now = time.monotonic()
        with self.lock:
            self._updates[id].append(now)
            if sum(now - each < 1 for each in self._updates[id]) > MOST_UPDATES:
                return False
            self.cards[id].append((now, card))
            return True

    def next_failure(self) -> tuple[int, int] | None:
        with self.lock:
            return self.failures.popleft() if self.failures else None

    @property
    def answers(self) -> list[JSON]:
        """What stands in each message now, in the order in which they were sent."""
        with self.lock:
            return [card[-1][1] for card in self.cards.values()]

    def config(self, api_key: str, **fields: Any) -> JSON:
        """A bot's, which is this app."""
        known = {"appId": APP_ID, "appSecret": APP_SECRET, "apiKey": api_key, "modelId": "echo"}
        return {**known, "baseURL": self.origin, **fields}


# What it sends


def message_event(text: str = "Hello", *, id: str = "ev_1", content: Any = None, **fields: Any) -> JSON:
    """Somebody says something; the newer of the two forms."""
    message = {
        "message_id": f"om_{id}",
        "chat_id": "oc_chat",
        "chat_type": "p2p",
        "message_type": "text",
        "content": json.dumps({"text": text} if content is None else content),
        **fields,
    }
    header = {
        "event_id": id,
        "event_type": "im.message.receive_v1",
        "create_time": str(int(time.time() * 1000)),
        "token": "verification-token",
        "app_id": APP_ID,
        "tenant_key": "tenant",
    }
    sender = {"sender_id": {"open_id": "ou_alice"}, "sender_type": "user", "tenant_key": "tenant"}
    return {"schema": "2.0", "header": header, "event": {"sender": sender, "message": message}}


def encrypted(body: JSON, key: str) -> JSON:
    padder, iv = padding.PKCS7(128).padder(), os.urandom(16)
    padded = padder.update(json.dumps(body).encode()) + padder.finalize()
    cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(iv)).encryptor()
    return {"encrypt": base64.b64encode(iv + cipher.update(padded) + cipher.finalize()).decode()}


def signed(raw: bytes, key: str, at: float | None = None) -> dict[str, str]:
    """The headers that prove whose it is."""
    timestamp, nonce = str(int(time.time() if at is None else at)), "nonce-1"
    signature = hashlib.sha256(f"{timestamp}{nonce}{key}".encode() + raw).hexdigest()
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }
