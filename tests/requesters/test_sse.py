from collections.abc import Iterator

import pytest

from providers.requesters import sse
from providers.requesters.errors import BadAnswer
from providers.requesters.sse import Event, read_events


def read(*chunks: bytes) -> list[bytes]:
    return [event.data for event in read_events(chunks)]


def test_it_works() -> None:
    assert read(b'data: {"a": 1}\n\n', b"data: [DONE]\n\n") == [b'{"a": 1}', b"[DONE]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  one\n\n", [b" one"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
        (b"data: one\n\r\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data: one\ndata:\ndata: two\n\n", [b"one\n\ntwo"]),
        (b": comment\n\ndata: one\n\n", [b"one"]),
        (b": comment\ndata: one\n\n", [b"one"]),
        (b"event: message_start\ndata: one\n\n", [b"one"]),
        (b"id: 7\nretry: 10\ndata: one\n\n", [b"one"]),
        (b"data: one\n\n\n\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data\n\ndata:\n\n", []),
        (b"\xef\xbb\xbfdata: one\n\n", [b"one"]),
        ("data: \u2028 é 漢\n\n".encode(), ["\u2028 é 漢".encode()]),
        (b"data: one\n\ndata: unfinished", [b"one"]),
        (b"data: one\n\ndata: two\n", [b"one", b"two"]),
        (b"data: one\n\ndata: [DONE]", [b"one", b"[DONE]"]),
        (b"", []),
    ],
)
def test_every_form_is_read_however_it_is_cut(text: bytes, expected: list[bytes]) -> None:
    assert read(text) == expected
    assert read(*(bytes([byte]) for byte in text)) == expected
    for cut in range(len(text)):
        assert read(text[:cut], text[cut:]) == expected


def test_long_lines_arrive_whole() -> None:
    line = b"x" * 2_000_000
    pieces = [line[start : start + 1400] for start in range(0, len(line), 1400)]
    assert read(b"data: ", *pieces, b"\n", b"\ndata: next\n\n") == [line, b"next"]


def test_events_come_as_soon_as_they_are_complete() -> None:
    pulled: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            pulled.append(number)
            yield b"data: %d\n\n" % number

    events = read_events(chunks())
    assert next(events).data == b"0"
    assert pulled == [0]


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10_000)
    with pytest.raises(BadAnswer, match="larger than 10000"):
        read(b"data: ", *[b"x" * 1000] * 20)


def test_an_event_is_parsed_on_demand_and_framed() -> None:
    event = Event(b'{"a": 1}')
    assert event.json == {"a": 1}
    assert event.frame == b'data: {"a": 1}\n\n'
    assert Event(b"one\ntwo").frame == b"data: one\ndata: two\n\n"
    assert read(Event(b"one\ntwo").frame) == [b"one\ntwo"]


def test_events_that_came_together_know_it() -> None:
    chunks = [b"data: 1\n\ndata: 2\n\n: hm\n\n", b"data: 3\n\nda", b"ta: 4\n\ndata: [DONE]\n\n"]
    found = [(event.data, event.is_followed) for event in read_events(chunks)]
    assert found == [(b"1", True), (b"2", False), (b"3", False), (b"4", True), (b"[DONE]", False)]
