"""What the stub upstream puts on the wire."""

import json
from typing import Any

import pytest

from bench.upstream import USAGE, SlowFrames, answer, quick_frames


def events(frames: list[bytes]) -> list[dict[str, Any]]:
    """The JSON events of a stream, its closing [DONE] checked and left off."""
    lines = [line for frame in frames for line in frame.split(b"\r\n") if line.startswith(b"data: ")]
    assert lines[-1] == b"data: [DONE]\n\n"
    return [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]


def test_a_stream_is_50_chunks_of_about_240_bytes() -> None:
    frames = quick_frames("stub", True)[:50]
    assert all(220 <= len(frame) <= 280 for frame in frames)
    chunks = events(quick_frames("stub", False))
    assert len(chunks) == 50
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_usage_comes_only_when_it_is_asked_for() -> None:
    assert not any("usage" in chunk for chunk in events(quick_frames("stub", False)))
    *chunks, last = events(quick_frames("stub", True))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_a_slow_stream_has_as_many_chunks_as_tokens_were_asked_for() -> None:
    frames = SlowFrames("stub-slow", 7, True)
    chunks = events([frames[index] for index in range(len(frames))])
    stamps = [float(chunk["choices"][0]["delta"]["content"].removeprefix("@")) for chunk in chunks[:-1]]
    assert len(stamps) == 7
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("model", ["stub", "stub-slow"])
def test_a_whole_answer_says_its_length_and_usage(model: str) -> None:
    head, _, body = answer(model).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["usage"] == USAGE
