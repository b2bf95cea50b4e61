"""How to speak to a vendor. The inner form is OpenAI's JSON as plain dicts, so the base class is the identity: a
vendor with OpenAI's protocol uses it unchanged, a foreign protocol is a subclass that overrides hooks.

Final: ask, open, left_out; for short: chat, complete, embed, stream, stream_completion. Hooks: paths, url, headers,
sign, encode, build_*, parse_*, exchange, read_frames, parse_stream, map_error, unsupported, list_models, spread, check.
A hook never changes the body that it is given.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, final

import orjson
from urllib3.filepost import encode_multipart_formdata

from providers.requesters import by_chat, failures
from providers.requesters.egress import CancelToken, Timeouts, Transport, Upstream
from providers.requesters.errors import BadAnswer, BadRequest, ProviderError, Truncated
from providers.requesters.forms import JSON, Answer, Endpoint, FilePart, RemoteModel, Stream
from providers.requesters.rerank_address import address, without_address
from providers.requesters.sse import DONE, Event, read_events

__all__ = ["JSON", "Answer", "Endpoint", "FilePart", "RemoteModel", "Requester", "Stream"]

# Enough to hold the chunk with the finish reason, the usage chunk and what a vendor may add after them.
TAIL = 8
MAX_ERROR_BYTES = 1024 * 1024
# Answers that need not be JSON: sound, or a transcript as plain text.
OPAQUE = frozenset({"speech", "transcription"})


class Requester:
    """A vendor's endpoint, ready to be asked. Holds no state between calls, so one may serve all greenlets.

    An operation is a kind of call: chat, completion, embedding, rerank, image, speech, transcription or moderation.
    """

    # Those that the vendor has; "models" is its list.
    paths: ClassVar[Mapping[str, str]] = {
        "chat": "/chat/completions",
        "completion": "/completions",
        "embedding": "/embeddings",
        "rerank": "/rerank",
        "image": "/images/generations",
        "speech": "/audio/speech",
        "transcription": "/audio/transcriptions",
        "moderation": "/moderations",
        "models": "/models",
    }
    stream_type: ClassVar[str] = "text/event-stream"

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self._secrets = endpoint.secrets()
        self._plain_headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "weighbridge",
            **self.headers(),
            **endpoint.headers,
        }
        # Compression makes proxies on the way hold small events back.
        self._stream_headers = {
            **self._plain_headers,
            "Accept": self.stream_type,
            "Accept-Encoding": "identity",
        }

    # What others call

    @final
    def within(self, limits: Timeouts, **changes: Any) -> Self:
        """The same, waiting no longer than these limits allow; `changes` are fields of the endpoint."""
        timeouts = self.endpoint.timeouts.within(limits)
        return type(self)(replace(self.endpoint, timeouts=timeouts, **changes), self.transport)

    @final
    def ask(self, operation: str, body: JSON, token: CancelToken | None = None) -> Answer:
        """Send a body and wait for the whole answer. Raises a ProviderError."""
        if self._goes_by_chat(operation, body):
            return Answer(by_chat.text_of(self.ask("chat", by_chat.chat_of(body), token).json), None)
        self._check_operation(operation)
        return self.exchange(operation, self._fit(body), token)

    @final
    def open(self, operation: str, body: JSON, token: CancelToken | None = None) -> Stream:
        """Sends the request before it returns: whatever upstream refuses at once is raised here, not mid-stream."""
        if self._goes_by_chat(operation, body):
            return self.open("chat", by_chat.chat_of(body), token).shaped(by_chat.text_events)
        self._check_operation(operation)
        fitted = self._fit(_streaming(body))
        url = self.url(operation, fitted, is_stream=True)
        upstream = self._post(operation, url, self._stream_headers, self.build(operation, fitted), token)
        if not upstream.headers.get("content-type", "").lower().startswith(self.stream_type):
            raise self._not_a_stream(upstream)
        events = self.parse_stream(self.read_frames(upstream.chunks()), str(fitted.get("model", "")))
        return Stream(upstream, events)

    @final
    def left_out(self, operation: str, body: JSON) -> list[str]:
        """Names of the parameters in `body` that this vendor would not be asked for."""
        return self.unsupported(by_chat.chat_of(body) if self._goes_by_chat(operation, body) else body)

    @final
    def chat(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self.ask("chat", body, token)

    @final
    def complete(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self.ask("completion", body, token)

    @final
    def embed(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self.ask("embedding", body, token)

    @final
    def stream(self, body: JSON, token: CancelToken | None = None) -> Stream:
        return self.open("chat", body, token)

    @final
    def stream_completion(self, body: JSON, token: CancelToken | None = None) -> Stream:
        return self.open("completion", body, token)

    # Hooks

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.api_key}"} if self.endpoint.api_key else {}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        """`body` is in the inner form: some vendors have the model in the path."""
        if operation == "rerank":
            return address(self.endpoint, self.paths[operation], body)
        return self.endpoint.base_url.rstrip("/") + self.paths[operation]

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        """The headers to send, for vendors whose signature covers the request."""
        return headers

    def encode(self, operation: str, body: JSON) -> tuple[bytes, str]:
        """A built body as bytes, and their content type."""
        if any(isinstance(value, FilePart) for value in body.values()):
            return encode_multipart_formdata(_form_fields(body))
        return orjson.dumps(body), "application/json"

    def build(self, operation: str, body: JSON) -> JSON:
        """The vendor's body from OpenAI's: a `build_<operation>` where a subclass has one, else the same."""
        hook = getattr(self, f"build_{operation}", None)
        body = without_address(body) if operation == "rerank" else body
        return hook(body) if hook else body

    def parse(self, operation: str, payload: JSON) -> JSON:
        """OpenAI's answer from the vendor's: a `parse_<operation>` where a subclass has one, else the same."""
        hook = getattr(self, f"parse_{operation}", None)
        return hook(payload) if hook else payload

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        """One request and its answer; overridden where a vendor needs several."""
        url = self.url(operation, body)
        upstream = self._post(operation, url, self._plain_headers, self.build(operation, body), token)
        raw = upstream.read()
        content_type = upstream.headers.get("content-type", "")
        if operation in OPAQUE and "json" not in content_type:
            if "html" in content_type:
                raise BadAnswer("upstream answered with a web page")
            return Answer({}, raw, content_type or "application/octet-stream")
        payload = _load(raw)
        if payload.get("error"):
            raise self.map_error(upstream.status, payload, upstream.headers)
        parsed = self.parse(operation, payload)
        return Answer(parsed, raw if parsed is payload else None)

    def read_frames(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        """The vendor's events out of the stream's bytes."""
        return read_events(chunks)

    def parse_stream(self, events: Iterator[Event], model: str) -> Iterator[Event]:
        """Upstream's events to OpenAI's; `model` is what was asked, for answers that don't say.

        Must raise Truncated when they stop before upstream's own end mark.
        """
        tail: deque[Event] = deque(maxlen=TAIL)
        for event in events:
            if event.data == DONE:
                return
            self._check_event(event, is_first=not tail)
            tail.append(event)
            yield event
        if not any(_is_finished(event) for event in tail):
            raise Truncated("upstream's stream ended before its end")

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        """`payload` is the parsed body, None when it was not JSON. A status below 400: an error inside a stream."""
        return failures.to_error(status, payload, headers, self._secrets)

    def unsupported(self, body: JSON) -> list[str]:
        """Names of the parameters in `body` that this vendor has no place for and that are left out."""
        return [name for name in body if name in self.endpoint.drop]

    def list_models(self) -> list[RemoteModel]:
        if "models" not in self.paths:
            raise BadRequest("the provider has no list of models")
        payload = self._get(self.url("models", {}))
        entries = payload.get("data")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no data")
        return [
            RemoteModel(str(entry["id"]), str(entry.get("display_name") or entry.get("owned_by") or ""), entry)
            for entry in entries
            if isinstance(entry, dict) and "id" in entry
        ]

    @classmethod
    def spread(cls, endpoint: Endpoint) -> list[Endpoint]:
        """One endpoint for each place that the same key opens: a vendor's regions, say."""
        return [endpoint]

    def check(self) -> None:
        """Raises what is wrong with the endpoint, if anything."""
        self.list_models()

    # The way there and back

    def _goes_by_chat(self, operation: str, body: JSON) -> bool:
        """Text completions of messages, or of any kind where the vendor has none."""
        if operation != "completion" or "chat" not in self.paths:
            return False
        return "completion" not in self.paths or (body.get("prompt") is None and "messages" in body)

    def _check_operation(self, operation: str) -> None:
        if operation not in self.paths:
            raise BadRequest(f"the model's provider has no {operation} endpoint")

    def _fit(self, body: JSON) -> JSON:
        """The body with the endpoint's quirks applied; a copy, as the caller keeps his."""
        endpoint = self.endpoint
        if not endpoint.rename and not endpoint.drop:
            return body
        return {endpoint.rename.get(name, name): body[name] for name in body if name not in endpoint.drop}

    def _get(self, url: str) -> JSON:
        return _load(self._send("GET", url, self._plain_headers, None, None).read())

    def _post(
        self, operation: str, url: str, headers: Mapping[str, str], built: JSON, token: CancelToken | None
    ) -> Upstream:
        data, content_type = self.encode(operation, built)
        if content_type != "application/json":
            headers = {**headers, "Content-Type": content_type, "Accept": "*/*"}
        return self._send("POST", url, headers, data, token)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, token: CancelToken | None
    ) -> Upstream:
        signed = self.sign(method, url, headers, body)
        upstream = self.transport.send(method, url, signed, body, self.endpoint.timeouts, token)
        if upstream.status >= 400:
            raise self.map_error(upstream.status, _read_error(upstream), upstream.headers)
        return upstream

    def _not_a_stream(self, upstream: Upstream) -> ProviderError:
        payload = _read_error(upstream)
        if isinstance(payload, dict) and payload.get("error"):
            return self.map_error(upstream.status, payload, upstream.headers)
        return BadAnswer("upstream did not answer with an event stream", upstream_status=upstream.status)

    def _check_event(self, event: Event, *, is_first: bool) -> None:
        """Parses only the first event, while another deployment may still take over, and what looks like an error:
        inside a JSON string the quotes of "error" would be escaped."""
        data = event.data
        if not (data.startswith(b"{") and data.rstrip().endswith(b"}")):
            raise BadAnswer("upstream sent an event that is not JSON")
        if is_first or b'"error"' in data:
            payload = _load(data)
            if payload.get("error") or payload.get("object") == "error":
                raise self.map_error(200, payload, {})


def _streaming(body: JSON) -> JSON:
    """Usage is always asked for: a call without it can only be estimated."""
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    return {**body, "stream": True, "stream_options": {**options, "include_usage": True}}


def _form_fields(body: JSON) -> list[tuple[str, Any]]:
    """A multipart body's fields; a list is sent as one field for each of its values, as OpenAI's SDKs do."""
    fields: list[tuple[str, Any]] = []
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            fields.append((f"{name}[]" if isinstance(value, list) else name, _form_value(each)))
    return fields


def _form_value(value: Any) -> Any:
    if isinstance(value, FilePart):
        return (value.name, value.data, value.content_type)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _load(data: bytes) -> JSON:
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadAnswer("upstream's answer is not JSON") from error
    if not isinstance(payload, dict):
        raise BadAnswer("upstream's answer is not a JSON object")
    return payload


def _read_error(upstream: Upstream) -> Any:
    """None when the body says nothing usable: the status still does."""
    try:
        return orjson.loads(upstream.read(MAX_ERROR_BYTES))
    except (orjson.JSONDecodeError, BadAnswer):
        return None


def _is_finished(event: Event) -> bool:
    if b'"finish_reason"' not in event.data:
        return False
    choices = _load(event.data).get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )
