"""Server-sent events, in bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Event names, ids and retry fields are ignored: OpenAI's protocol has none and Anthropic repeats the name in the JSON.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from providers.requesters.errors import BadAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """One event's data, parsed only if someone asks (and each time that someone asks).

    `is_followed`: the next one came with it, so that both can go on together.
    """

    data: bytes
    is_followed: bool = False

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)

    @property
    def frame(self) -> bytes:
        """The event as it goes over the wire."""
        if b"\n" in self.data:
            return b"data: " + self.data.replace(b"\n", b"\ndata: ") + b"\n\n"
        return b"data: " + self.data + b"\n\n"


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Events from bytes cut anywhere. What stands unfinished at the end is dropped, as the specification says, except
    a whole line: some vendors leave out the blank line after their last one."""
    pending = bytearray()
    for chunk in _unix_lines(chunks):
        if pending:
            # From the last byte on, as a separator may be cut in two; never the whole, or long lines go quadratic.
            start = len(pending) - 1
            pending += chunk
            if pending.find(b"\n\n", start) < 0:
                _check_size(pending)
                continue
            chunk = bytes(pending)
            pending.clear()
        *blocks, rest = chunk.split(b"\n\n")
        yield from _together([data for block in blocks if (data := _parse(block))])
        pending += rest
    if pending.endswith((b"\n", DONE)) and (data := _parse(bytes(pending))):
        yield Event(data)


def _together(datas: list[bytes]) -> list[Event]:
    if len(datas) == 1:
        return [Event(datas[0])]
    return [*(Event(data, True) for data in datas[:-1]), *map(Event, datas[-1:])]


def _unix_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """CRLF and lone CR become LF. JSON has no raw CR, so data cannot suffer."""
    held = b""
    for chunk in chunks:
        if held or b"\r" in chunk:
            chunk = held + chunk
            # A CR at the very end may be half of a CRLF.
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield chunk
    if held:
        yield b"\n"


def _parse(block: bytes) -> bytes | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:]
    lines = block.removeprefix(BYTE_ORDER_MARK).split(b"\n")
    data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
    return data or None


def _check_size(pending: bytearray) -> None:
    if len(pending) > MAX_EVENT_BYTES:
        raise BadAnswer(f"upstream sent an event larger than {MAX_EVENT_BYTES} bytes")
