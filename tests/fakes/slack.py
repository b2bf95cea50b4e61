"""A strict Slack on a real socket: chat.postMessage and chat.update; and events as it sends them."""

import hashlib
import hmac
import json
import time
from collections import deque
from typing import Any

from tests.fakes.server import JSON, FakeVendor, Handler, Seen, Violation

BOT_TOKEN, SIGNING_SECRET = "xoxb-fake-token", "fake-signing-secret"
MOST_CHARACTERS = 4000


class SlackHandler(Handler):
    fake: "FakeSlack"  # type: ignore[misc]  # this one's own

    def _note(self, raw: bytes | None) -> Any:
        body = json.loads(raw or b"null")
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        if self.headers.get("Content-Type") != "application/json; charset=utf-8":
            raise Violation("Content-Type must name the charset")
        return body

    def respond(self, body: JSON) -> None:
        if self.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            self.send_json(200, {"ok": False, "error": "invalid_auth"})
            return
        if len(body["text"]) > MOST_CHARACTERS:
            raise Violation("msg_too_long")
        with self.fake.lock:
            failure = self.fake.failures.popleft() if self.fake.failures else None
        if failure:
            self.send_json(failure, {"ok": False, "error": "ratelimited"}, Retry_After="1")
            return
        {"/api/chat.postMessage": self._post, "/api/chat.update": self._update}[self.path](body)

    def error_body(self, violation: Violation) -> JSON:
        return {"ok": False, "error": violation.message}

    def _post(self, body: JSON) -> None:
        if not {"channel", "text"} <= set(body) <= {"channel", "text", "thread_ts"}:
            raise Violation(f"fields: {sorted(body)}")
        ts = f"1700000000.{len(self.fake.texts):06}"
        self.fake.texts[ts] = [(time.monotonic(), body["text"])]
        self.fake.threads[ts] = body.get("thread_ts")
        self.send_json(200, {"ok": True, "channel": body["channel"], "ts": ts})

    def _update(self, body: JSON) -> None:
        if set(body) != {"channel", "ts", "text"} or body["ts"] not in self.fake.texts:
            raise Violation(f"fields: {sorted(body)}")
        self.fake.texts[body["ts"]].append((time.monotonic(), body["text"]))
        self.send_json(200, {"ok": True, "channel": body["channel"], "ts": body["ts"]})


class FakeSlack(FakeVendor):
    handler = SlackHandler

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, list[tuple[float, str]]] = {}
        self.threads: dict[str, str | None] = {}
        self.failures: deque[int] = deque()

    def config(self, api_key: str, **fields: Any) -> JSON:
        known = {"botToken": BOT_TOKEN, "signingSecret": SIGNING_SECRET, "apiKey": api_key, "modelId": "echo"}
        return {**known, "baseURL": f"{self.origin}/api", **fields}

    @property
    def answers(self) -> list[str]:
        return [texts[-1][1] for texts in self.texts.values()]


def mention(text: str = "<@U0BOT> Hello", *, id: str = "Ev1", **fields: Any) -> JSON:
    event = {
        "type": "app_mention",
        "user": "U0ALICE",
        "text": text,
        "ts": "1700000000.1",
        "channel": "C0CHAT",
        **fields,
    }
    return {"type": "event_callback", "event_id": id, "team_id": "T0", "event": event}


def signed(raw: bytes, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:%b:%b" % (timestamp.encode(), raw), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}
