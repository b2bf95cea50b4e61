"""A strict fake of OpenAI's API. The model's name says how it behaves, so that it can be driven from anywhere.

In a test:       with FakeOpenAI() as fake: Endpoint(fake.base_url, fake.key)
By itself:       python -m tests.fakes.openai --port 0        (prints its base URL; GET /_seen is the record)

echo               answers "tok0 tok1 ..." with min(max_tokens or 10, 10) tokens and exact usage; with tools and
                   "use tool" in the last user message it calls the first one
hang               never answers            hang-midstream     two chunks, then silence
cut                half a stream, then the connection closes      cut-body     a body shorter than announced
garbage            not JSON                 html               200 with a web page
401 404 429 500 503    that status (429 with Retry-After: 7)
error-in-stream    an error after two chunks                      no-usage     never reports usage
every-part         like echo; of its prompt's words 2 are cached and 3 sound, of its tokens 4 reasoning and 1 sound
slow               50 ms between chunks     slow-forever       20 chunks a second until the client goes
late               five seconds before the first word              late-error     2.5 seconds, then 500
pause              four seconds of silence after the first word
"""

import hashlib
from collections.abc import Callable
from typing import Any

from tests.fakes.server import JSON, FakeVendor, Handler, Violation, serve_alone

CREATED = 1_700_000_000
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
MAX_TOKENS = 10
VECTOR_SIZE = 8


class OpenAIHandler(Handler):
    def respond(self, body: Any) -> None:
        self._authorize()
        routes: dict[tuple[str, str], Callable[[Any], None]] = {
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._completion,
            ("POST", "/v1/embeddings"): self._embed,
        }
        route = routes.get((self.command, self.path))
        if route is None:
            raise Violation(f"Unknown request URL: {self.command} {self.path}", status=404)
        route(body)

    def error_body(self, violation: Violation) -> JSON:
        return _error(violation.message, "invalid_request_error", None, violation.param)

    def _authorize(self) -> None:
        given = self.headers.get("Authorization", "")
        if given.removeprefix("Bearer ") not in {self.fake.key, *self.fake.other_keys}:
            # The real one quotes the key back, too.
            raise Violation(f"Incorrect API key provided: {given.removeprefix('Bearer ')}", status=401)

    def _models(self, _: Any) -> None:
        entries = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in BEHAVIOURS]
        self.send_json(200, {"object": "list", "data": entries})

    def _embed(self, body: JSON) -> None:
        texts = [body.get("input")] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise Violation("'input' must be a string or a list of strings", "input")
        if self._fails(body):
            return
        data = [{"object": "embedding", "index": index, "embedding": vector(text)} for index, text in enumerate(texts)]
        used = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        self.send_json(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})

    def _completion(self, body: JSON) -> None:
        if not isinstance(body.get("prompt"), str):
            raise Violation("'prompt' must be a string", "prompt")
        self._answer(body, _completion_shape)

    def _chat(self, body: JSON) -> None:
        check_messages(body.get("messages"))
        self._answer(body, _chat_shape)

    def _answer(self, body: JSON, shape: Callable[..., JSON]) -> None:
        check_options(body)
        if not self._fails(body):
            BEHAVIOURS[body["model"]](self, body, shape)

    def _fails(self, body: JSON) -> bool:
        model = body.get("model")
        if not isinstance(model, str) or (model not in BEHAVIOURS and model not in STATUSES):
            self.send_json(
                404, _error(f"The model '{model}' does not exist", "invalid_request_error", "model_not_found")
            )
            return True
        if model in STATUSES:
            status, (kind, code) = int(model), STATUSES[model]
            headers = {"Retry_After": "7"} if model == "429" else {}
            self.send_json(status, _error(f"fake {model} for {self.fake.key}", kind, code), **headers)
        return model in STATUSES

    # Behaviours

    def echo(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self.send_json(200, whole(body, shape))
            return
        self.start_stream()
        for chunk in chunks(body, shape):
            if body["model"] == "slow":
                self.pause(0.05)
            self.send_event(chunk)
        self.send_event("[DONE]")
        self.end_stream()

    def slow(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self.pause(0.05 * token_count(body))
        self.echo(body, shape)

    def slow_forever(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self.hang()
        self.start_stream()
        index = 0
        while not self.fake.stopping.is_set():
            self.send_event(shape(body, f"tok{index} ", None))
            self.pause(0.05)
            index += 1
        self.hang_up()

    def late(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.pause(5)
        self.echo(body, shape)

    def late_error(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.pause(2.5)
        self.send_json(500, _error("late", "server_error", None))

    def pause_midstream(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.start_stream()
        for index, chunk in enumerate(chunks(body, shape)):
            if index == 1:
                self.pause(4)
            self.send_event(chunk)
        self.send_event("[DONE]")
        self.end_stream()

    def never_answer(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.hang()

    def hang_midstream(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self._half_a_body(body, shape)
        else:
            self._two_chunks(body, shape)
        self.hang()

    def cut(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self._half_a_body(body, shape)
        else:
            self._two_chunks(body, shape)
        self.hang_up()

    def garbage(self, body: JSON, shape: Callable[..., JSON]) -> None:
        if not body.get("stream"):
            self.send_bytes(200, b'{"id": "chatcmpl-1", "choices": [', "application/json")
            return
        self.start_stream()
        self.send_chunk(b'data: {"id": "chatcmpl-1", "choi\n\n')
        self.send_event("[DONE]")
        self.end_stream()

    def html(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.send_bytes(200, b"<!doctype html><title>Welcome</title>", "text/html")

    def error_in_stream(self, body: JSON, shape: Callable[..., JSON]) -> None:
        error = _error("The server had an error while processing your request", "server_error", None)
        if not body.get("stream"):
            self.send_json(500, error)
            return
        self._two_chunks(body, shape)
        self.send_event(error)
        self.send_event("[DONE]")
        self.end_stream()

    def _two_chunks(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.start_stream()
        for index in range(2):
            self.send_event(shape(body, f"tok{index} ", None))

    def _half_a_body(self, body: JSON, shape: Callable[..., JSON]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b'{"id": "chatcmpl-1", ')
        self.wfile.flush()


BEHAVIOURS: dict[str, Callable[[OpenAIHandler, JSON, Callable[..., JSON]], None]] = {
    "echo": OpenAIHandler.echo,
    "no-usage": OpenAIHandler.echo,
    "every-part": OpenAIHandler.echo,
    "hang": OpenAIHandler.never_answer,
    "hang-midstream": OpenAIHandler.hang_midstream,
    "cut": OpenAIHandler.cut,
    "cut-body": OpenAIHandler.cut,
    "garbage": OpenAIHandler.garbage,
    "html": OpenAIHandler.html,
    "error-in-stream": OpenAIHandler.error_in_stream,
    "late": OpenAIHandler.late,
    "late-error": OpenAIHandler.late_error,
    "pause": OpenAIHandler.pause_midstream,
    "slow": OpenAIHandler.slow,
    "slow-forever": OpenAIHandler.slow_forever,
}
STATUSES: dict[str, tuple[str, str | None]] = {
    "401": ("invalid_request_error", "invalid_api_key"),
    "404": ("invalid_request_error", "model_not_found"),
    "429": ("insufficient_quota", "insufficient_quota"),
    "500": ("server_error", None),
    "503": ("server_error", None),
}


# platform.openai.com/docs/api-reference/chat/object
EVERY_PART: JSON = {
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 1},
}


class FakeOpenAI(FakeVendor):
    handler = OpenAIHandler

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"


# Grammar


def check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise Violation("'messages' must be a non-empty array", "messages")
    asked: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages.[{index}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Violation(f"Invalid role at {where}", f"{where}.role")
        _check_content(message, where)
        asked |= {call["id"] for call in message.get("tool_calls") or []}
        if message["role"] == "tool" and message.get("tool_call_id") not in asked:
            raise Violation(f"{where} answers no tool call", where)


def _check_content(message: JSON, where: str) -> None:
    content = message.get("content")
    if content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return
    if isinstance(content, list) and content and all(isinstance(part, dict) and "type" in part for part in content):
        return
    if not isinstance(content, str):
        raise Violation(f"Invalid content at {where}", f"{where}.content")


def check_options(body: JSON) -> None:
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Violation("'stream_options' is only allowed when 'stream' is enabled", "stream_options")
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = body.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise Violation(f"'{name}' must be a positive integer", name)
    if not 0 <= (body.get("temperature") or 0) <= 2:
        raise Violation("'temperature' must be between 0 and 2", "temperature")


# Answers


def token_count(body: JSON) -> int:
    return min(body.get("max_completion_tokens") or body.get("max_tokens") or MAX_TOKENS, MAX_TOKENS)


def prompt_count(body: JSON) -> int:
    """Words, over all messages or the prompt."""
    texts = [body.get("prompt") or ""]
    for message in body.get("messages", []):
        content = message.get("content") or ""
        texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return sum(len(text.split()) for text in texts)


def usage(body: JSON) -> JSON:
    prompt, completion = prompt_count(body), token_count(body)
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return counts | (EVERY_PART if body["model"] == "every-part" else {})


def wants_tool(body: JSON) -> bool:
    users = [message for message in body.get("messages", []) if message["role"] == "user"]
    return bool(body.get("tools")) and bool(users) and "use tool" in str(users[-1]["content"])


def whole(body: JSON, shape: Callable[..., JSON]) -> JSON:
    count = token_count(body)
    text = " ".join(f"tok{index}" for index in range(count))
    answer = shape(body, text, "stop" if count == MAX_TOKENS else "length", is_chunk=False)
    if wants_tool(body):
        call = _tool_call(body, '{"query": "tok"}')
        answer["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
        answer["choices"][0]["finish_reason"] = "tool_calls"
    if body["model"] != "no-usage":
        answer["usage"] = usage(body)
    # Nobody knows these fields; they must reach the caller all the same.
    return answer | {"system_fingerprint": "fp_fake", "x_fake": {"nested": [1, None, "é"]}}


def chunks(body: JSON, shape: Callable[..., JSON]) -> list[JSON]:
    count = token_count(body)
    if wants_tool(body):
        found = _tool_chunks(body, shape)
    else:
        found = [shape(body, f"tok{index}" + " " * (index < count - 1), None) for index in range(count)]
        found.append(shape(body, "", "stop" if count == MAX_TOKENS else "length"))
    asked = (body.get("stream_options") or {}).get("include_usage")
    if asked and body["model"] != "no-usage":
        found.append(shape(body, "", None) | {"choices": [], "usage": usage(body)})
    return found


def _tool_chunks(body: JSON, shape: Callable[..., JSON]) -> list[JSON]:
    pieces = [{"index": 0, **_tool_call(body, "")}]
    pieces += [{"index": 0, "function": {"arguments": piece}} for piece in ('{"que', 'ry": ', '"tok"}')]
    found = []
    for piece in pieces:
        chunk = shape(body, "", None)
        chunk["choices"][0]["delta"] = {"tool_calls": [piece]}
        found.append(chunk)
    return [*found, shape(body, "", "tool_calls")]


def _tool_call(body: JSON, arguments: str) -> JSON:
    function = {"name": body["tools"][0]["function"]["name"], "arguments": arguments}
    return {"id": "call_fake0", "type": "function", "function": function}


def _chat_shape(body: JSON, text: str, finish: str | None, is_chunk: bool = True) -> JSON:
    said = {"role": "assistant", "content": text}
    choice = {"index": 0, "delta" if is_chunk else "message": said, "finish_reason": finish}
    kind = "chat.completion.chunk" if is_chunk else "chat.completion"
    return {"id": "chatcmpl-fake", "object": kind, "created": CREATED, "model": body["model"], "choices": [choice]}


def _completion_shape(body: JSON, text: str, finish: str | None, is_chunk: bool = True) -> JSON:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    head = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": body["model"]}
    return {**head, "choices": [choice]}


def _error(message: str, kind: str, code: str | None, param: str | None = None) -> JSON:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [byte / 255 for byte in digest[:VECTOR_SIZE]]


if __name__ == "__main__":
    serve_alone(FakeOpenAI, __doc__)
