"""The ground of the fake vendors: a loopback HTTP server that records everything and trusts nothing."""

import argparse
import gzip
import json
import random
import select
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any, ClassVar, Self

JSON = dict[str, Any]


class Violation(Exception):
    """What the vendor's real API would refuse; answered in its own shape and recorded."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """A scripted answer, sent for one model name instead of the fake's own behaviour."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    framing: str = "length"  # or "chunked", or "close": neither length nor chunks, the end is the connection's
    is_complete: bool = True  # False: the connection is closed where more was announced
    seconds_between: float = 0.0


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Not on stderr: a client that leaves is what many tests are about."""


class Served:
    """A server in a thread of its own, as a context manager."""

    server: BaseServer

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class FakeVendor(Served):
    """Use as a context manager. What it saw: `seen`, `violations`, `closed_early`, `active`, `open_connections`."""

    handler: ClassVar[type["Handler"]]

    def __init__(self, key: str = "sk-fake-upstream", port: int = 0) -> None:
        self.key = key
        self.other_keys: set[str] = set()
        self.seen: list[Seen] = []
        self.violations: list[str] = []
        self.replies: dict[str, Reply] = {}
        self.mishaps: deque[Reply] = deque()
        self.failure_rate = 0.0
        self.failures = 0
        self.chance = random.Random(7)
        self.closed_early = 0
        self.active = 0
        self.open_connections = 0
        self.connections = 0
        self.lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self.stopping = threading.Event()
        self.server = Quiet(("127.0.0.1", port), type("BoundHandler", (self.handler,), {"fake": self}))
        self.port = self.server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
            super().__exit__()

    def die(self) -> None:
        """As if killed: open connections are reset, new ones refused."""
        self.__exit__()
        with self.lock:
            live, self._live = list(self._live), set()
        for connection in live:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RDWR)

    def reply(self, model: str, *pieces: bytes, **options: Any) -> None:
        """Script: `fake.reply("mine", b"data: {}\\n\\n", framing="chunked", headers={...})`."""
        self.replies[model] = Reply(pieces=list(pieces), **options)

    def reply_json(self, model: str, payload: Any, status: int = 200, **headers: str) -> None:
        self.reply(
            model, json.dumps(payload).encode(), status=status, headers={"Content-Type": "application/json", **headers}
        )

    def reply_events(self, model: str, *events: Any, **options: Any) -> None:
        """Each event a str or bytes (sent as it is) or an object (framed)."""
        framed = [_frame(event) for event in events]
        self.reply(
            model, *framed, **{"framing": "chunked", "headers": {"Content-Type": "text/event-stream"}, **options}
        )

    def mishap(self, status: int, times: int = 1, **headers: str) -> None:
        """Answer the next calls, whatever they ask for, with an error."""
        body = json.dumps({"error": {"message": f"mishap {status}", "type": "server_error", "code": None}}).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.mishaps.extend([Reply(status, {"Content-Type": "application/json", **headers}, [body])] * times)

    def next_mishap(self) -> Reply | None:
        with self.lock:
            if self.mishaps:
                return self.mishaps.popleft()
            if self.failure_rate and self.chance.random() < self.failure_rate:
                self.failures += 1
                return Reply(500, {"Content-Type": "application/json"}, [b'{"error": {"message": "by chance"}}'])
        return None

    def forget(self) -> None:
        """A clean record between tests; connections stay, as they do between calls."""
        with self.lock:
            self.seen, self.violations, self.replies = [], [], {}
            self.failure_rate = 0.0
            self.mishaps.clear()
            self.closed_early = self.connections = 0

    def wait_until(self, condition: str, seconds: float = 5.0) -> bool:
        """`fake.wait_until("closed_early")`: the server hears of a lost client a moment later than the client."""
        deadline = time.monotonic() + seconds
        while not getattr(self, condition) and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(getattr(self, condition))

    @property
    def is_idle(self) -> bool:
        return self.active == 0

    def count_anew(self) -> None:
        """Callers that leave are counted from here on: those of earlier tests, which it may not have heard of yet, are
        waited for."""
        assert self.wait_until("is_idle", seconds=20)
        self.closed_early = 0

    def record(self) -> JSON:
        with self.lock:
            return {
                "requests": [asdict(request) for request in self.seen],
                "violations": list(self.violations),
                "closed_early": self.closed_early,
                "active": self.active,
                "open_connections": self.open_connections,
                "connections": self.connections,
            }

    def count(self, name: str, change: int) -> None:
        with self.lock:
            setattr(self, name, getattr(self, name) + change)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    fake: ClassVar[FakeVendor]

    def setup(self) -> None:
        super().setup()
        with self.fake.lock:
            self.fake._live.add(self.connection)
        self.fake.count("open_connections", 1)
        self.fake.count("connections", 1)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.fake.lock:
                self.fake._live.discard(self.connection)
            self.fake.count("open_connections", -1)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests read the record instead."""

    def do_GET(self) -> None:
        if self.path == "/_seen":
            self.send_json(200, self.fake.record())
            return
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, raw: bytes | None) -> None:
        self.fake.count("active", 1)
        try:
            body = self._note(raw)
            scripted = self.fake.replies.get(body.get("model", "")) if isinstance(body, dict) else None
            scripted = (self.fake.next_mishap() if raw is not None else None) or scripted
            self._send_reply(scripted) if scripted else self.respond(body)
            self.wfile.flush()
        except Violation as violation:
            with self.fake.lock:
                self.fake.violations.append(violation.message)
            self.send_json(violation.status, self.error_body(violation))
        except (BrokenPipeError, ConnectionResetError):
            self.fake.count("closed_early", 1)
            self.close_connection = True
        finally:
            self.fake.count("active", -1)

    def _note(self, raw: bytes | None) -> Any:
        try:
            body = json.loads(raw) if raw is not None else None
        except ValueError:
            body = None
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        if raw is not None:
            if self.headers.get("Content-Type") != "application/json":
                raise Violation("Content-Type must be application/json", status=415)
            if not isinstance(body, dict):
                raise Violation("the body must be a JSON object")
        return body

    # For subclasses

    def respond(self, body: Any) -> None:
        raise NotImplementedError

    def error_body(self, violation: Violation) -> JSON:
        raise NotImplementedError

    # Ways to answer

    def send_json(self, status: int, payload: Any, **headers: str) -> None:
        data = json.dumps(payload).encode()
        if "gzip" in self.headers.get("Accept-Encoding", "") and len(data) > 1000:
            data = gzip.compress(data)
            headers["Content-Encoding"] = "gzip"
        self.send_bytes(status, data, "application/json", **headers)

    def send_bytes(self, status: int, data: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def send_event(self, payload: Any) -> None:
        self.send_chunk(_frame(payload))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def hang(self) -> None:
        """Says nothing until the client goes away (which counts as closed early) or the fake is stopped."""
        while not self.fake.stopping.is_set():
            self.pause(0.02)
        self.close_connection = True

    def pause(self, seconds: float) -> None:
        """Sleeps, but notices a client that leaves."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError

    def _send_reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        size = sum(map(len, reply.pieces)) + (0 if reply.is_complete else 10)
        framing = {"length": ("Content-Length", str(size)), "chunked": ("Transfer-Encoding", "chunked")}
        self.send_header(*framing.get(reply.framing, ("Connection", "close")))
        self.end_headers()
        for piece in reply.pieces:
            self.send_chunk(piece) if reply.framing == "chunked" else self.wfile.write(piece)
            self.wfile.flush()
            if reply.seconds_between:
                self.pause(reply.seconds_between)
        if reply.framing == "chunked" and reply.is_complete:
            self.end_stream()
        if not reply.is_complete or reply.framing == "close":
            self.hang_up()


def _frame(event: Any) -> bytes:
    if isinstance(event, bytes):
        return event
    text = event if isinstance(event, str) else json.dumps(event)
    return b"data: " + text.encode() + b"\n\n"


def serve_alone(kind: type[FakeVendor], description: str | None) -> None:
    """A fake as a program of its own: prints its base URL and serves until it is stopped."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="What callers must show. Default: the key that its tests use.")
    options = parser.parse_args()
    key = {} if options.key is None else {"key": options.key}
    with kind(**key, port=options.port) as fake:
        print(fake.base_url, flush=True)
        threading.Event().wait()
