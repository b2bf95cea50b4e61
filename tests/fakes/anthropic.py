"""A strict fake of Anthropic's Messages API: what it refuses, the real one refuses (see `anthropic_grammar`).

The model's name says how it behaves; any name that begins with "claude" echoes. With tools and "use tool" in the last
user turn it calls the first tool, with thinking on it thinks first, with cache_control anywhere it reports a cache.

echo  529 500 429 404 401  overloaded-in-stream    cut (no message_stop)  refusal  no-arguments (a bare tool call)
"""

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.anthropic_grammar import check_request
from tests.fakes.server import JSON, FakeVendor, Handler, Violation, serve_alone

VERSION = "2023-06-01"
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
MODELS = ("echo", "claude-sonnet-4-5", "claude-opus-4-7")
SPECIAL = frozenset({"overloaded-in-stream", "cut", "refusal", "no-arguments", *MODELS})
TEXT = ("Hello", " from", " the", " fake")
THOUGHT = ("Let me ", "think.")
SIGNATURE = "c2lnbmF0dXJl"


class AnthropicHandler(Handler):
    def respond(self, body: Any) -> None:
        if self.headers.get("x-api-key") != self.fake.key:
            raise Violation(f"invalid x-api-key: {self.headers.get('x-api-key')}", status=401)
        if self.headers.get("anthropic-version") != VERSION:
            raise Violation("anthropic-version: header is required")
        path = self.path.partition("?")[0]
        if (self.command, path) == ("GET", "/v1/models"):
            entries = [{"type": "model", "id": name, "display_name": name.title()} for name in MODELS]
            self.send_json(200, {"data": entries, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})
        elif (self.command, path) == ("POST", "/v1/messages"):
            self._messages(body)
        else:
            raise Violation(f"Not found: {self.path}", status=404)

    def error_body(self, violation: Violation) -> JSON:
        error = {"type": ERROR_TYPES[violation.status], "message": violation.message}
        return {"type": "error", "error": error, "request_id": "req_fake"}

    def _messages(self, body: JSON) -> None:
        check_request(body)
        model = body["model"]
        if model.isdecimal():
            headers = {"Retry_After": "7"} if model == "429" else {}
            self.send_json(int(model), self.error_body(Violation(f"fake {model}", status=int(model))), **headers)
        elif model not in SPECIAL and not model.startswith("claude"):
            raise Violation(f"model: {model}", status=404)
        elif body.get("stream"):
            self._stream(body)
        else:
            self.send_json(200, message(body))

    def _stream(self, body: JSON) -> None:
        self.start_stream()
        for event in events(body):
            if body["model"] == "overloaded-in-stream" and event["type"] == "content_block_stop":
                self._event(self.error_body(Violation("Overloaded", status=529)))
                break
            if body["model"] == "cut" and event["type"] == "message_delta":
                break
            self._event(event)
        self.end_stream()

    def _event(self, event: JSON) -> None:
        self.send_chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


class FakeAnthropic(FakeVendor):
    handler = AnthropicHandler

    @property
    def base_url(self) -> str:
        return self.origin


# Answers


def message(body: JSON) -> JSON:
    blocks = content(body)
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": stop_reason(body, blocks),
        "stop_sequence": None,
        "usage": usage(body),
    }


def content(body: JSON) -> list[JSON]:
    blocks: list[JSON] = []
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"type": "thinking", "thinking": "".join(THOUGHT), "signature": SIGNATURE})
        blocks.append({"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"})
    blocks.append({"type": "text", "text": "".join(TEXT)})
    if body.get("tools") and "use tool" in json.dumps(body["messages"][-1]):
        arguments: JSON = {} if body["model"] == "no-arguments" else {"query": "tok", "limit": 3}
        blocks.append({"type": "tool_use", "id": "toolu_fake0", "name": body["tools"][0]["name"], "input": arguments})
    return blocks


def stop_reason(body: JSON, blocks: list[JSON]) -> str:
    if body["model"] == "refusal":
        return "refusal"
    return "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"


def usage(body: JSON) -> JSON:
    has_cache = "cache_control" in json.dumps(body)
    return {
        "input_tokens": 11,
        "cache_creation_input_tokens": 7 if has_cache else 0,
        "cache_read_input_tokens": 5 if has_cache else 0,
        "output_tokens": 23,
        "output_tokens_details": {"thinking_tokens": 9 if body.get("thinking") else 0},
        "service_tier": "standard",
    }


def events(body: JSON) -> Iterator[JSON]:
    whole = message(body)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        empty, deltas = DELTAS[block["type"]](block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    # Only the output count, as older models do: the rest stands in message_start.
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 23}}
    yield {"type": "message_stop"}


def _text_deltas(block: JSON) -> tuple[JSON, list[JSON]]:
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in TEXT]


def _thinking_deltas(block: JSON) -> tuple[JSON, list[JSON]]:
    deltas: list[JSON] = [{"type": "thinking_delta", "thinking": piece} for piece in THOUGHT]
    deltas.append({"type": "signature_delta", "signature": SIGNATURE})
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas


def _tool_deltas(block: JSON) -> tuple[JSON, list[JSON]]:
    text = json.dumps(block["input"]) if block["input"] else ""
    pieces = ["", *(text[start : start + 5] for start in range(0, len(text), 5))]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


DELTAS = {
    "text": _text_deltas,
    "thinking": _thinking_deltas,
    "redacted_thinking": lambda block: (block, []),
    "tool_use": _tool_deltas,
}


if __name__ == "__main__":
    serve_alone(FakeAnthropic, __doc__)
