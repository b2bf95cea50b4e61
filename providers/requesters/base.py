"""How to speak to a vendor. The inner form is OpenAI's JSON as plain dicts, so the base class is the identity: a
vendor with OpenAI's protocol uses it unchanged, a foreign protocol is a subclass that overrides hooks.

Final: chat, complete, embed, stream, stream_completion. Hooks: paths, url, headers, build_*, parse_*, parse_stream,
map_error, unsupported, list_models, check. A hook never changes the body that it is given.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, final

import orjson

from providers.requesters import failures
from providers.requesters.egress import CancelToken, Timeouts, Transport, Upstream
from providers.requesters.errors import BadAnswer, ProviderError, Truncated
from providers.requesters.sse import DONE, Event, read_events

JSON = dict[str, Any]

# Enough to hold the chunk with the finish reason, the usage chunk and what a vendor may add after them.
TAIL = 8
MAX_ERROR_BYTES = 1024 * 1024
# A short header value is no secret, and blotting out a short word would garble messages.
MIN_SECRET_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a deployment lives and how it wants to be spoken to.

    `rename` and `drop` are a vendor's small quirks, applied to the top level of each body before anything else.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        extra = [value for value in self.headers.values() if len(value) >= MIN_SECRET_LENGTH]
        return [secret for secret in (self.api_key, *extra) if secret]


@dataclass(frozen=True, slots=True)
class Answer:
    """`raw` is upstream's own bytes when nothing was translated: what the caller should get, byte for byte."""

    json: JSON
    raw: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that a vendor says it has. `raw` is its whole entry."""

    id: str
    label: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@final
class Stream:
    """Events in OpenAI's form, without the final [DONE]. Ends normally only where the vendor ended properly; all else
    is an exception, and the caller of the gateway can be told."""

    def __init__(self, upstream: Upstream, events: Iterator[Event]) -> None:
        self._upstream = upstream
        self._events = events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        try:
            return next(self._events)
        except StopIteration:
            self._upstream.drain()
            self._upstream.close()
            raise
        except BaseException:
            self._upstream.close()
            raise

    def close(self) -> None:
        """Idempotent. From another thread, while a read is blocked, use the CancelToken instead."""
        self._upstream.close()


class Requester:
    """A vendor's endpoint, ready to be asked. Holds no state between calls, so one may serve all greenlets."""

    paths: ClassVar[Mapping[str, str]] = {
        "chat": "/chat/completions",
        "completions": "/completions",
        "embeddings": "/embeddings",
        "models": "/models",
    }

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
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
        }

    # What others call

    @final
    def chat(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self._ask("chat", self.build_chat(self._fit(body)), self.parse_chat, token)

    @final
    def complete(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self._ask("completions", self.build_completion(self._fit(body)), self.parse_completion, token)

    @final
    def embed(self, body: JSON, token: CancelToken | None = None) -> Answer:
        return self._ask("embeddings", self.build_embed(self._fit(body)), self.parse_embed, token)

    @final
    def stream(self, body: JSON, token: CancelToken | None = None) -> Stream:
        """Sends the request before it returns: whatever upstream refuses at once is raised here, not mid-stream."""
        return self._open_stream("chat", self.build_chat(self._fit(_streaming(body))), token)

    @final
    def stream_completion(self, body: JSON, token: CancelToken | None = None) -> Stream:
        return self._open_stream("completions", self.build_completion(self._fit(_streaming(body))), token)

    # Hooks

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.api_key}"} if self.endpoint.api_key else {}

    def url(self, path: str) -> str:
        return self.endpoint.base_url.rstrip("/") + path

    def build_chat(self, body: JSON) -> JSON:
        return body

    def parse_chat(self, payload: JSON) -> JSON:
        return payload

    def build_completion(self, body: JSON) -> JSON:
        return body

    def parse_completion(self, payload: JSON) -> JSON:
        return payload

    def build_embed(self, body: JSON) -> JSON:
        return body

    def parse_embed(self, payload: JSON) -> JSON:
        return payload

    def parse_stream(self, events: Iterator[Event]) -> Iterator[Event]:
        """Upstream's events to OpenAI's. Must raise Truncated when they stop before upstream's own end mark."""
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
        return []

    def list_models(self) -> list[RemoteModel]:
        payload = self._get(self.paths["models"])
        entries = payload.get("data")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no data")
        return [
            RemoteModel(str(entry["id"]), str(entry.get("display_name") or entry.get("owned_by") or ""), entry)
            for entry in entries
            if isinstance(entry, dict) and "id" in entry
        ]

    def check(self) -> None:
        """Raises what is wrong with the endpoint, if anything."""
        self.list_models()

    # The way there and back

    def _fit(self, body: JSON) -> JSON:
        """The body with the endpoint's quirks applied; a copy, as the caller keeps his."""
        endpoint = self.endpoint
        if not endpoint.rename and not endpoint.drop:
            return body
        return {endpoint.rename.get(name, name): body[name] for name in body if name not in endpoint.drop}

    def _ask(self, path: str, body: JSON, parse: Callable[[JSON], JSON], token: CancelToken | None) -> Answer:
        upstream = self._send("POST", self.paths[path], self._plain_headers, orjson.dumps(body), token)
        raw = upstream.read()
        payload = _load(raw)
        if payload.get("error"):
            raise self.map_error(upstream.status, payload, upstream.headers)
        parsed = parse(payload)
        return Answer(parsed, raw if parsed is payload else None)

    def _get(self, path: str) -> JSON:
        return _load(self._send("GET", path, self._plain_headers, None, None).read())

    def _open_stream(self, path: str, body: JSON, token: CancelToken | None) -> Stream:
        upstream = self._send("POST", self.paths[path], self._stream_headers, orjson.dumps(body), token)
        if not upstream.headers.get("content-type", "").lower().startswith("text/event-stream"):
            raise self._not_a_stream(upstream)
        return Stream(upstream, self.parse_stream(read_events(upstream.chunks())))

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, token: CancelToken | None
    ) -> Upstream:
        url, timeouts = self.url(path), self.endpoint.timeouts
        upstream = self.transport.send(method, url, headers, body, timeouts, token)
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
