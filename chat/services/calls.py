"""What a caller wants, and the kinds of call there are."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from accounts.services.keys import Caller
from providers.requesters.base import Answer, Requester, Stream
from providers.requesters.call import CancelToken

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A kind of call: the models that serve it and the requester's methods for it."""

    name: str
    kind: str
    send: Callable[[Requester, JSON, CancelToken], Answer]
    stream: Callable[[Requester, JSON, CancelToken], Stream] | None = None
    has_output: bool = True


ENDPOINTS = {
    each.name: each
    for each in (
        Endpoint("chat", "llm", lambda r, b, t: r.chat(b, t), lambda r, b, t: r.stream(b, t)),
        Endpoint("completion", "llm", lambda r, b, t: r.complete(b, t), lambda r, b, t: r.stream_completion(b, t)),
        Endpoint("embedding", "embedding", lambda r, b, t: r.embed(b, t), has_output=False),
    )
}


@dataclass(slots=True)
class Call:
    """What a caller wants, in the inner form: OpenAI's JSON. `size` is its length on the wire, in bytes."""

    endpoint: Endpoint
    body: JSON
    size: int
    caller: Caller
    request_id: str
    session_key: str = ""
    wants_usage: bool = False
    model_id: int | None = None  # one deployment and no other: the console's tests
    token: CancelToken = field(default_factory=CancelToken)
    started: float = field(default_factory=time.monotonic)

    @property
    def model(self) -> str:
        return str(self.body["model"])
