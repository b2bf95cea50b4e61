"""AWS's event streams, held against botocore's reader; the messages are made by the fake."""

from random import Random
from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from providers.requesters.errors import BadAnswer, Truncated
from providers.requesters.eventstream import MAX_MESSAGE_BYTES, Message, read_messages
from tests.fakes.aws_frames import raw, with_headers

EVENT = {":message-type": "event", ":event-type": "messageStart", ":content-type": "application/json"}


def oracle(data: bytes) -> list[Message]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [
        Message({name: value for name, value in each.headers.items() if isinstance(value, str)}, each.payload)
        for each in buffer
    ]


def random_message(random: Random) -> bytes:
    names = (":event-type", ":message-type", "x", "Grüße", "n" * 255)
    headers = {name: random.choice(("", "event", "€" * 20, "v" * 3000)) for name in names if random.random() < 0.5}
    return with_headers(headers, random.randbytes(random.choice((0, 1, 7, 500, 70_000))))


def pieces(random: Random, data: bytes) -> list[bytes]:
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(0, 30)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_messages_cut_anywhere_are_read_as_botocore_does(seed: int) -> None:
    random = Random(seed)
    data = b"".join(random_message(random) for _ in range(random.randint(1, 6)))
    assert list(read_messages(pieces(random, data))) == oracle(data)


def test_single_bytes_make_messages() -> None:
    data = with_headers(EVENT, b'{"role":"assistant"}') * 3
    assert list(read_messages(bytes([byte]) for byte in data)) == [Message(EVENT, b'{"role":"assistant"}')] * 3


def test_headers_of_all_types_are_passed_over() -> None:
    values = (
        b"\x00",  # true
        b"\x01",  # false
        b"\x02\x7f",  # byte
        b"\x03\x00\x01",  # short
        b"\x04\x00\x00\x00\x01",  # integer
        b"\x05" + bytes(8),  # long
        b"\x06\x00\x03abc",  # bytes
        b"\x08" + bytes(8),  # timestamp
        b"\x09" + bytes(range(16)),  # UUID
        b"\x07\x00\x02ok",  # string
    )
    headers = b"".join(bytes([1, 97 + index]) + value for index, value in enumerate(values))
    data = raw(headers, b"{}")
    assert list(read_messages([data])) == oracle(data) == [Message({"j": "ok"}, b"{}")]


@pytest.mark.parametrize("kept", range(1, len(with_headers(EVENT, b"{}"))))
def test_an_end_inside_a_message_is_truncation(kept: int) -> None:
    data = with_headers(EVENT, b"{}")
    read = read_messages([data, data[:kept]])
    assert next(read).payload == b"{}"
    with pytest.raises(Truncated):
        next(read)


@pytest.mark.parametrize("spot", range(len(with_headers(EVENT, b"{}"))))
def test_every_damaged_byte_is_noticed(spot: int) -> None:
    data = bytearray(with_headers(EVENT, b"{}"))
    data[spot] ^= 0x10
    with pytest.raises(BadAnswer, match="checksum"):
        list(read_messages([bytes(data), bytes(64)]))


def test_a_message_s_size_is_capped() -> None:
    start = pack("!II", MAX_MESSAGE_BYTES + 1, 0)
    with pytest.raises(BadAnswer, match="larger than"):
        list(read_messages([start + pack("!I", crc32(start))]))


@pytest.mark.parametrize(("size", "headers_size"), [(0, 0), (15, 0), (20, 5)])
def test_lengths_that_cannot_be_are_refused(size: int, headers_size: int) -> None:
    start = pack("!II", size, headers_size)
    with pytest.raises(BadAnswer, match="shorter than its headers"):
        list(read_messages([start + pack("!I", crc32(start)) + bytes(64)]))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x01a",  # no type
        b"\x09a",  # a name that is longer than what is left
        b"\x01a\x0a",  # no such type
        b"\x01a\x07\x00",  # half a length
        b"\x01a\x07\x00\x05ab",  # a text that is longer than what is left
        b"\x01a\x05\x00",  # a number that is longer than what is left
        b"\x01a\x07\x00\x01\xff",  # not UTF-8
    ],
)
def test_headers_that_cannot_be_read_are_refused(headers: bytes) -> None:
    with pytest.raises(BadAnswer, match="headers"):
        list(read_messages([raw(headers, b"{}")]))


def test_no_bytes_are_no_messages() -> None:
    assert list(read_messages([])) == list(read_messages([b""])) == []
