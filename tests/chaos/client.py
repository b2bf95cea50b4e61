"""A client on a bare socket, that may leave whenever it likes."""

import random
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 30.0
RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Answer:
    """`status` 0: there was none. `is_whole`: nothing of it is missing."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """After so many bytes of the request, or of the answer; None: of either, all."""

    after_sending: int | None = None
    after_reading: int | None = None
    with_reset: bool = False


STAYS = Leaving()


def leaving(chance: random.Random, size: int) -> Leaving:
    """A client that leaves before its call is complete, right after it, or in the middle of the answer."""
    with_reset = chance.random() < 0.5
    kind = chance.choice(("before", "sent", "reading", "reading"))
    if kind == "before":
        return Leaving(after_sending=chance.randrange(size), with_reset=with_reset)
    return Leaving(after_reading=0 if kind == "sent" else chance.randrange(1, 1500), with_reset=with_reset)


def request(port: int, path: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    """A request that ends its connection."""
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def exchange(port: int, data: bytes, leaves: Leaving = STAYS) -> Answer:
    """Send a request and read what comes, as far as the client stays."""
    received = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        if leaves.with_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(data[: leaves.after_sending])
        if leaves.after_sending is None:
            while leaves.after_reading is None or len(received) < leaves.after_reading:
                piece = connection.recv(65536)
                if not piece:
                    break
                received += piece
    return parse(received)


def parse(received: bytes) -> Answer:
    """What a client makes of the bytes it got."""
    head, blank, rest = received.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"HTTP/1.1 "):
        return Answer()
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split()[1])
    if headers.get("transfer-encoding") == "chunked":
        body, is_whole = _unchunked(rest)
    else:
        body, is_whole = rest, len(rest) == int(headers.get("content-length", -1))
    return Answer(status, headers, body, is_whole)


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    pieces = []
    while data:
        size, line_end, data = data.partition(b"\r\n")
        length = int(size, 16) if line_end and size else -1
        if length <= 0:
            return b"".join(pieces), length == 0
        pieces.append(data[:length])
        data = data[length + 2 :]
    return b"".join(pieces), False
