"""Amazon Bedrock's Converse API behind OpenAI's form: the requester's hooks. Any of its chat models, DeepSeek's among
them (docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-deepseek.html names Converse).

Facts from the service models bedrock-runtime and bedrock of boto/botocore.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from providers.requesters import bedrock_answer, bedrock_request, eventstream
from providers.requesters.aws import AwsRequester, segment
from providers.requesters.base import JSON, Answer, RemoteModel
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest
from providers.requesters.inner import malformed
from providers.requesters.sse import Event

BODY_FORM = "the body has not the form of OpenAI's chat completions"
ANSWER_FORM = "upstream's answer has not the form of Converse's"


class BedrockRequester(AwsRequester):
    """The model is its id, an inference profile's, or the ARN of either.

    `config`, beside what AwsRequester reads: baseModelId (whose quirks to follow where the model is an ARN that does
    not say), maxTokens (for calls without a limit, and the most that any gets), thinking and thinkBudget (for calls
    that say nothing of it), promptCache {fields: [system, messages, tools], messagePositions: [turn's number]}.
    """

    service = "bedrock"
    host = "bedrock-runtime"
    # The models themselves are listed by another host.
    list_host: ClassVar[str] = "bedrock"
    stream_type = eventstream.CONTENT_TYPE
    paths: ClassVar[Mapping[str, str]] = {"chat": "/converse", "models": "/foundation-models"}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        if operation == "models":
            return self.origin(self.list_host) + self.paths[operation]
        action = self.paths[operation] + ("-stream" if is_stream else "")
        return f"{self.origin()}/model/{segment(body.get('model'))}{action}"

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        answer = super().exchange(operation, body, token)
        return Answer({**answer.json, "model": body["model"]}, None)

    def build_chat(self, body: JSON) -> JSON:
        with malformed(BadRequest, BODY_FORM):
            return bedrock_request.build(body, self.endpoint.config)

    def parse_chat(self, payload: JSON) -> JSON:
        with malformed(BadAnswer, ANSWER_FORM):
            return bedrock_answer.to_completion(payload)

    def read_frames(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        """The type of an event stands in its header; it becomes the one name of an object around the event."""
        for kind, payload in self.read_events(chunks):
            yield Event(b'{"%b":%b}' % (kind.encode(), payload))

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        with malformed(BadAnswer, ANSWER_FORM):
            yield from bedrock_answer.to_chunks(events, model)

    def unsupported(self, body: JSON) -> list[str]:
        with malformed(BadRequest, BODY_FORM):
            return bedrock_request.left_out(body, self.endpoint.config)

    def list_models(self) -> list[RemoteModel]:
        entries = self._get(self.url("models", {})).get("modelSummaries")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no modelSummaries")
        return [
            RemoteModel(str(entry["modelId"]), str(entry.get("modelName") or ""), entry)
            for entry in entries
            if isinstance(entry, dict) and "modelId" in entry
        ]
