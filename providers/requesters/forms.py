"""What goes into a requester and what comes out: where to call, a file to send, an answer, a running stream."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

from providers.requesters.egress import Timeouts, Upstream
from providers.requesters.sse import Event

JSON = dict[str, Any]

# A short header value is no secret, and blotting out a short word would garble messages.
MIN_SECRET_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a deployment lives and how it wants to be spoken to.

    `rename` and `drop` are a vendor's small quirks, applied to the top level of each body before anything else.
    `config` holds the provider's own settings, such as an API version or a region, as the catalog's row names them.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    config: Mapping[str, Any] = field(default_factory=dict)

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        extra = [value for value in self.headers.values() if len(value) >= MIN_SECRET_LENGTH]
        return [secret for secret in (self.api_key, *extra) if secret]


@dataclass(frozen=True, slots=True)
class Answer:
    """`raw` is upstream's own bytes when nothing was translated: what the caller should get, byte for byte.

    Sound and plain text have no JSON: `json` is empty then, and `content_type` says what `raw` is.
    """

    json: JSON
    raw: bytes | None = field(repr=False)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a multipart body."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


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

    def shaped(self, shape: Callable[[Iterator[Event]], Iterator[Event]]) -> "Stream":
        """The same stream, its events in another form."""
        return Stream(self._upstream, shape(self._events))

    def close(self) -> None:
        """Idempotent. From another thread, while a read is blocked, use the CancelToken instead."""
        self._upstream.close()
