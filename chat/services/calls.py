"""What a caller wants, and the kinds of call there are."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from accounts.services.keys import Caller
from chat.services.repeatable import Repeatable
from providers.requesters.call import CancelToken, Timeouts
from providers.services.routing import Target

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A kind of call: the models that serve it, the requester's operation for it, and what it can do.

    `has_output`: its answer's length is limited by `max_tokens`, so that the hold covers it.
    """

    name: str
    kind: str
    operation: str
    streams: bool = False
    has_output: bool = False


ENDPOINTS = {
    each.name: each
    for each in (
        Endpoint("chat", "llm", "chat", streams=True, has_output=True),
        Endpoint("completion", "llm", "completion", streams=True, has_output=True),
        Endpoint("embedding", "embedding", "embedding"),
        Endpoint("rerank", "rerank", "rerank"),
        Endpoint("image", "image", "image"),
        Endpoint("speech", "speech", "speech"),
        Endpoint("transcription", "transcription", "transcription"),
        Endpoint("moderation", "moderation", "moderation"),
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
    tags: tuple[str, ...] = ()
    wants_usage: bool = False
    model_id: int | None = None  # one deployment and no other: the console's tests
    targets: tuple[Target, ...] | None = None  # these deployments, whatever the catalog says
    wishes: JSON = field(default_factory=dict)  # further fields, for upstreams that take them: no call fails for these
    limits: Timeouts | None = None  # the caller's own patience, where it is shorter than the providers'
    token: CancelToken = field(default_factory=CancelToken)
    started: float = field(default_factory=time.monotonic)
    router: str = ""  # the name that was asked, where a router has put another one in
    routed: int = 0  # how often
    headers: dict[str, str] = field(default_factory=dict)  # for the answer, known as soon as it is admitted
    has_left: bool = False
    repeatable: Repeatable | None = None  # the answer to keep, where it came with an Idempotency-Key
    price_ratio: Decimal = Decimal(1)  # of the caller's group
    drains: bool = False  # whether the deployment that is asked now is read to its end when the caller leaves

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def asked(self) -> JSON:
        """The body with the wishes."""
        return {**self.wishes, **self.body} if self.wishes else self.body

    def leave(self) -> None:
        """The caller has gone: the upstream is told so, or its answer is awaited for its figures."""
        self.has_left = True
        if not self.drains:
            self.token.cancel()
