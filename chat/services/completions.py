"""The one pipeline: resolve, admit with a hold, call, relay, settle once, record. Every dialect's calls pass here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.errors import InsufficientQuota, InvalidKey, LedgerUnavailable, LimitReached, StaleResolution
from accounts.models import Outcome
from accounts.services import keys
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.types import Admission, Admitted, Settled, Settlement
from chat.errors import BadCall, NotGranted, OtherKind, UnknownModel
from chat.services import billing, bounds, idempotency, smart, snapshot
from chat.services.attempts import Opened
from chat.services.calls import Call
from chat.services.counted import counted
from chat.services.exchange import Exchange
from chat.services.plan import DEFAULT_NAME, Plan, plan
from chat.services.relay import Relay
from chat.services.snapshot import Snapshot
from chat.services.tally import Tally, says_something
from providers.requesters.base import Answer, Requester
from providers.requesters.call import CancelToken
from providers.requesters.sse import Event
from providers.services import pricing
from providers.services.choice import Need
from providers.services.routing import Target

JSON = dict[str, Any]

RESOLVE_TRIES = 10
MOST_PRIMED = 16  # events without a word; more are passed on as they come


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
        answer, exchange.tally = exchange.send(_tallied(call.endpoint.operation))
        if call.repeatable is not None:
            call.repeatable.take_answer(answer)
            call.repeatable.complete(exchange.headers)
        settled = exchange.finish(Outcome.CLIENT_CLOSED if call.has_left else Outcome.OK)
    return Done(answer, settled, exchange.headers)


def _tallied(operation: str) -> Callable[[Requester, JSON, CancelToken], tuple[Answer, Tally]]:
    """Read each answer while another deployment can still take over: one of an unknown shape is a failure, too."""

    def send(requester: Requester, body: JSON, token: CancelToken) -> tuple[Answer, Tally]:
        answer = requester.ask(operation, body, token)
        tally = Tally(settings.HISTORY_MAX_CHARS)
        tally.take_answer(answer)
        return answer, tally

    return send


def open_stream(call: Call) -> Relay:
    """Make a call and return once its answer has begun. Raises what `run` raises."""
    exchange = _begin(call, is_stream=True)
    with exchange.guarded():
        opened = exchange.send(_primed(call.endpoint.operation))
    return Relay(exchange, opened)


def _primed(operation: str) -> Callable[[Requester, JSON, CancelToken], Opened]:
    """Pull events until one says something, so that an upstream's 429 is a 429 and not a broken 200, and a stream
    that breaks before its first word is taken over by another deployment."""

    def send(requester: Requester, body: JSON, token: CancelToken) -> Opened:
        stream = requester.open(operation, body, token)
        events: list[Event] = []
        try:
            for event in stream:
                events.append(event)
                if len(events) >= MOST_PRIMED or says_something(event):
                    break
        except BaseException:
            stream.close()
            raise
        return Opened(stream, events)

    return send


def _begin(call: Call, *, is_stream: bool) -> Exchange:
    try:
        if is_stream and not call.endpoint.streams:
            raise BadCall("This endpoint does not stream.", "stream")
        return _begun(call, is_stream=is_stream)
    except BaseException:
        if call.repeatable is not None:
            idempotency.free(call.repeatable)
        raise


def _begun(call: Call, *, is_stream: bool) -> Exchange:
    admitted, chosen = _admit(call, is_stream=is_stream)
    try:
        if call.repeatable is not None:
            call.repeatable.check_claim()
        return Exchange(call, admitted, chosen)
    except BaseException:
        ledger.writer().settle(Settlement(call.request_id, call.caller.id, Outcome.GATEWAY_ERROR, error="not begun"))
        raise


def _admit(call: Call, *, is_stream: bool) -> tuple[Admitted, Plan]:
    """Resolve and hold; when the configuration moved in between, once more with what holds now."""
    picture = snapshot.current()
    for _ in range(RESOLVE_TRIES):
        if call.caller.config_version > picture.version:
            picture = snapshot.newer_than(picture.version)
        if call.caller.config_version < picture.version:
            call.caller = keys.look_up(call.caller.digest)
        picture, chosen = resolve(call, picture)
        if (router := chosen.targets[0].router) is not None:
            smart.choose(call, router, run)
            if call.repeatable is not None:
                call.repeatable.begin_anew()
            continue
        try:
            return _hold(call, chosen, picture, is_stream=is_stream)
        except StaleResolution:
            picture = snapshot.newer_than(picture.version)
            call.caller = keys.look_up(call.caller.digest)
        except InvalidKey:
            keys.forget_one(call.caller.digest)
            raise
    raise LedgerUnavailable("The configuration is being changed. Try again shortly.", retry_after=1)


def _hold(call: Call, chosen: Plan, picture: Snapshot, *, is_stream: bool) -> tuple[Admitted, Plan]:
    """A hold for the whole plan; for the name alone where its fallbacks are dearer than what the key can pay."""
    try:
        admitted = ledger.writer().admit(admission_of(call, chosen, picture, is_stream=is_stream))
    except (InsufficientQuota, LimitReached) as refusal:
        alone = chosen.without_fallbacks() if refusal.is_about_size else None
        if alone is None:
            raise
        return _hold(call, alone, picture, is_stream=is_stream)
    if admitted.options:
        chosen = chosen.only({each.deployment.place for each in admitted.options})
    return admitted, chosen


def resolve(call: Call, picture: Snapshot) -> tuple[Snapshot, Plan]:
    """Where the call may go. Raises UnknownModel."""
    chosen = plan(call, picture, need_of(call))
    return (picture, _priced(call, picture, chosen)) if chosen else _resolve_afresh(call)


def _priced(call: Call, picture: Snapshot, chosen: Plan) -> Plan:
    call.price_ratio = picture.price_ratio(call.caller)
    return billing.priced(chosen, pricing.ratio_of(call.price_ratio), time.time())


def _resolve_afresh(call: Call) -> tuple[Snapshot, Plan]:
    """No admission checks a call that leads nowhere, so look at what holds now: the model or the grant may be new."""
    picture = snapshot.fresh()
    call.caller = keys.look_up(call.caller.digest)
    chosen = plan(call, picture, need_of(call))
    if chosen is None:
        raise _unknown(call, picture)
    return picture, _priced(call, picture, chosen)


def _unknown(call: Call, picture: Snapshot) -> UnknownModel:
    name, public = call.model, call.model.partition("/")[0]
    if call.router and name == DEFAULT_NAME:
        message = f"The router `{call.router}` chose none of its models, and there is no model named `{name}`."
        return UnknownModel(message, "model", name=name)
    if kinds := picture.kinds_of(call.caller, name):
        message = f"The model `{name}` is of the kind {kinds[0]}, which this endpoint does not call."
        return OtherKind(message, "model", name=name)
    is_others = picture.has(name) or (picture.has(public) and not picture.kinds_of(call.caller, public))
    message = f"The model `{name}` does not exist or you do not have access to it."
    return (NotGranted if is_others else UnknownModel)(message, "model", name=name)


def need_of(call: Call) -> Need:
    """About what the call will use, and what keeps its session together: its own name for it, else its caller."""
    output = bounds.stated_output(call.body) * bounds.choices(call.body) if call.endpoint.has_output else 0
    session = call.session_key or call.body.get("prompt_cache_key") or ""
    affinity = f"{call.caller.id}/{session}"
    return Need(bounds.prompt_estimate(call.body, call.size), min(output, bounds.MOST_TOKENS), affinity)


def admission_of(call: Call, chosen: Plan, picture: Snapshot, *, is_stream: bool) -> Admission:
    """Ask for a hold that covers the dearest of the candidates."""
    claims, options = counted(call, picture.limits, chosen)
    targets = chosen.all
    choices = bounds.choices(call.body)
    each = max(_output_bound(call, target) for target in targets)
    prompt_bound = bounds.prompt_bound(call.body, call.size)
    price_in, price_out, price_request = billing.dearest(targets, prompt_bound)
    return Admission(
        request_id=call.request_id,
        key_id=call.caller.id,
        group_id=call.caller.group_id,
        all_models=call.caller.all_models,
        config_version=picture.version,
        endpoint=call.endpoint.name,
        is_stream=is_stream,
        deployment=billing.deployment_of(targets[0]),
        prompt_bound=prompt_bound,
        output_bound=min(each * choices, bounds.MOST_TOKENS),
        choices=choices,
        hold_price_in=price_in,
        hold_price_out=price_out,
        hold_price_request=price_request and price_request * bounds.requests_bound(call.body),
        price_ratio=call.price_ratio,
        can_lower_output=call.endpoint.has_output,
        email=call.caller.email,
        tags=call.tags,
        claims=claims,
        options=options,
    )


def _output_bound(call: Call, target: Target) -> int:
    """The most answer tokens of one choice."""
    if call.endpoint.has_output:
        return bounds.output_limit(call.asked, target)
    return bounds.unstated_output(call.endpoint.name, call.body)
