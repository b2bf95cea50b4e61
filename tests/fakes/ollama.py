"""A strict fake of Ollama's own API: of each field sent it checks name and type, more strictly than Go's JSON reader.

The model's name says how it behaves. With tools and "use tool" in the last user message it calls the first two tools,
with `think` it thinks first.

echo  500 503  too-long  cut (no done)  cut-line (in the middle of a line)  error-in-stream  no-usage  length
no-ids (calls without ids)  no-tools (a model that has none)

Sources: docs/api.md, api/types.go and server/routes.go of ollama/ollama.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes.server import JSON, FakeVendor, Handler, Violation, serve_alone

MODELS = ("echo", "qwen3:8b", "llama3.2:latest")
SPECIAL = frozenset({*MODELS, "cut", "cut-line", "error-in-stream", "no-usage", "length", "no-ids", "no-tools"})
TEXT = ("Hello", " from", " the", " fake")
THOUGHT = ("Let me ", "think.")
STATUSES = {"500": "model runner has unexpectedly stopped", "503": "server busy, please try again."}
THINK = (True, False, "low", "medium", "high", "max")
ROLES = ("system", "user", "assistant", "tool")
MESSAGE = {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}
CREATED = "2025-07-07T20:22:19.184789Z"


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise Violation(message)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return type(value) is int


OPTIONS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("num_predict", "top_k", "seed", "num_ctx"), _is_integer),
    **dict.fromkeys(
        ("temperature", "top_p", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty"), _is_number
    ),
    "stop": lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
}
SHARED: dict[str, Callable[[Any], bool]] = {
    "model": lambda value: isinstance(value, str) and bool(value),
    "keep_alive": lambda value: isinstance(value, int | str) and not isinstance(value, bool),
    "options": lambda value: isinstance(value, dict) and all(OPTIONS[name](each) for name, each in value.items()),
}
SAID: dict[str, Callable[[Any], bool]] = {
    **SHARED,
    "stream": lambda value: isinstance(value, bool),
    "logprobs": lambda value: value is True,
    "top_logprobs": lambda value: _is_integer(value) and 0 <= value <= 20,
}
FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "/api/chat": {
        **SAID,
        "messages": lambda value: isinstance(value, list) and len(value) > 0,
        "tools": lambda value: isinstance(value, list) and len(value) > 0,
        "format": lambda value: value == "json" or isinstance(value, dict),
        "think": lambda value: value in THINK,
    },
    "/api/generate": {**SAID, "prompt": lambda value: isinstance(value, str), "raw": lambda value: value is True},
    "/api/embed": {
        **SHARED,
        "input": lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
        "dimensions": lambda value: _is_integer(value) and value > 0,
    },
}
REQUIRED = {
    "/api/chat": {"model", "messages", "stream"},
    "/api/generate": {"model", "prompt", "raw", "stream"},
    "/api/embed": {"model", "input"},
}


def check_request(path: str, body: JSON) -> None:
    fields = FIELDS[path]
    _check(body.keys() <= fields.keys(), f"unknown fields: {sorted(body.keys() - fields.keys())}")
    _check(REQUIRED[path] <= body.keys(), f"missing fields: {sorted(REQUIRED[path] - body.keys())}")
    unknown = body.get("options", {}).keys() - OPTIONS.keys()
    _check(not unknown, f"invalid option provided: {sorted(unknown)}")
    for name, value in body.items():
        _check(fields[name](value), f"json: cannot unmarshal {value!r} into field {name}")
    for tool in body.get("tools", []):
        _check(tool.get("type") == "function" and "name" in tool["function"], "a tool is no function")
    _check_messages(body.get("messages", []))


def _check_messages(messages: list[JSON]) -> None:
    calls: dict[str, str] = {}
    for message in messages:
        _check(message.keys() <= MESSAGE, f"unknown fields in a message: {sorted(message.keys() - MESSAGE)}")
        role = message.get("role")
        _check(role in ROLES, f"invalid role {role!r}")
        _check(isinstance(message.get("content"), str), "json: cannot unmarshal a message's content")
        _check(role == "assistant" or not message.keys() & {"thinking", "tool_calls"}, f"what a {role} cannot say")
        for image in message.get("images", []):
            _check_image(image)
        for call in message.get("tool_calls", []):
            _check(isinstance(call["function"]["arguments"], dict), "a call's arguments must be an object")
            calls[call["id"]] = call["function"]["name"]
        if role == "tool":
            named = calls.get(message.get("tool_call_id", ""))
            _check(named is not None and message.get("tool_name") == named, "a result without its call")


def _check_image(image: str) -> None:
    try:
        base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise Violation("illegal base64 data") from error


class OllamaHandler(Handler):
    def respond(self, body: Any) -> None:
        # Ollama asks for no key; a proxy before it may.
        if self.headers.get("Authorization") not in (None, f"Bearer {self.fake.key}"):
            raise Violation("unauthorized", status=401)
        if (self.command, self.path) == ("GET", "/api/tags"):
            self.send_json(200, {"models": [model_entry(name) for name in MODELS]})
        elif self.command == "POST" and self.path in FIELDS:
            check_request(self.path, body)
            self._call(body)
        else:
            raise Violation(f"404 page not found: {self.command} {self.path}", status=404)

    def error_body(self, violation: Violation) -> JSON:
        return {"error": violation.message}

    def _call(self, body: JSON) -> None:
        model = body["model"]
        if model in STATUSES:
            self.send_json(int(model), {"error": STATUSES[model]})
        elif model == "too-long":
            self.send_json(400, {"error": "the input length exceeds the context length"})
        elif model == "no-tools" and "tools" in body:
            self.send_json(400, {"error": '"no-tools" does not support tools'})
        elif model not in SPECIAL:
            self.send_json(404, {"error": f"model '{model}' not found"})
        elif self.path == "/api/embed":
            vectors = [[float(len(text)), *([0.5] * (body.get("dimensions", 3) - 1))] for text in body["input"]]
            self.send_json(200, {"model": model, "embeddings": vectors, "prompt_eval_count": 4 * len(vectors)})
        elif body["stream"]:
            self._stream(body)
        else:
            self.send_json(200, whole(self.path, body))

    def _stream(self, body: JSON) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines(self.path, body):
            data = json.dumps(line).encode() + b"\n"
            if line.get("done") and body["model"] == "error-in-stream":
                data = b'{"error":"an error was encountered while running the model"}\n'
            if line.get("done") and body["model"] == "cut-line":
                data = data[:20]
            if not (line.get("done") and body["model"] == "cut"):
                self.send_chunk(data)
        self.end_stream()


class FakeOllama(FakeVendor):
    handler = OllamaHandler

    @property
    def base_url(self) -> str:
        return self.origin


def model_entry(name: str) -> JSON:
    details = {"format": "gguf", "family": "llama", "parameter_size": "8B", "quantization_level": "Q4_K_M"}
    return {"name": name, "model": name, "size": 4_000_000_000, "digest": "ab" * 32, "details": details}


# Answers


def calls(body: JSON) -> list[JSON]:
    if not body.get("messages") or body["messages"][-1]["content"] != "use tool":
        return []
    made = []
    for index, tool in enumerate(body.get("tools", [])[:2]):
        function = {"index": index, "name": tool["function"]["name"], "arguments": {"query": "tok", "limit": 3 + index}}
        made.append(
            {"function": function} if body["model"] == "no-ids" else {"id": f"call_{index}", "function": function}
        )
    return made


def ending(body: JSON) -> JSON:
    counts = {} if body["model"] == "no-usage" else {"prompt_eval_count": 11, "eval_count": 23}
    reason = "length" if body["model"] == "length" else "stop"
    return {"done": True, "done_reason": reason, "total_duration": 182242375, "eval_duration": 115959084, **counts}


def logprobs(body: JSON) -> JSON:
    if not body.get("logprobs"):
        return {}
    token: JSON = {"token": "Hello", "logprob": -0.25, "bytes": list(b"Hello")}
    return {
        "logprobs": [{**token, "top_logprobs": [{"token": "Hi", "logprob": -2.5}]} if "top_logprobs" in body else token]
    }


def whole(path: str, body: JSON) -> JSON:
    head = {"model": body["model"], "created_at": CREATED}
    if path == "/api/generate":
        return {**head, "response": "".join(TEXT), **logprobs(body), **ending(body)}
    message: JSON = {"role": "assistant", "content": "".join(TEXT)}
    if body.get("think"):
        message["thinking"] = "".join(THOUGHT)
    if made := calls(body):
        message["tool_calls"] = made
    return {**head, "message": message, **logprobs(body), **ending(body)}


def lines(path: str, body: JSON) -> Iterator[JSON]:
    head: JSON = {"model": body["model"], "created_at": CREATED, "done": False}
    extra = logprobs(body)
    if path == "/api/generate":
        for number, piece in enumerate(TEXT):
            yield {**head, "response": piece, **(extra if not number else {})}
        yield {**head, "response": "", **ending(body)}
        return
    says: list[JSON] = [{"content": "", "thinking": piece} for piece in THOUGHT] if body.get("think") else []
    says += [{"content": piece} for piece in TEXT]
    says += [{"content": "", "tool_calls": [made]} for made in calls(body)]
    for number, said in enumerate(says):
        yield {**head, "message": {"role": "assistant", **said}, **(extra if not number else {})}
    yield {**head, "message": {"role": "assistant", "content": ""}, **ending(body)}


if __name__ == "__main__":
    serve_alone(FakeOllama, __doc__)
