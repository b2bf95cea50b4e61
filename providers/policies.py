"""What a model's extra arguments do: most are sent with each call, a few say how it is made and go no further.

Those that steer are names that OpenAI's SDKs, LiteLLM and others keep for themselves: `request_policy`, an object of
the settings below, `timeout`, `num_retries`, `max_retries`, `reasoning_config`; of a reranker `rerank_url` and
`rerank_path`, too. `extra_body` is laid over what is sent, as OpenAI's SDKs do. Only a row's own steer: a caller's
fields of these names are parameters like any other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from django.db.models import TextChoices

from providers.requesters.call import Timeouts
from providers.requesters.errors import EgressRefused
from providers.requesters.forms import Endpoint
from providers.requesters.rerank_address import OPERATORS_ONLY, PATH, URL, address

JSON = dict[str, Any]
Place = tuple[str, Any]  # a provider's address and its settings

RERANK = "rerank"
POLICY, REASONING, BODY = "request_policy", "reasoning_config", "extra_body"
MOST_RETRIES = 5
LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400
TIMERS = ("connect", "first_byte", "idle", "total")
# What the hold is computed from, and what the gateway sets itself.
RESERVED = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options", "n", "best_of"})


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and value is not True and LEAST_SECONDS <= value <= MOST_SECONDS


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_retries(value: Any) -> bool:
    return _is_whole(value) and 0 <= value <= MOST_RETRIES


@dataclass(frozen=True, slots=True)
class Setting:
    """What a value must be, how to ask for it, and what it sets here: timers, or fields of the policy."""

    is_good: Callable[[Any], bool]
    wanted: str
    sets: tuple[str, ...] = ()


def _seconds(*sets: str) -> Setting:
    return Setting(_is_seconds, f"a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}", sets)


RETRIES = Setting(_is_retries, f"a whole number from 0 to {MOST_RETRIES}", ("retries",))
ANYTHING = Setting(lambda value: True, "")
# The later wins, so the broad come before the narrow.
ARGUMENTS: dict[str, Setting] = {
    "max_retries": RETRIES,
    "num_retries": RETRIES,
    "timeout": _seconds("first_byte", "idle"),
}
SETTINGS: dict[str, Setting] = {
    "read_timeout": _seconds("first_byte", "idle"),
    "first_event_timeout": _seconds("first_byte"),
    "stream_idle_timeout": _seconds("idle"),
    "connect_timeout": _seconds("connect"),
    "total_timeout": _seconds("total"),
    "retries": RETRIES,
    "backoff_base": _seconds("first_pause"),
    "backoff_max": _seconds("longest_pause"),
    # A request is written in one go, and a connection is never waited for: there is nothing to time.
    "write_timeout": _seconds(),
    "pool_timeout": _seconds(),
    # What these put in a request, a provider's own headers say here.
    "attribution": ANYTHING,
    "conversation_header": ANYTHING,
}
STEERING = frozenset({POLICY, REASONING, BODY, *ARGUMENTS, *OPERATORS_ONLY})


class ReasoningEffort(TextChoices):
    """The inner form's efforts."""

    NONE = "none", "None"
    MINIMAL = "minimal", "Minimal"
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    XHIGH = "xhigh", "Extra high"


# A reasoning level as an effort, which is what the inner form has for it.
EFFORTS = {
    "provider_default": "",
    "disabled": "none",
    "enabled": "medium",
    **{level: level for level in ("minimal", "low", "medium", "high", "xhigh")},
    "max": "xhigh",
}
# The most tokens of thought that an effort stands for; what is beyond them is a high one.
BUDGETS = ((1024, "minimal"), (4096, "low"), (16_384, "medium"))


@dataclass(frozen=True, slots=True)
class Policy:
    """`sends` goes upstream; the rest is how. None and empty: as the provider says, or as usual. Pauses in seconds."""

    sends: JSON
    timeouts: Timeouts | None = None
    retries: int | None = None
    first_pause: float | None = None
    longest_pause: float | None = None
    reasoning_effort: str = ""
    pinned: JSON = field(default_factory=dict)  # sent whatever the caller says


def split(extra_args: Any, kind: str) -> Policy:
    """A stored row's arguments. What is wrong with them, as a row from before the rules may have it, counts for
    nothing: calls must go on."""
    args = extra_args if isinstance(extra_args, dict) else {}
    pinned = {name: args.get(name) for name in (URL, PATH)} if kind == RERANK else {}
    if STEERING.isdisjoint(args):
        return Policy(args, pinned=pinned)
    said = dict(_said(args, ARGUMENTS)) | dict(_said(_object(args, POLICY), SETTINGS))
    timers: list[float] = [said.get(timer, inf) for timer in TIMERS]
    return Policy(
        sends={name: args[name] for name in args if name not in STEERING} | _object(args, BODY),
        timeouts=Timeouts(*timers) if min(timers) < inf else None,
        retries=said.get("retries"),
        first_pause=said.get("first_pause"),
        longest_pause=said.get("longest_pause"),
        reasoning_effort=effort_of(_object(args, REASONING)),
        pinned=pinned,
    )


def effort_of(reasoning: Mapping[str, Any]) -> str:
    """The reasoning effort that a level (with `enabled`: and a budget of tokens) comes to; empty: the vendor's own."""
    budget: Any = reasoning.get("budget_tokens")
    if reasoning.get("level") == "enabled" and _is_whole(budget):
        return next((effort for most, effort in BUDGETS if budget <= most), "high")
    return EFFORTS.get(str(reasoning.get("level")), "")


def _object(args: Mapping[str, Any], name: str) -> JSON:
    value = args.get(name)
    return value if isinstance(value, dict) else {}


def _said(given: Mapping[str, Any], table: Mapping[str, Setting]) -> Iterator[tuple[str, Any]]:
    for name, setting in table.items():
        value = given.get(name)
        if value is not None and setting.is_good(value):
            yield from ((each, value) for each in setting.sets)


# What is wrong with them


def problems(extra_args: Mapping[str, Any], kind: str, place: Place | None) -> list[str]:
    """In words, each about one argument. `place` is where its calls go, if that is known: a reranker's own URL must not
    lead its provider's key away from there."""
    policy = extra_args.get(POLICY)
    return [
        *_not_ours(extra_args),
        *_wrong(extra_args, ARGUMENTS, ""),
        *(_wrong(policy, SETTINGS, f"{POLICY}.") if isinstance(policy, dict) else _no_object(extra_args, POLICY)),
        *_unknown(policy),
        *_wrong_reasoning(extra_args),
        *_no_object(extra_args, BODY),
        *_wrong_address(extra_args, kind, place),
    ]


def _not_ours(args: Mapping[str, Any]) -> Iterator[str]:
    if taken := sorted(RESERVED & {*args, *_object(args, BODY)}):
        yield f"These are the caller's or the gateway's: {', '.join(taken)}."


def _wrong(given: Mapping[str, Any], table: Mapping[str, Setting], prefix: str) -> Iterator[str]:
    for name, setting in table.items():
        if given.get(name) is not None and not setting.is_good(given[name]):
            yield f"{prefix}{name} must be {setting.wanted}."


def _no_object(args: Mapping[str, Any], name: str) -> Iterator[str]:
    if not isinstance(args.get(name, {}), dict | None):
        yield f"{name} must be a JSON object."


def _unknown(policy: Any) -> Iterator[str]:
    if isinstance(policy, dict) and (unknown := sorted(policy.keys() - SETTINGS.keys())):
        yield f"{POLICY} has no {', '.join(unknown)}: it knows {', '.join(sorted(SETTINGS))}."


def _wrong_reasoning(args: Mapping[str, Any]) -> Iterator[str]:
    yield from _no_object(args, REASONING)
    reasoning = _object(args, REASONING)
    level, budget = reasoning.get("level"), reasoning.get("budget_tokens")
    if reasoning and (not isinstance(level, str) or level not in EFFORTS):
        yield f"{REASONING}.level must be one of {', '.join(EFFORTS)}."
    if budget is not None and not (level == "enabled" and _is_whole(budget) and budget > 0):
        yield f"{REASONING}.budget_tokens must be a whole number above 0, with the level enabled."


def _wrong_address(args: Mapping[str, Any], kind: str, place: Place | None) -> Iterator[str]:
    given = {name: args[name] for name in (URL, PATH) if args.get(name) not in (None, "")}
    if not given:
        return
    if kind != RERANK:
        yield f"{' and '.join(given)}: only a rerank model has one."
        return
    if place and (leads_away := _leads_away(given, *place)):
        yield leads_away
    if isinstance(given.get(PATH), str) and not _is_below(given[PATH]):
        yield f"{PATH} must be a path below the base URL, such as rerank."


def _leads_away(given: JSON, base_url: str, config: Any) -> str:
    """The requester's own rule, which holds for each call, too."""
    try:
        address(Endpoint(base_url, "", config=config if isinstance(config, dict) else {}), "", given)
    except EgressRefused as error:
        return f"{error}."
    return ""


def _is_below(path: str) -> bool:
    """Whether a path stays below what it is put behind, however a server reads it."""
    if not path.isprintable() or any(sign in path for sign in " \\#"):
        return False
    steps = path.partition("?")[0].lower().replace("%2e", ".").replace("%2f", "/").split("/")
    return "://" not in path and not {".", ".."} & set(steps)
