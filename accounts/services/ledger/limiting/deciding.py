"""The rules of limits, on counters that the batch brings: who is let in, what is held, and what a call has used."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from accounts.errors import LimitReached
from accounts.models import Action, Metric, Outcome, Subject
from accounts.services.ledger.holds import Need, covered_output, hold_for
from accounts.services.ledger.limiting import telling
from accounts.services.ledger.limiting.counters import Counter, CounterKey, Counters, Notice
from accounts.services.ledger.limiting.rules import Claim
from accounts.services.ledger.limiting.windows import start_of, told_window
from accounts.services.ledger.types import Admission, Option, Place, Settlement

NEEDS: dict[str, Need] = {
    Metric.COST: hold_for,
    Metric.REQUESTS: lambda admission, output: 1,
    Metric.INPUT_TOKENS: lambda admission, output: admission.prompt_bound,
    Metric.OUTPUT_TOKENS: lambda admission, output: output,
    Metric.TOKENS: lambda admission, output: admission.prompt_bound + output,
    Metric.PARALLEL: lambda admission, output: 1,
}
CAP_OUTPUT = frozenset({Metric.OUTPUT_TOKENS, Metric.TOKENS})
NEARLY_ALL_PERCENT, ALL_PERCENT = 90, 100
# An admitted call counts as a request whatever came of it, unless the gateway itself never sent it.
NEVER_SENT = frozenset({Outcome.GATEWAY_ERROR, Outcome.SERVER_STOPPED})


class Entry(TypedDict):
    """What a charge remembers of one limit that it counted against: all that its settlement and its reader need, even
    when the limit is gone. Amounts are units of 10^-10 USD, or counts. `used` is what the call came to, and `over`
    what it used beyond the limit, which counts nowhere."""

    limit: int
    name: str
    metric: str
    window: str
    sliding: bool
    action: str
    most: int
    thresholds: Sequence[int]
    member: str
    of: Sequence[str] | None
    starts_at: str
    used_before: int
    held_before: int
    held: int
    used: int
    over: int
    used_after: int | None


# Letting in


def shorten(admission: Admission, claims: Iterable[Claim], counters: Counters, output: int) -> int:
    """The most answer tokens, up to `output`, that all of these limits cover; raises LimitReached."""
    refusing: list[Claim] = []
    for claim in claims:
        if claim.rule.is_blocking:
            covered = covered_output(admission, NEEDS[claim.rule.metric], counters.left(claim), output)
            if covered is None:
                refusing.append(claim)
            else:
                output = covered
    if refusing:
        _notice_refused(refusing, counters)
        raise max((_refusal(admission, claim, counters, output) for claim in refusing), key=_lasting)
    return output


def _refusal(admission: Admission, claim: Claim, counters: Counters, output: int) -> LimitReached:
    least = min(admission.choices, output) if admission.can_lower_output else output
    return telling.refusal(claim, counters, NEEDS[claim.rule.metric](admission, least))


def _lasting(error: LimitReached) -> float:
    return float("inf") if error.retry_after is None else error.retry_after


def choose(admission: Admission, counters: Counters, output: int) -> tuple[tuple[Option, ...], int]:
    """The places whose own limits take the call whole; else the first that takes it with a shorter answer.

    Raises the first one's LimitReached when there is none among those that the call may go to at first.
    """
    if not admission.options:
        return (), output
    shorter = [(option, _shortened(admission, option, counters, output)) for option in admission.options]
    whole = tuple(option for option, covered in shorter if covered == output)
    if any(option.is_first for option in whole):
        return whole, output
    for option, covered in shorter:
        if option.is_first and isinstance(covered, int):
            return (option,), covered
    raise next(error for option, error in shorter if option.is_first and isinstance(error, LimitReached))


def _shortened(admission: Admission, option: Option, counters: Counters, output: int) -> int | LimitReached:
    try:
        return shorten(admission, option.claims, counters, output)
    except LimitReached as refusal:
        return refusal


def hold(admission: Admission, claims: Iterable[Claim], counters: Counters, output: int) -> list[Entry]:
    """Take what the call may use at most from each of these limits."""
    entries = []
    for claim in claims:
        counter, need = counters.of(claim), NEEDS[claim.rule.metric](admission, output)
        entries.append(_entry(claim, counters, counter, need))
        counter.add(held=need)
        if claim.rule.metric == Metric.PARALLEL:
            _notice(entries[-1], counter.held, need, counters)
    return entries


def _entry(claim: Claim, counters: Counters, counter: Counter, need: int) -> Entry:
    rule = claim.rule
    used, held = counters.taken(claim)
    return Entry(
        limit=rule.id,
        name=rule.name,
        metric=rule.metric,
        window=rule.window,
        sliding=rule.is_sliding,
        action=rule.action,
        most=rule.most,
        thresholds=rule.thresholds,
        member=claim.member,
        of=claim.of,
        starts_at=counters.clock.text_of(counter.starts_at),
        used_before=used,
        held_before=held,
        held=need,
        used=0,
        over=0,
        used_after=None,
    )


# Settling


@dataclass(slots=True)
class Due:
    """An entry whose call is over, taken out of its counter. `most` is how much it may count; None: all of it."""

    entry: Entry
    counter: Counter | None
    applies: bool
    most: int | None


def key_of(entry: Entry) -> CounterKey:
    return entry["limit"], entry["member"], datetime.fromisoformat(entry["starts_at"])


def take_out(entries: Iterable[Entry], was_held: bool, served: Place, counters: Counters) -> list[Due]:
    """Give back what was held, or what a sweep had guessed."""
    provider_id, model_name = served
    whose = ([Subject.PROVIDER, str(provider_id)], [Subject.MODEL, model_name])
    return [_take_out(entry, was_held, entry["of"] is None or entry["of"] in whose, counters) for entry in entries]


def _take_out(entry: Entry, was_held: bool, applies: bool, counters: Counters) -> Due:
    counter = counters.find(key_of(entry))
    present = entry["held"] if was_held else entry["used"]
    most = None
    if counter is not None:
        counter.add(held=-present) if was_held else counter.add(used=-present)
        if entry["action"] == Action.BLOCK:
            # Of a window that slides, any later one may be full by now: there no call gets more than it had.
            free = 0 if entry["sliding"] else entry["most"] - counter.taken
            most = max(present, free)
    return Due(entry, counter, applies, most)


def most_fee(dues: Iterable[Due]) -> int | None:
    """What the call may cost within its limits, in units; None: anything."""
    caps = [due.most for due in dues if due.entry["metric"] == Metric.COST and due.applies and due.most is not None]
    return min(caps, default=None)


def count(dues: Sequence[Due], settlement: Settlement, fee: int, counters: Counters) -> list[Entry]:
    """Put what the call has used in its counters and in its entries; answers those."""
    for due in dues:
        real = USED[due.entry["metric"]](settlement, fee) if due.applies else 0
        used = real if due.most is None else min(real, due.most)
        due.entry["used"], due.entry["over"] = used, real - used
        if due.counter is not None:
            due.counter.add(used=used)
            now_used = due.entry["used_after"] = _used_now(due.entry, due.counter, counters)
            _notice(due.entry, now_used, used, counters)
    return [due.entry for due in dues]


USED: dict[str, Callable[[Settlement, int], int]] = {
    Metric.COST: lambda settlement, fee: fee,
    Metric.REQUESTS: lambda settlement, fee: int(not (settlement.is_release and settlement.outcome in NEVER_SENT)),
    Metric.INPUT_TOKENS: lambda settlement, fee: settlement.tokens.prompt,
    Metric.OUTPUT_TOKENS: lambda settlement, fee: settlement.tokens.output,
    Metric.TOKENS: lambda settlement, fee: settlement.tokens.prompt + settlement.tokens.output,
    Metric.PARALLEL: lambda settlement, fee: 0,
}


def _used_now(entry: Entry, counter: Counter, counters: Counters) -> int:
    if not entry["sliding"]:
        return counter.used
    return counters.span((entry["limit"], entry["member"])).used


def _notice(entry: Entry, level: int, added: int, counters: Counters) -> None:
    """Note the thresholds that this addition reached: once in each window, and in each day where there is none."""
    if entry["action"] == Action.OBSERVE:
        return
    for percent in entry["thresholds"]:
        reached = percent * entry["most"]
        if (level - added) * 100 < reached <= level * 100:
            start = _notice_start(entry, counters)
            counters.notices.append(Notice(entry["limit"], entry["member"], start, percent, level))


def _notice_start(entry: Entry, counters: Counters) -> datetime:
    if entry["sliding"] or entry["metric"] == Metric.PARALLEL:
        return start_of(told_window(entry["metric"], entry["window"]), counters.clock.now)
    return datetime.fromisoformat(entry["starts_at"])


def _notice_refused(claims: Iterable[Claim], counters: Counters) -> None:
    """A limit of cost or tokens is seldom used to its last unit: to people it is, once a call finds too little."""
    for claim in claims:
        rule, used = claim.rule, counters.taken(claim)[0]
        is_full = rule.metric not in telling.COUNTED_WHILE_HELD and used * 100 > NEARLY_ALL_PERCENT * rule.most
        if is_full and ALL_PERCENT in rule.thresholds:
            start = start_of(rule.window, counters.clock.now)
            counters.notices.append(Notice(*claim.line, start, ALL_PERCENT, used))
