"""Anthropic's Messages API behind OpenAI's form: the requester's hooks. The two translations have files of their own.

Facts from platform.claude.com/docs (Messages, Streaming, Errors, Extended and Adaptive thinking, Structured outputs)
and the types of anthropics/anthropic-sdk-python.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from providers.requesters import anthropic_answer, anthropic_request
from providers.requesters.base import Requester
from providers.requesters.errors import BadAnswer, BadRequest
from providers.requesters.inner import malformed
from providers.requesters.sse import Event

JSON = dict[str, Any]
VERSION = "2023-06-01"


class AnthropicRequester(Requester):
    """`base_url` may end in /v1 or not: Anthropic's own SDK leaves it out, OpenAI's habits put it in."""

    # What is asked for when the caller names no limit; the vendor insists on one.
    default_max_tokens: ClassVar[int] = anthropic_request.DEFAULT_MAX_TOKENS

    paths: ClassVar[Mapping[str, str]] = {
        "chat": "/v1/messages",
        "models": "/v1/models?limit=1000",
    }

    def headers(self) -> Mapping[str, str]:
        key = {"x-api-key": self.endpoint.api_key} if self.endpoint.api_key else {}
        return {**key, "anthropic-version": VERSION}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        return self.endpoint.base_url.rstrip("/").removesuffix("/v1") + self.paths[operation]

    def build_chat(self, body: JSON) -> JSON:
        with malformed(BadRequest, "the body has not the form of OpenAI's chat completions"):
            return anthropic_request.build(body)

    def parse_chat(self, payload: JSON) -> JSON:
        with malformed(BadAnswer, "upstream's answer has not the form of Anthropic's messages"):
            return anthropic_answer.to_completion(payload)

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        with malformed(BadAnswer, "upstream's stream has not the form of Anthropic's events"):
            yield from anthropic_answer.to_chunks(events, self.map_error)

    def unsupported(self, body: JSON) -> list[str]:
        with malformed(BadRequest, "the body has not the form of OpenAI's chat completions"):
            return anthropic_request.left_out(body)
