"""Ollama's own API (not its OpenAI layer) behind OpenAI's form: the requester's hooks.

What the OpenAI layer cannot do: num_ctx and keep_alive per provider, `think`. Facts from docs/api.md, api/types.go and
server/routes.go of ollama/ollama.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from providers.requesters import ollama_answer, ollama_request
from providers.requesters.base import JSON, Answer, RemoteModel, Requester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest, ContextTooLong, ProviderError
from providers.requesters.inner import malformed
from providers.requesters.sse import Event

# What other programs' settings have behind Ollama's address.
TAIL = re.compile(r"/(v1|api)/?$")
TOO_LONG = "exceeds the context length"
BODY_FORM = "the body has not OpenAI's form"
ANSWER_FORM = "upstream's answer has not the form of Ollama's"


class OllamaRequester(Requester):
    """`base_url` may end in /v1 or /api or not. `config`: keep_alive and num_ctx, sent with each call."""

    stream_type = "application/x-ndjson"
    paths: ClassVar[Mapping[str, str]] = {
        "chat": "/api/chat",
        "completion": "/api/generate",
        "embedding": "/api/embed",
        "models": "/api/tags",
    }

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        return TAIL.sub("", self.endpoint.base_url.rstrip("/")) + self.paths[operation]

    def build_chat(self, body: JSON) -> JSON:
        with malformed(BadRequest, BODY_FORM):
            return ollama_request.build_chat(body, self.endpoint.config)

    def build_completion(self, body: JSON) -> JSON:
        with malformed(BadRequest, BODY_FORM):
            return ollama_request.build_completion(body, self.endpoint.config)

    def build_embedding(self, body: JSON) -> JSON:
        return ollama_request.build_embedding(body, self.endpoint.config)

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        answer = super().exchange(operation, body, token)
        if operation != "embedding":
            return answer
        with malformed(BadAnswer, ANSWER_FORM):
            is_base64 = body.get("encoding_format") == "base64"
            return Answer(ollama_answer.to_embeddings(answer.json, is_base64=is_base64), None)

    def parse_chat(self, payload: JSON) -> JSON:
        with malformed(BadAnswer, ANSWER_FORM):
            return ollama_answer.to_completion(payload)

    def parse_completion(self, payload: JSON) -> JSON:
        return ollama_answer.to_text_completion(payload)

    def read_frames(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        return ollama_answer.read_lines(chunks)

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        with malformed(BadAnswer, ANSWER_FORM):
            yield from ollama_answer.to_chunks(events, self.map_error)

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        """{"error": "text"}: there are no codes, and only words tell one bad request from another."""
        error = super().map_error(status, payload, headers)
        if type(error) is BadRequest and TOO_LONG in error.message:
            return ContextTooLong(error.message, upstream_status=status)
        return error

    def unsupported(self, body: JSON) -> list[str]:
        return ollama_request.left_out(body)

    def list_models(self) -> list[RemoteModel]:
        entries = self._get(self.url("models", {})).get("models")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no models")
        return [
            RemoteModel(str(entry["name"]), str((entry.get("details") or {}).get("parameter_size") or ""), entry)
            for entry in entries
            if isinstance(entry, dict) and "name" in entry
        ]
