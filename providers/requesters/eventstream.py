"""AWS's binary event streams, application/vnd.amazon.eventstream, in bytes.

A message: total length and headers' length (4 bytes each, big endian), the CRC32 of these eight, the headers, the
payload, the CRC32 of all before it. Facts from smithy.io/2.0/aws/amazon-eventstream.html; the tests hold it against
botocore.eventstream.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct, error
from zlib import crc32

from providers.requesters.errors import BadAnswer, Truncated

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
PRELUDE = Struct("!III")
CRC = Struct("!I")
SMALLEST = PRELUDE.size + CRC.size

TRUE, FALSE, BYTES, STRING = 0, 1, 6, 7
# A header's value by its type's number: how many bytes. Those of variable length say it in two bytes before.
SIZES = {TRUE: 0, FALSE: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
LENGTH = Struct("!H")


@dataclass(frozen=True, slots=True)
class Message:
    """`headers` are those of type string, which is all that services send: `:message-type`, `:event-type` and such."""

    headers: Mapping[str, str]
    payload: bytes


def read_messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """Messages from bytes cut anywhere. An end inside a message is Truncated; damage is a BadAnswer."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        start = 0
        while size := _next_size(pending, start):
            yield _parse(bytes(pending[start : start + size]))
            start += size
        del pending[:start]
    if pending:
        raise Truncated("upstream's stream ended inside a message")


def _next_size(pending: bytearray, start: int) -> int:
    """The length of the message that begins at `start`; 0 while it is not here in full."""
    if len(pending) - start < PRELUDE.size:
        return 0
    size, headers_size, checksum = PRELUDE.unpack_from(pending, start)
    # Checked before the length is believed: a damaged one would have us wait for bytes that never come.
    if crc32(pending[start : start + 8]) != checksum:
        raise BadAnswer("upstream's stream is damaged: a prelude's checksum is wrong")
    if size > MAX_MESSAGE_BYTES:
        raise BadAnswer(f"upstream sent an event larger than {MAX_MESSAGE_BYTES} bytes")
    if size < SMALLEST + headers_size:
        raise BadAnswer("upstream's stream is damaged: a message is shorter than its headers")
    return int(size) if len(pending) - start >= size else 0


def _parse(message: bytes) -> Message:
    headers_end = PRELUDE.size + PRELUDE.unpack_from(message)[1]
    if crc32(message[: -CRC.size]) != CRC.unpack(message[-CRC.size :])[0]:
        raise BadAnswer("upstream's stream is damaged: a message's checksum is wrong")
    try:
        headers = dict(_strings(message[PRELUDE.size : headers_end]))
    except (error, IndexError, KeyError, UnicodeDecodeError) as problem:
        raise BadAnswer("upstream's stream is damaged: a message's headers cannot be read") from problem
    return Message(headers, message[headers_end : -CRC.size])


def _strings(data: bytes) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(data):
        name_end = position + 1 + data[position]
        name, kind = data[position + 1 : name_end].decode(), data[name_end]
        start, size = name_end + 1, SIZES.get(kind)
        if size is None:
            start, size = start + LENGTH.size, _variable_size(kind, data, start)
        position = start + size
        if position > len(data):
            raise IndexError(position)
        if kind == STRING:
            yield name, data[start:position].decode()


def _variable_size(kind: int, data: bytes, start: int) -> int:
    if kind not in (BYTES, STRING):
        raise KeyError(kind)
    return int(LENGTH.unpack_from(data, start)[0])
