"""Why a call would go where it would go: asked, not made. Nothing is sent, held or charged."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import Error

from accounts.errors import LedgerUnavailable
from accounts.models import Role
from accounts.services.quotes import Quote, quote
from chat.services import smart, snapshot
from chat.services.calls import Call
from chat.services.completions import admission_of, resolve
from chat.services.plan import Plan
from chat.services.snapshot import Snapshot
from providers.models import AIModel
from providers.requesters.errors import ContentFiltered
from providers.services import board_sync
from providers.services.board import Traffic, board
from providers.services.choice import Standing
from providers.services.routing import Target

JSON = dict[str, Any]
SPECIAL_NAMES = {True: "content_filtered", False: "context_too_long"}


@dataclass(frozen=True, slots=True)
class Excluded:
    """A deployment of that name that this call can't go to, and why."""

    model: str
    provider: str
    upstream_model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer: candidates in the order of trying, who is out and why, and what would be held."""

    asked: str
    found: str
    candidates: list[Standing]
    excluded: list[Excluded]
    special: dict[str, list[Target]]
    quote: Quote | None
    router: dict[str, object] | None = None
    traffic: dict[int | None, Traffic] = field(default_factory=dict)


def explain(call: Call) -> Explanation:
    """Raises UnknownModel like the call itself would, and LedgerUnavailable when the database is away."""
    try:
        return _explain(call)
    except Error as error:
        raise LedgerUnavailable() from error


def _explain(call: Call) -> Explanation:
    board_sync.hear()
    picture, plan = resolve(call, snapshot.fresh())
    first = plan.targets[0]
    if first.router is not None:
        router = _router(call, picture, first.router)
        return Explanation(call.model, first.name, [], _excluded(call, picture, plan, []), {}, None, router)
    standings = plan.standings(plan.targets)
    usable = [each for each in standings if not each.why_not or each.is_last_resort]
    held_back = [_held_back(each) for each in standings if each not in usable]
    return Explanation(
        asked=call.model,
        found=first.name,
        candidates=usable,
        excluded=held_back + _excluded(call, picture, plan, standings),
        special={_special_name(error): targets for error, targets in plan.special.items() if targets},
        quote=_quote(call, plan, picture),
        traffic={each.target.model_id: board().traffic_of(each.target) for each in usable},
    )


def _router(call: Call, picture: Snapshot, settings: JSON) -> dict[str, object]:
    """Its rules, as far as they name what this key may call; the provider's other settings are nobody's business."""
    may_see_all = call.caller.role == Role.ADMIN
    kind = call.endpoint.kind
    rules = [rule for rule in smart.rules_of(settings) if may_see_all or picture.named(call.caller, kind, rule["name"])]
    return {"rules": rules, "localLlmModel": smart.chooser_of(settings)}


def _quote(call: Call, plan: Plan, picture: Snapshot) -> Quote:
    """What the call would hold: for its name alone, where that is all that the key can pay."""
    asked = quote(admission_of(call, plan, picture, is_stream=bool(call.body.get("stream"))))
    alone = plan.without_fallbacks() if asked.refusal else None
    return _quote(call, alone, picture) if alone else asked


def _special_name(error: type[Exception]) -> str:
    return SPECIAL_NAMES[error is ContentFiltered]


def _held_back(standing: Standing) -> Excluded:
    target = standing.target
    return Excluded(target.name, target.provider_name, target.upstream_name, standing.why_not)


def _excluded(call: Call, picture: Snapshot, plan: Plan, standings: list[Standing]) -> list[Excluded]:
    """Rows of the names in question that are no candidates. What a key was not granted, only an admin's may see."""
    # No row's name has a NUL, and PostgreSQL would not take the question.
    names = {name for name in (call.model, call.model.partition("/")[0]) if "\0" not in name}
    known = {target.model_id for target in plan.all}
    rows = AIModel.objects.filter(name__in=names).exclude(pk__in=[each for each in known if each is not None])
    return [
        Excluded(row.name, row.provider.name, row.upstream_name, reason)
        for row in rows.select_related("provider")
        if (reason := _reason(call, picture, row)) and _may_see(call, picture, row)
    ]


def _may_see(call: Call, picture: Snapshot, row: AIModel) -> bool:
    return call.caller.role == Role.ADMIN or picture.may_call(call.caller, row.pk)


def _reason(call: Call, picture: Snapshot, row: AIModel) -> str:
    reasons: Iterable[tuple[bool, str]] = (
        (not row.is_enabled, "the model is switched off"),
        (not row.provider.is_enabled, "its provider is switched off"),
        (row.kind != call.endpoint.kind, f"it is of the kind {row.kind}, which this endpoint does not call"),
        (not picture.may_call(call.caller, row.pk), "it is not granted to this key"),
        (row.name != call.model and not row.allows_other_upstream, "it takes no other upstream model's name"),
    )
    return next((reason for holds, reason in reasons if holds), "")
