"""Endpoints on Amazon SageMaker whose containers (LMI, TGI, those of JumpStart's DeepSeek) speak OpenAI's chat schema.

Facts from the service models sagemaker-runtime and sagemaker of boto/botocore, docs.djl.ai (LMI's chat input and output
schema: SSE or JSON lines) and huggingface.co/docs/text-generation-inference (Messages API).
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar

import orjson

from providers.requesters import eventstream, failures
from providers.requesters.aws import AwsRequester, segment
from providers.requesters.base import JSON, Answer, RemoteModel
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest, ProviderError
from providers.requesters.ollama_answer import read_lines
from providers.requesters.sagemaker_thinking import split_chunks, split_completion
from providers.requesters.sse import Event, read_events

PART = "PayloadPart"
DEEPSEEK = "deepseek"
LIST_TARGET = "SageMaker.ListEndpoints"
MOST_LISTED = 100
NAME = "the endpoint's name is missing: set the provider's endpointName, or name the model as the endpoint"


class SageMakerRequester(AwsRequester):
    """`config`: endpointName (else the model's name is the endpoint's). For DeepSeek: platform ("deepseek" where the
    container tells thoughts apart by itself) and thinking (its answers begin in thought, up to </think>)."""

    service = "sagemaker"
    host = "runtime.sagemaker"
    list_host: ClassVar[str] = "api.sagemaker"
    stream_type = eventstream.CONTENT_TYPE
    paths: ClassVar[Mapping[str, str]] = {"chat": "/invocations", "models": "/"}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        if operation == "models":
            return self.origin(self.list_host) + self.paths[operation]
        name = self.endpoint.config.get("endpointName") or body.get("model")
        if not name:
            raise BadRequest(NAME, param="model")
        return f"{self.origin()}/endpoints/{segment(name)}/invocations{'-response-stream' if is_stream else ''}"

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        answer = super().exchange(operation, body, token)
        return Answer(split_completion(answer.json), None) if self._has_tags else answer

    def read_frames(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        """The container's own stream, in pieces: server-sent events, or a JSON object a line."""
        pieces = (payload for kind, payload in self.read_events(chunks) if kind == PART)
        beginning = b""
        for piece in pieces:
            beginning += piece
            if beginning.strip():
                break
        read = read_lines if beginning.lstrip().startswith(b"{") else read_events
        yield from read(chain([beginning], pieces))

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        chunks = super().parse_stream(events, model)
        return split_chunks(chunks) if self._has_tags else chunks

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        """What a container says is told in the words and codes of OpenAI's servers: as an event of its stream, or in a
        ModelError, with the status that it answered."""
        told = payload if isinstance(payload, dict) else {}
        inner = told.get("OriginalStatusCode")
        if told.get("error"):
            return failures.to_error(status, payload, headers, self._secrets)
        if not isinstance(inner, int) or inner < 400:
            return super().map_error(status, payload, headers)
        message = told.get("OriginalMessage") or told.get("Message")
        error = failures.to_error(inner, _inner_problem(str(message or "")), headers, self._secrets)
        error.upstream_status = status
        return error

    def list_models(self) -> list[RemoteModel]:
        """The account's endpoints that are in service, the newest first."""
        headers = {**self._plain_headers, "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": LIST_TARGET}
        asked = orjson.dumps({"StatusEquals": "InService", "MaxResults": MOST_LISTED})
        raw = self._send("POST", self.url("models", {}), headers, asked, None).read()
        try:
            entries = orjson.loads(raw)["Endpoints"]
            return [RemoteModel(str(entry["EndpointName"]), "", entry) for entry in entries]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BadAnswer("upstream's list of endpoints has no Endpoints") from error

    @property
    def _has_tags(self) -> bool:
        config = self.endpoint.config
        return bool(config.get("thinking")) and config.get("platform") != DEEPSEEK


def _inner_problem(message: str) -> JSON:
    """A container's words may themselves be the JSON of an error."""
    try:
        told = orjson.loads(message)
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) and failures.read_problem(told).message else {"message": message}
