"""What a caller is told of limits: why a call is refused and when to come back, how much is left, and warnings."""

from collections.abc import Iterable
from datetime import datetime
from math import ceil
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone

from accounts.errors import BudgetReached, LimitReached
from accounts.models import Action, Metric, Window
from accounts.services.ledger.limiting.counters import Counters
from accounts.services.ledger.limiting.rules import Claim, Rule
from accounts.services.ledger.limiting.windows import LENGTHS, SLOT_LENGTHS
from common.money import show

UNITS: dict[str, str] = {
    Metric.COST: "USD",
    Metric.REQUESTS: "requests",
    Metric.INPUT_TOKENS: "input tokens",
    Metric.OUTPUT_TOKENS: "output tokens",
    Metric.TOKENS: "tokens",
    Metric.PARALLEL: "parallel calls",
}
IN_WINDOW: dict[str, str] = {
    Window.SECOND: "a second",
    Window.MINUTE: "a minute",
    Window.HOUR: "an hour",
    Window.DAY: "a day",
    Window.WEEK: "a week",
    Window.MONTH: "a month",
    Window.TOTAL: "in total",
}
SHORT = frozenset({Window.SECOND, Window.MINUTE, Window.HOUR})  # who is refused may wait for these to turn
COUNTED_WHILE_HELD = frozenset({Metric.REQUESTS, Metric.PARALLEL})  # what is held of them is as good as used
# OpenAI's names; of several limits of a sort the tightest is told.
RATES = {
    "requests": frozenset({Metric.REQUESTS}),
    "tokens": frozenset({Metric.TOKENS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS}),
}
HEADER_SAFE = " /:@._-()"
SECONDS_A_DAY = 86_400
PARALLEL_RETRY_SECONDS = 1


def amount(rule: Rule, number: int) -> str:
    """So much of what the limit counts, for people."""
    unit = UNITS[rule.metric]
    if rule.metric == Metric.COST:
        return f"{show(number)} {unit}"
    return f"{number} {unit.removesuffix('s') if number == 1 else unit}"


def level_of(metric: str, used: int, held: int) -> int:
    """What counts as used: of what runs at the same time, or is counted when it begins, also what is held."""
    return used + held if metric in COUNTED_WHILE_HELD else used


def percent_of(most: int, level: int) -> int:
    """Of a limit of nothing all is used from the beginning."""
    return level * 100 // most if most else 100


def refusal(claim: Claim, counters: Counters, need: int) -> LimitReached:
    """Why a call that needs at least so much is not let in."""
    rule, left = claim.rule, max(counters.left(claim), 0)
    is_too_large = need > rule.most
    wait = None if is_too_large else _wait(claim, counters, need)
    asked = "" if need == 1 else f", and this call may use {amount(rule, need)}"
    per = "at a time" if rule.metric == Metric.PARALLEL else IN_WINDOW[rule.window]
    message = (
        f"The limit `{rule.name}` allows {amount(rule, rule.most)} {per}; "
        f"left: {amount(rule, left)}{asked}. {_what_to_do(rule, wait, is_too_large, counters.clock.now)}"
    )
    is_budget = rule.metric == Metric.COST and rule.window not in SHORT
    error = (BudgetReached if is_budget else LimitReached)(message, None if wait is None else max(ceil(wait), 1))
    error.is_about_size = rule.metric not in COUNTED_WHILE_HELD
    if is_too_large or not (rule.window in SHORT or rule.metric == Metric.PARALLEL):
        error.headers["x-should-retry"] = "false"
    return error


def _wait(claim: Claim, counters: Counters, need: int) -> float | None:
    """Seconds until so much will be free, if nothing else is let in and nothing is given back; None: never."""
    rule, now = claim.rule, counters.clock.now
    if rule.metric == Metric.PARALLEL:
        return PARALLEL_RETRY_SECONDS
    if not rule.is_sliding:
        return counters.clock.reset_of(rule.window)
    free = counters.left(claim)
    for slot in sorted(counters.span(claim.line).slots, key=lambda slot: slot.starts_at):
        free += slot.taken
        if free >= need:
            return (slot.starts_at + SLOT_LENGTHS[rule.window] + LENGTHS[rule.window] - now).total_seconds()
    return LENGTHS[rule.window].total_seconds()


def _what_to_do(rule: Rule, wait: float | None, is_too_large: bool, now: datetime) -> str:
    if not rule.most:
        return "It lets nothing in: ask whoever runs this gateway."
    if is_too_large:
        return "A call of this size never fits in it: send less, or ask for a shorter answer."
    if rule.metric == Metric.PARALLEL:
        return "Wait until one of the running calls has ended."
    if wait is None:
        return "It does not begin anew: ask whoever runs this gateway to raise it."
    verb = "Enough of it is free" if rule.is_sliding else "It begins anew"
    if wait < SECONDS_A_DAY:
        return f"{verb} in {duration(wait)}."
    moment = datetime.fromtimestamp(now.timestamp() + wait, timezone.get_default_timezone())
    return f"{verb} on {moment:%Y-%m-%d} at {moment:%H:%M} ({settings.TIME_ZONE})."


def duration(seconds: float) -> str:
    """As OpenAI writes it: 12s, 1m3s, 6m0s, 2h0m5s."""
    minutes, rest = divmod(max(ceil(seconds), 1), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def headers(claims: Iterable[Claim], counters: Counters) -> dict[str, str]:
    """How much is left of requests and tokens, and warnings; for every answer, whatever it is."""
    told: dict[str, str] = {}
    blocking = [claim for claim in claims if claim.rule.is_blocking]
    for sort, metrics in RATES.items():
        rates = [(counters.left(claim), claim) for claim in blocking if claim.rule.metric in metrics]
        if rates:
            left, tightest = min(rates, key=lambda rate: rate[0])
            told |= _rate(sort, tightest, left, counters)
    warnings = [_warning(claim, counters) for claim in claims if claim.rule.action == Action.WARN]
    if any(warnings):
        told["x-weighbridge-warning"] = ", ".join(filter(None, warnings))
    return told


def _rate(sort: str, claim: Claim, left: int, counters: Counters) -> dict[str, str]:
    told = {
        f"x-ratelimit-limit-{sort}": str(claim.rule.most),
        f"x-ratelimit-remaining-{sort}": str(max(left, 0)),
    }
    reset = _wait(claim, counters, claim.rule.most)
    return told if reset is None else {**told, f"x-ratelimit-reset-{sort}": duration(reset)}


def _warning(claim: Claim, counters: Counters) -> str:
    """Empty below the first threshold. The name is a person's, so only harmless characters go in a header."""
    rule = claim.rule
    percent = percent_of(rule.most, level_of(rule.metric, *counters.taken(claim)))
    is_past = rule.thresholds and percent >= rule.thresholds[0]
    return f"{quote(rule.name, HEADER_SAFE)} at {percent} %" if is_past else ""
