"""OpenAI's /v1/embeddings over MiniLM, for the gateway on the same machine."""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np

from providers.local import EMBEDDING_MODEL
from providers.local.minilm import Array, InputTooLong, MiniLM

JSON = dict[str, Any]

MOST_INPUTS = 256
MOST_BYTES = 4 * 1024 * 1024
MOST_DISCARDED_BYTES = 8 * MOST_BYTES
IDLE_SECONDS = 120
FORMATS = ("float", "base64")
INPUT_WANTED = "a text, or a list of texts, that is not empty"


@dataclass
class Refusal(Exception):
    """A request that is answered with OpenAI's error object."""

    message: str
    param: str | None = None
    status: int = 400
    code: str | None = None

    def body(self) -> JSON:
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        return {"error": error}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, checked."""

    texts: list[str]
    is_base64: bool


def parse(raw: bytes) -> Request:
    """Raises Refusal, naming the field."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refusal("The body must be a JSON object.")
    if body.get("model") != EMBEDDING_MODEL:
        raise Refusal(f"The only model here is {EMBEDDING_MODEL}.", "model", status=404, code="model_not_found")
    if body.get("dimensions") is not None:
        raise Refusal("This model's vectors can't be shortened: leave `dimensions` out.", "dimensions")
    encoding = body.get("encoding_format") or "float"
    if encoding not in FORMATS:
        raise Refusal(f"Invalid 'encoding_format': expected {' or '.join(FORMATS)}.", "encoding_format")
    return Request(_texts(body.get("input")), encoding == "base64")


def _texts(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or "" in values:
        raise Refusal(f"Invalid 'input': expected {INPUT_WANTED}.", "input")
    if all(isinstance(each, int | list) for each in values):
        raise Refusal("Invalid 'input': token ids mean nothing to this model's vocabulary; send texts.", "input")
    if not all(isinstance(each, str) for each in values):
        raise Refusal(f"Invalid 'input': expected {INPUT_WANTED}.", "input")
    if len(values) > MOST_INPUTS:
        raise Refusal(f"Invalid 'input': at most {MOST_INPUTS} texts in one request.", "input")
    return values


def shape(vector: Array, *, is_base64: bool) -> str | list[float]:
    """A vector as OpenAI sends it: numbers, or little-endian float32 in base64, as its SDKs ask by default."""
    if is_base64:
        return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode()
    return [float(number) for number in vector]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    model: ClassVar[MiniLM]
    one_at_a_time: ClassVar[threading.Lock]

    def do_GET(self) -> None:
        self._answer({"/health": self._health, "/v1/models": self._models})

    def do_POST(self) -> None:
        self._answer({"/v1/embeddings": self._embeddings})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the gateway records its calls."""

    def _answer(self, paths: dict[str, Callable[[], JSON]]) -> None:
        try:
            answer = paths.get(self.path, self._unknown)()
        except Refusal as refusal:
            self._send(refusal.status, refusal.body())
        else:
            self._send(200, answer)

    def _unknown(self) -> JSON:
        self.close_connection = True  # its body was not read
        raise Refusal(f"Unknown request URL: {self.command} {self.path}.", status=404, code="unknown_url")

    def _health(self) -> JSON:
        return {"status": "ok"}

    def _models(self) -> JSON:
        return {
            "object": "list",
            "data": [{"id": EMBEDDING_MODEL, "object": "model", "created": 0, "owned_by": "local"}],
        }

    def _embeddings(self) -> JSON:
        request = parse(self._body())
        with self.one_at_a_time:  # a second calculation would only make both slower and double the memory
            try:
                embedded = self.model.embed(request.texts)
            except InputTooLong as error:
                raise Refusal(str(error), "input") from error
        vectors = [shape(vector, is_base64=request.is_base64) for vector in embedded.vectors]
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        usage = {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens}
        return {"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage}

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        self.close_connection = True  # until the body was read: what is left of it is no next request
        if not length.isdecimal():
            raise Refusal("Send a Content-Length.", status=411)
        if int(length) > MOST_BYTES:
            self._discard(int(length))
            raise Refusal(f"The body is larger than {MOST_BYTES} bytes.", status=413, code="request_too_large")
        raw = self.rfile.read(int(length))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return raw

    def _discard(self, length: int) -> None:
        """A client that is still sending would never read why it is refused."""
        left = min(length, MOST_DISCARDED_BYTES)
        while left > 0 and (part := self.rfile.read(min(left, 65536))):
            left -= len(part)

    def _send(self, status: int, body: JSON) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


class EmbeddingServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, model: MiniLM) -> None:
        members = {"model": model, "one_at_a_time": threading.Lock()}
        super().__init__(("127.0.0.1", port), type("BoundHandler", (Handler,), members))
