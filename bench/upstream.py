"""A stub OpenAI upstream that costs next to nothing, so that a run measures the gateway in front of it.

`python -m bench.upstream --port 0` prints the port that it listens on. Two models: "stub" answers at once (streamed: 50
chunks, one write per turn of the event loop, so that they arrive apart), "stub-slow" streams `max_tokens` chunks at 10
a second.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

CHUNKS = 50
SECONDS_PER_SLOW_CHUNK = 0.1
USAGE = {"prompt_tokens": 52, "completion_tokens": CHUNKS, "total_tokens": 52 + CHUNKS}
HEAD_END = b"\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def response(status: str, value: object) -> bytes:
    body = encoded(value)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def frame(payload: dict[str, Any]) -> bytes:
    """One server-sent event inside one HTTP chunk."""
    event = b"data: " + encoded(payload) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def chunk(model: str, delta: dict[str, str], finish_reason: str | None, with_usage: bool) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    payload: dict[str, Any] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": model,
        "system_fingerprint": "fp_bench",
        "choices": [choice],
    }
    return payload | {"usage": None} if with_usage else payload


def delta_of(index: int, count: int, text: str) -> tuple[dict[str, str], str | None]:
    """What a real vendor's first, middle and last chunk carry."""
    if index == count - 1:
        return {}, "stop"
    return ({"role": "assistant", "content": text} if index == 0 else {"content": text}), None


@cache
def quick_frames(model: str, with_usage: bool) -> list[bytes]:
    """Every frame of an undelayed stream, made once for all calls."""
    frames = []
    for index in range(CHUNKS):
        delta, finish_reason = delta_of(index, CHUNKS, f"word{index} ".ljust(12, "."))
        frames.append(frame(chunk(model, delta, finish_reason, with_usage)))
    return frames + closing_frames(model, with_usage)


@cache
def closing_frames(model: str, with_usage: bool) -> list[bytes]:
    usage = [frame(chunk(model, {}, None, True) | {"choices": [], "usage": USAGE})] if with_usage else []
    return [*usage, STREAM_END]


@cache
def answer(model: str) -> bytes:
    """The whole non-streamed response."""
    message = {"role": "assistant", "content": "word " * CHUNKS, "refusal": None}
    payload = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    return response("200 OK", payload)


class SlowFrames:
    """The frames of a delayed stream; each carries the moment it was sent, so that the reader knows its lateness."""

    def __init__(self, model: str, count: int, with_usage: bool) -> None:
        self.template = frame(chunk(model, {"content": "@" + "0" * 17}, None, with_usage))
        self.stamp = self.template.index(b"@") + 1
        self.closing = closing_frames(model, with_usage)
        self.count = count

    def __len__(self) -> int:
        return self.count + len(self.closing)

    def __getitem__(self, index: int) -> bytes:
        if index >= self.count:
            return self.closing[index - self.count]
        template, stamp = self.template, self.stamp
        return template[:stamp] + b"%017.6f" % time.monotonic() + template[stamp + 17 :]


class Upstream(asyncio.Protocol):
    """One keep-alive connection: requests with Content-Length, one at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.received = b""
        self.is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.is_answering:
            self.take_request()

    def take_request(self) -> None:
        head, found, rest = self.received.partition(HEAD_END)
        if not found:
            return
        length = content_length(head)
        if len(rest) < length:
            return
        self.received = rest[length:]
        self.route(head.split(b"\r\n", 1)[0], rest[:length])

    def route(self, request_line: bytes, body: bytes) -> None:
        if request_line.startswith(b"POST /v1/chat/completions "):
            self.complete(json.loads(body))
        elif request_line.startswith(b"GET /v1/models "):
            models = [{"id": name, "object": "model", "owned_by": "bench"} for name in ("stub", "stub-slow")]
            self.transport.write(response("200 OK", {"object": "list", "data": models}))
        else:
            self.transport.write(response("404 Not Found", {"error": {"message": "The stub has no such path."}}))

    def complete(self, call: dict[str, Any]) -> None:
        model = call["model"]
        with_usage = bool((call.get("stream_options") or {}).get("include_usage"))
        if not call.get("stream"):
            self.transport.write(answer(model))
            return
        self.is_answering = True
        self.transport.write(STREAM_HEAD)
        if model == "stub-slow":
            self.send_slowly(
                SlowFrames(
                    model, int(call.get("max_tokens") or call.get("max_completion_tokens") or CHUNKS), with_usage
                ),
                0,
                self.loop.time(),
            )
        else:
            self.send_quickly(quick_frames(model, with_usage), 0)

    def send_quickly(self, frames: list[bytes], index: int) -> None:
        if self.write_frame(frames, index):
            self.loop.call_soon(self.send_quickly, frames, index + 1)

    def send_slowly(self, frames: SlowFrames, index: int, start: float) -> None:
        # Due times are counted from the start: a late turn of the loop does not slow the stream down.
        if self.write_frame(frames, index):
            self.loop.call_at(start + (index + 1) * SECONDS_PER_SLOW_CHUNK, self.send_slowly, frames, index + 1, start)

    def write_frame(self, frames: list[bytes] | SlowFrames, index: int) -> bool:
        """True while there is more to send to a client that is still there."""
        if self.transport.is_closing():
            return False
        self.transport.write(frames[index])
        if index + 1 < len(frames):
            return True
        self.is_answering = False
        self.take_request()
        return False


def content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


async def serve(port: int, announce: Callable[[int], None]) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, which is printed")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
