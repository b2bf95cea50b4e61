"""Google's Gemini API (not its OpenAI layer) behind OpenAI's form: the requester's hooks.

Facts from ai.google.dev (api/generate-content, api/embeddings, api/models, docs/troubleshooting), the error model of
Google's APIs (google.rpc.Status with ErrorInfo and RetryInfo) and googleapis/python-genai.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from providers.requesters import failures, gemini_answer, gemini_request
from providers.requesters.base import JSON, Answer, RemoteModel, Requester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest, ProviderError
from providers.requesters.inner import embedding_data, embedding_texts, malformed
from providers.requesters.sse import Event

VERSION = "/v1beta"
HAS_VERSION = re.compile(r"/v\d+\w*$", re.ASCII)
CHAT_FORM = "the body has not the form of OpenAI's chat completions"
ANSWER_FORM = "upstream's answer has not the form of Gemini's"

# google.rpc.Code by name, and the HTTP status that stands for it; what is not here is told by the answer's own status.
STATUSES = {
    "API_KEY_INVALID": 401,  # an ErrorInfo's reason: the status itself is 400, INVALID_ARGUMENT
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": 401,
    "API_KEY_SERVICE_BLOCKED": 403,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 500,  # no free tier where the gateway stands, or no billing: not the caller's mistake
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class GeminiRequester(Requester):
    """`base_url` may end in a version or not. The model stands in the path and the key in a header, never in the URL.

    `config`: safetySettings (a list in Gemini's form) and thinkBudget, for calls that say nothing of these.
    """

    paths: ClassVar[Mapping[str, str]] = {
        "chat": ":generateContent",
        # As Google's own SDK does even for one text: the answer then has one form.
        "embedding": ":batchEmbedContents",
        "models": "/models?pageSize=1000",
    }

    def headers(self) -> Mapping[str, str]:
        return {"x-goog-api-key": self.endpoint.api_key} if self.endpoint.api_key else {}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        base = self.endpoint.base_url.rstrip("/").removesuffix("/openai")
        base += "" if HAS_VERSION.search(base) else VERSION
        if operation == "models":
            return base + self.paths[operation]
        verb = ":streamGenerateContent?alt=sse" if is_stream else self.paths[operation]
        return f"{base}/{quote(_resource(body))}{verb}"

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        """A batch holds at most 100 texts, where OpenAI's takes 2048."""
        if operation != "embedding":
            return super().exchange(operation, body, token)
        texts, size = embedding_texts(body), gemini_request.MAX_BATCH
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        answers = [super(GeminiRequester, self).exchange(operation, {**body, "input": each}, token) for each in batches]
        return Answer(_joined([answer.json for answer in answers], body), None)

    def build_chat(self, body: JSON) -> JSON:
        with malformed(BadRequest, CHAT_FORM):
            return gemini_request.build(body, self.endpoint.config)

    def parse_chat(self, payload: JSON) -> JSON:
        with malformed(BadAnswer, ANSWER_FORM):
            return gemini_answer.to_completion(payload)

    def build_embedding(self, body: JSON) -> JSON:
        return gemini_request.build_embedding(body, _resource(body))

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        with malformed(BadAnswer, ANSWER_FORM):
            yield from gemini_answer.to_chunks(events, self.map_error)

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        inner = _error(payload)
        details = [detail for detail in inner.get("details") or [] if isinstance(detail, dict)]
        codes = [*(str(detail.get("reason")) for detail in details), str(inner.get("status"))]
        named = next((code for code in codes if code in STATUSES), None)
        told = {"error": {"message": inner.get("message"), "code": named}} if inner else payload
        error = failures.to_error(STATUSES.get(named or "", status), told, headers, self._secrets)
        error.upstream_status = status
        if error.retry_after is None:
            error.retry_after = _retry_delay(details)
        return error

    def unsupported(self, body: JSON) -> list[str]:
        if "messages" in body:
            return gemini_request.left_out(body)
        return [name for name, value in body.items() if value and name not in gemini_request.EMBEDDING_NAMES]

    def list_models(self) -> list[RemoteModel]:
        entries = self._get(self.url("models", {})).get("models")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no models")
        return [
            RemoteModel(str(entry["name"]).removeprefix("models/"), str(entry.get("displayName") or ""), entry)
            for entry in entries
            if isinstance(entry, dict) and "name" in entry
        ]


def _resource(body: JSON) -> str:
    """The model's resource name: with `models/` before it, whichever way it was written."""
    name = str(body.get("model") or "")
    if not name or ".." in name:
        raise BadRequest("the model's name at its provider is not valid", param="model")
    return name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"


def _error(payload: Any) -> JSON:
    """Google's layers wrap it in a list now and then."""
    if isinstance(payload, list) and payload:
        payload = payload[0]
    inner = payload.get("error") if isinstance(payload, dict) else None
    return inner if isinstance(inner, dict) else {}


def _retry_delay(details: list[JSON]) -> float | None:
    """A protobuf duration, such as "37s" or "0.5s", in the detail of type RetryInfo."""
    delays = (str(detail.get("retryDelay")).removesuffix("s") for detail in details if "retryDelay" in detail)
    return next((float(delay) for delay in delays if re.fullmatch(r"\d+(\.\d+)?", delay)), None)


def _joined(payloads: list[JSON], body: JSON) -> JSON:
    """OpenAI's list of embeddings. Most models count no tokens here; then no usage is claimed."""
    with malformed(BadAnswer, ANSWER_FORM):
        vectors = [entry["values"] for payload in payloads for entry in payload["embeddings"]]
        data = embedding_data(vectors, is_base64=body.get("encoding_format") == "base64")
        counts = [payload["usageMetadata"]["promptTokenCount"] for payload in payloads if "usageMetadata" in payload]
    answer: JSON = {"object": "list", "data": data, "model": body.get("model")}
    return answer | ({"usage": {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}} if counts else {})
