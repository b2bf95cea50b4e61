"""The one pipeline: resolve, admit with a hold, call, relay, settle once, record. Every dialect's calls pass here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.errors import InvalidKey, LedgerUnavailable, StaleResolution
from accounts.models import Outcome
from accounts.services import keys
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.types import Admission, Admitted, Settled, Settlement
from chat.errors import BadCall, UnknownModel
from chat.services import bounds, snapshot
from chat.services.calls import Call
from chat.services.exchange import Exchange, Relay, deployment_of
from providers.requesters.base import Answer, Requester, Stream
from providers.requesters.call import CancelToken
from providers.requesters.sse import Event
from providers.services.routing import Target

JSON = dict[str, Any]

RESOLVE_TRIES = 10


@dataclass(frozen=True, slots=True)
class Done:
    """A whole answer, settled."""

    answer: Answer
    settled: Settled
    headers: dict[str, str]


def run(call: Call) -> Done:
    """Make a call and wait for its whole answer. Raises Refused, CallError or ProviderError."""
    exchange = _begin(call, is_stream=False)
    with exchange.guarded():
        answer = exchange.send(call.endpoint.send)
        exchange.tally.take(answer.json)
        settled = exchange.finish(Outcome.OK)
    return Done(answer, settled, exchange.headers)


def open_stream(call: Call) -> Relay:
    """Make a call and return once its first event is here. Raises what `run` raises."""
    if call.endpoint.stream is None:
        raise BadCall("This endpoint does not stream.", "stream")
    exchange = _begin(call, is_stream=True)
    with exchange.guarded():
        stream, first = exchange.send(_primed(call.endpoint.stream))
    return Relay(exchange, stream, first)


def _primed(
    open_: Callable[[Requester, JSON, CancelToken], Stream],
) -> Callable[[Requester, JSON, CancelToken], tuple[Stream, Event | None]]:
    """Pull the first event before the answer starts, so that an upstream's 429 is a 429 and not a broken 200."""

    def send(requester: Requester, body: JSON, token: CancelToken) -> tuple[Stream, Event | None]:
        stream = open_(requester, body, token)
        try:
            return stream, next(stream, None)
        except BaseException:
            stream.close()
            raise

    return send


def _begin(call: Call, *, is_stream: bool) -> Exchange:
    admitted, targets = _admit(call, is_stream=is_stream)
    try:
        return Exchange(call, admitted, targets)
    except BaseException:
        ledger.writer().settle(Settlement(call.request_id, call.caller.id, Outcome.GATEWAY_ERROR, error="not begun"))
        raise


def _admit(call: Call, *, is_stream: bool) -> tuple[Admitted, list[Target]]:
    """Resolve and hold; when the configuration moved in between, once more with what holds now."""
    picture = snapshot.current()
    for _ in range(RESOLVE_TRIES):
        if call.caller.config_version > picture.version:
            picture = snapshot.newer_than(picture.version)
        if call.caller.config_version < picture.version:
            call.caller = keys.look_up(call.caller.digest)
        targets = _resolve(call, picture)
        if not targets:
            picture, targets = _resolve_afresh(call)
        admission = _admission(call, targets, picture.version, is_stream=is_stream)
        try:
            return ledger.writer().admit(admission), targets
        except StaleResolution:
            picture = snapshot.newer_than(picture.version)
            call.caller = keys.look_up(call.caller.digest)
        except InvalidKey:
            keys.forget_one(call.caller.digest)
            raise
    raise LedgerUnavailable("The configuration is being changed. Try again shortly.", retry_after=1)


def _resolve(call: Call, picture: snapshot.Snapshot) -> list[Target]:
    targets = picture.candidates(call.caller, call.endpoint.kind, call.model)
    if call.model_id is not None:
        targets = [target for target in targets if target.model_id == call.model_id]
    return targets


def _resolve_afresh(call: Call) -> tuple[snapshot.Snapshot, list[Target]]:
    """No admission checks a call that leads nowhere, so look at what holds now: the model or the grant may be new."""
    picture = snapshot.fresh()
    call.caller = keys.look_up(call.caller.digest)
    targets = _resolve(call, picture)
    if not targets:
        raise UnknownModel(f"The model `{call.model}` does not exist or you do not have access to it.", "model")
    return picture, targets


def _admission(call: Call, targets: list[Target], version: int, *, is_stream: bool) -> Admission:
    """Ask for a hold that covers the dearest of the candidates."""
    choices = bounds.choices(call.body)
    each = max(bounds.output_limit(call.body, target) for target in targets) if call.endpoint.has_output else 0
    return Admission(
        request_id=call.request_id,
        key_id=call.caller.id,
        group_id=call.caller.group_id,
        all_models=call.caller.all_models,
        config_version=version,
        endpoint=call.endpoint.name,
        is_stream=is_stream,
        deployment=deployment_of(targets[0]),
        prompt_bound=bounds.prompt_bound(call.body, call.size),
        output_bound=min(each * choices, bounds.MOST_TOKENS),
        choices=choices,
        # Writing a vendor's cache may cost more than plain input.
        hold_price_in=max(max(target.prices[0] or 0, target.prices[3] or 0) for target in targets),
        hold_price_out=max(target.prices[1] or 0 for target in targets),
        can_lower_output=call.endpoint.has_output,
    )
