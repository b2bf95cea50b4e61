"""One admitted call, from its hold to its fee: whom it is sent to, what came of it, and settling it exactly once."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings

from accounts.models import Outcome, UsageSource
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.types import Admitted, Settled, Settlement, Tokens
from chat.services import abilities, billing, bounds, tokenizing
from chat.services.attempts import Attempts, Reply
from chat.services.calls import Call
from chat.services.conversations import Record, record_of
from chat.services.plan import Plan
from chat.services.tally import Tally
from common.money import show
from providers.models import UnknownParams
from providers.requesters.base import Requester
from providers.requesters.call import CancelToken
from providers.requesters.errors import BadRequest, Cancelled, ProviderError
from providers.requesters.usage import Usage
from providers.services.routing import Access, Target

logger = logging.getLogger(__name__)
JSON = dict[str, Any]
Sent = TypeVar("Sent")
Send = Callable[[Requester, JSON, CancelToken], Sent]
# OpenAI's codes, and those of servers that follow it.
UNKNOWN_CODES = frozenset({"unsupported_parameter", "unknown_parameter", "unrecognized_parameter"})
# What the answer would be another one without. A refusal of these may be about the one body that had them.
NEEDED = frozenset(
    {
        *("model", "messages", "prompt", "input", "query", "documents", "file", "stream", "stream_options", "n"),
        *("tools", "tool_choice", "functions", "function_call", "response_format", "modalities", "voice"),
    }
)
# Other ways to say how much a model should think: beside one of them a row's effort would be refused, or undo it.
SAYS_EFFORT = frozenset({"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget"})
PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_NAMED = 20
REFUSED = 400  # from this status on nothing was made, so nothing is billed


class Exchange:
    """Holds what the settlement will need. Every path out of it ends in `finish`, which acts once."""

    def __init__(self, call: Call, admitted: Admitted, plan: Plan) -> None:
        self.call = call
        self.admitted = admitted
        self.expected = plan.targets[0]
        self.target = plan.targets[0]
        self.attempts = Attempts(call, plan)
        self._unrefused = 0  # requests that a vendor may bill
        self.first_byte_ms: int | None = None
        self.settled: Settled | None = None
        self.tally = Tally(settings.HISTORY_MAX_CHARS)
        self.headers = call.headers = dict(admitted.headers)
        self.dropped: tuple[str, ...] = ()
        self._page = ledger.writer().page
        self._slot = self._page.take(call.request_id, bounds.prompt_estimate(call.body, call.size))

    def send(self, send: Send[Sent]) -> Sent:
        """The first answer of the deployments that are tried in turn."""
        try:
            wishes = self.call.wishes
            reply = self.attempts.send(lambda target, access, token: self._send_to(target, access, token, send, wishes))
        except ProviderError as error:
            error.headers.update({**self.admitted.headers, **self._route_header()})
            raise
        self.target, self.dropped, self.first_byte_ms = reply.target, reply.dropped, self._elapsed_ms()
        self._tell(reply)
        sent: Sent = reply.value
        return sent

    def _send_to(self, target: Target, access: Access, token: CancelToken, send: Send[Sent], wishes: JSON) -> Reply:
        """May run beside another one of the same call, so what it finds goes with the reply."""
        self.target = target  # whom to charge for what was asked, should the caller leave now
        body, headers = self._body_for(target, wishes)
        body, dropped = self._known_to(target, access.requester, body)
        self._page.sent(self._slot)
        self._unrefused += 1
        started = time.monotonic()
        try:
            sent = send(access.requester, body, token)
        except ProviderError as error:
            self._unrefused -= bool(error.upstream_status and error.upstream_status >= REFUSED)
            if _learn(target, body, error):
                return self._send_to(target, access, token, send, wishes)
            if type(error) is not BadRequest or wishes.keys().isdisjoint(body):
                raise
            return self._send_to(target, access, token, send, {})
        dropped = (*dropped, *(self.call.wishes.keys() - wishes.keys()))
        return Reply(target, sent, dropped, headers, int((time.monotonic() - started) * 1000))

    def _body_for(self, target: Target, wishes: JSON) -> tuple[JSON, dict[str, str]]:
        """What this deployment is asked, and what the caller should be told about it."""
        body = {**target.extra_args, **wishes, **self.call.body, **target.pinned, "model": target.upstream_name}
        if target.reasoning_effort and self.call.endpoint.name == "chat" and SAYS_EFFORT.isdisjoint(body):
            body["reasoning_effort"] = target.reasoning_effort
        if not self.call.endpoint.has_output:
            return body, {}
        # Where nobody states a limit, some requesters set one that has room for the thought beside the answer.
        if target.requires_max_tokens or (target.max_output and bounds.thinking_budget(body)):
            body = bounds.limited(body, target, bounds.output_limit(self.call.asked, target))
        return self._within_hold(body, target)

    def _within_hold(self, body: JSON, target: Target) -> tuple[JSON, dict[str, str]]:
        """The body with an answer that the hold covers, and a header where that is less than was asked."""
        if not (self.admitted.caps_tokens or (self.admitted.is_limited and billing.costs_output(target))):
            return body, {}
        body = {name: value for name, value in body.items() if name not in bounds.OUTPUT_ALIASES}
        covered = self.admitted.output_bound // bounds.choices(self.call.body)
        asked = bounds.output_limit(self.call.asked, target)
        if covered < asked:
            return bounds.limited(body, target, covered), {"x-weighbridge-max-tokens": str(covered)}
        if target.max_output or any(body.get(name) for name in bounds.OUTPUT_FIELDS):
            return body, {}  # something else already keeps the answer within the hold
        return bounds.limited(body, target, covered), {}

    def _known_to(self, target: Target, requester: Requester, body: JSON) -> tuple[JSON, tuple[str, ...]]:
        """The body without what this upstream turned out not to know, or this model can't take, and the names of all
        that it does not get."""
        body, withheld = abilities.fitted(body, target.withholds) if target.withholds else (body, [])
        unknown = [
            *withheld,
            *requester.left_out(self.call.endpoint.operation, body),
            *(name for name in body if name in target.learned),
        ]
        if not unknown:
            return body, ()
        asked = [name for name in unknown if name in self.call.body or name in withheld]  # not by the row alone
        if asked and target.unknown_params == UnknownParams.REFUSE:
            raise UnknownParameter(_refusal(target, withheld, asked), param=asked[0])
        known = {name: value for name, value in body.items() if name not in target.learned}
        renamed = _limits_renamed(body, target)
        left_out = [name for name in unknown if not (renamed and name in bounds.OUTPUT_FIELDS)]
        return {**known, **renamed}, tuple(left_out)

    def _tell(self, reply: Reply) -> None:
        """The names are the caller's, so only harmless ones go in a header."""
        self.headers.update({**self._route_header(), **reply.headers})
        dropped = [name for name in reply.dropped if PARAMETER.fullmatch(name)]
        if dropped:
            self.headers["x-weighbridge-dropped"] = ", ".join(dropped[:MOST_NAMED])

    def _route_header(self) -> dict[str, str]:
        route = self.attempts.route
        return {"x-weighbridge-route": route} if route else {}

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever goes wrong inside settles the call before it is told."""
        try:
            yield
        except Cancelled as error:
            self.finish(Outcome.CLIENT_CLOSED, str(error))
            raise
        except ProviderError as error:
            is_callers = isinstance(error, BadRequest)
            self.finish(Outcome.BAD_REQUEST if is_callers else Outcome.UPSTREAM_ERROR, str(error))
            raise
        except BaseException as error:
            self.finish(Outcome.GATEWAY_ERROR, type(error).__name__)
            raise

    def produced(self) -> None:
        """Write down how far the answer has come, where a kill does not reach it."""
        self._page.produced(self._slot, self.tally.events)

    def finish(self, outcome: Outcome, error: str = "") -> Settled:
        """Settle, once; later calls return the first result."""
        if self.settled is None:
            settlement = self._settlement(outcome, error)
            self.settled = Settled(settlement)
            self.attempts.done(settlement.tokens.prompt + settlement.tokens.output)
            self.settled = ledger.writer().settle(self.settled.settlement)
            # Without an id it still waits for its database, and a kill must find the call on its page.
            if self.settled.charge_id:
                self._page.give_back(self._slot)
                self.headers["x-weighbridge-cost"] = show(self.settled.fee)
        return self.settled

    def _settlement(self, outcome: Outcome, error: str) -> Settlement:
        tokens, source = self._usage(outcome)
        return Settlement(
            request_id=self.call.request_id,
            key_id=self.call.caller.id,
            outcome=outcome,
            deployment=billing.served_by(self.target, self.expected, tokens),
            tokens=tokens,
            usage_source=source,
            error=error,
            attempts=max(self.attempts.count, 1),
            route=self._route_note(),
            first_byte_ms=self.first_byte_ms,
            total_ms=self._elapsed_ms(),
            record=self._record(),
            answer=self.call.repeatable,
        )

    def _route_note(self) -> str:
        """What is worth keeping: a detour, and what was left out where that is to be reported."""
        route = self.attempts.route if self.attempts.count > 1 else ""
        if self.dropped and self.target.unknown_params == UnknownParams.REPORT:
            return f"{route}; left out: {', '.join(self.dropped)}".removeprefix("; ").replace("\0", "")
        return route

    def _record(self) -> Record | None:
        try:
            return record_of(self.call.body, self.call.endpoint.name, self.call.session_key, self.tally)
        except Exception:  # what can't be recorded must still be paid
            logger.exception("%s: its text could not be recorded", self.call.request_id)
            return None

    def _usage(self, outcome: Outcome) -> tuple[Tokens, UsageSource]:
        """What was used. A failed call that brought nothing is free; one whose caller left before the answer began
        is charged for its prompt, if a vendor has read it and will bill it."""
        reported = Usage.from_openai(self.tally.usage) if self.tally.usage else None
        if reported is not None:
            return self._told_apart(_tokens(reported), reported), UsageSource.REPORTED
        came = self.tally.events or outcome == Outcome.OK
        if came or (outcome == Outcome.CLIENT_CLOSED and self._unrefused):
            counted = Tokens(self._sent_prompt(), output=tokenizing.answer_tokens(self.tally))
            return self._told_apart(counted, None), UsageSource.ESTIMATED
        return Tokens(), UsageSource.NONE

    def _told_apart(self, tokens: Tokens, usage: Usage | None) -> Tokens:
        return billing.told_apart(tokens, usage, self.tally.usage, self.target)

    def _sent_prompt(self) -> int:
        """Tokens of what the model got, should that be less than was asked."""
        body, withheld = self.call.body, self.target.withholds
        return tokenizing.prompt_tokens(
            abilities.fitted(body, withheld)[0] if withheld else body, self.call.endpoint.name
        )

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self.call.started) * 1000)


class UnknownParameter(BadRequest):
    """A parameter that this deployment does not know, and must not be asked without; another one may know it."""

    retryable = True


def _refusal(target: Target, withheld: list[str], asked: list[str]) -> str:
    if withheld:
        return f"{target.name} on {target.provider_name} does not take {', '.join(asked)}"
    return f"{target.provider_name} does not know {', '.join(asked)}"


def _learn(target: Target, body: JSON, error: ProviderError) -> bool:
    """Whether the upstream refused a parameter that it can do without; from now on it does not get it."""
    name = error.param if isinstance(error, BadRequest) and error.upstream_code in UNKNOWN_CODES else None
    if name is None or name not in body or name in NEEDED or name in target.learned:
        return False
    if target.unknown_params == UnknownParams.REFUSE or _is_last_limit(name, target):
        return False
    target.learned.add(name)
    return True


def _is_last_limit(name: str, target: Target) -> bool:
    """Without any limit an answer could outgrow its hold: one of the two fields has to stay."""
    return name in bounds.OUTPUT_FIELDS and not target.learned.isdisjoint(bounds.OUTPUT_FIELDS)


def _limits_renamed(body: JSON, target: Target) -> JSON:
    """The answer's limit under its other name, where the upstream does not know the one it came by (OpenAI's reasoning
    models refuse `max_tokens`): it may be what keeps the answer within its hold."""
    stated = [body[name] for name in bounds.OUTPUT_FIELDS if body.get(name)]
    if not stated or target.learned.isdisjoint(bounds.OUTPUT_FIELDS):
        return {}
    return {name: min(stated) for name in bounds.OUTPUT_FIELDS if name not in target.learned}


def _tokens(usage: Usage) -> Tokens:
    inputs = (usage.input_tokens, usage.cached_read_tokens, usage.cached_write_tokens)
    return Tokens(*inputs, usage.output_tokens, usage.reasoning_tokens)
