"""Signed webhooks as www.standardwebhooks.com has them: a receiver, which verifies and lets nothing in twice; and the
headers of a sender."""

import base64
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.server import Quiet, Served

SECRET = "whsec_" + base64.b64encode(b"a secret that only two know").decode()
TOLERANCE_SECONDS = 300
CANARY = "what the receiver says is nobody's business"


def signature(id: str, timestamp: str, content: bytes, secret: str = SECRET) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, b".".join((id.encode(), timestamp.encode(), content)), "sha256")
    return "v1," + base64.b64encode(digest).decode()


def signed(content: bytes, id: str = "msg_1") -> dict[str, str]:
    """The headers that prove whose it is; one of the signatures is an older secret's."""
    timestamp = str(int(time.time()))
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,bm9uZQ== {signature(id, timestamp, content)}",
    }


class Receiver(Served):
    """`accepted`: what was let in, by its id; `statuses`: what it answers next instead."""

    def __init__(self, secret: str = SECRET, now: Callable[[], float] = time.time, path: str = "/hooks?team=a") -> None:
        self.secret = secret
        self.now = now
        self.path = path
        self.statuses: deque[int] = deque()
        self.seconds = 0.0  # that it takes for an answer
        self.ids: list[str] = []  # of all that came, in their order
        self.accepted: dict[str, dict[str, Any]] = {}
        self.replays: list[str] = []
        self.violations: list[str] = []
        self.lock = threading.Lock()
        self.server = Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}{path}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return list(self.accepted.values())

    def take(self, path: str, headers: Any, content: bytes) -> int:
        """The status to answer with."""
        id = headers.get("webhook-id", "")
        time.sleep(self.seconds)
        with self.lock:
            self.ids.append(id)
            problem = self._problem(path, headers, content)
            if problem:
                self.violations.append(problem)
                return 400
            if self.statuses:
                return self.statuses.popleft()
            if id in self.accepted:
                self.replays.append(id)
            self.accepted.setdefault(id, json.loads(content))
            return 204

    def _problem(self, path: str, headers: Any, content: bytes) -> str:
        id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        expected = signature(id, timestamp, content, self.secret)
        if not id or not timestamp.isdecimal() or abs(int(timestamp) - self.now()) > TOLERANCE_SECONDS:
            return "no id, or not now"
        if not any(hmac.compare_digest(expected, each) for each in headers.get("webhook-signature", "").split(" ")):
            return "not signed with the secret"
        if path != self.path or headers.get("Content-Type") != "application/json":
            return "not the path, or not the type"
        return "" if isinstance(json.loads(content), dict) else "no object"


class _Handler(BaseHTTPRequestHandler):
    fake: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.fake.take(self.path, self.headers, content)
        said = b"" if status == 204 else CANARY.encode()
        self.send_response(status)
        if status in (301, 302, 307, 308):
            self.send_header("Location", self.fake.url)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass
