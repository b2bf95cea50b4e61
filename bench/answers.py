"""An HTTP answer as it comes in over a raw socket: just enough parsing to know when it ends and whether it is good."""

import json
import re
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
# No event of the benchmark holds a carriage return: these seven bytes end a chunked body and are nothing else.
CHUNKED_END = b"\r\n0\r\n\r\n"
EXCERPT_BYTES = 600
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
CLOSES = re.compile(rb"\r\nconnection: *close")
PROMPT = " ".join(f"word{index}" for index in range(40))


class Answer:
    """Times are those of the clock that the caller passes in."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.excerpt = b""
        self.status = 0
        self.body_left: int | None = None
        self.first_at: float | None = None
        self.events = 0
        self.reads = 0
        self.closes = False
        self.is_complete = False

    def feed(self, data: bytes, now: float) -> None:
        if self.status == 0:
            self.head += data
            head, found, data = self.head.partition(HEAD_END)
            if not found:
                return
            self.read_head(head)
        if data:
            self.read_body(data, now)
        self.is_complete = self.body_left == 0 if self.body_left is not None else self.tail == CHUNKED_END

    def read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        lower = head.lower()
        length = LENGTH.search(lower)
        self.body_left = int(length[1]) if length else None
        self.closes = bool(CLOSES.search(lower))

    def read_body(self, data: bytes, now: float) -> None:
        if self.first_at is None:
            self.first_at = now
        self.reads += 1
        if self.status != 200 and len(self.excerpt) < EXCERPT_BYTES:
            self.excerpt += data[:EXCERPT_BYTES]
        # A pair of line ends may be split between two reads.
        self.events += (self.tail[-1:] + data).count(b"\n\n")
        self.tail = (self.tail + data)[-len(CHUNKED_END) :]
        if self.body_left is not None:
            self.body_left -= len(data)


def chat_request(url: str, key: str, model: str, max_tokens: int, is_streamed: bool) -> bytes:
    """The bytes of one call, made once and sent many times."""
    call = {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": max_tokens,
        "stream": is_streamed,
    }
    body = json.dumps(call).encode()
    address = urlsplit(url)
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
