"""What a call costs where it ends: at its moment's and its group's prices, by its prompt's length, and what for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accounts.services.ledger.types import Bucket, Deployment, Prices, Tokens
from chat.services.plan import Plan
from providers.requesters.usage import Usage, requests_of
from providers.services import pricing
from providers.services.pricing import REASONING, REQUEST, Rates
from providers.services.routing import Target

# Of which tokens a charge tells how many there were. Those of reasoning it tells in any case.
PARTS = {
    "cached_write_1h": "cached_write_1h_tokens",
    "image_in": "image_input_tokens",
    "image_out": "image_output_tokens",
    "audio_in": "audio_input_tokens",
    "audio_out": "audio_output_tokens",
}


def priced(plan: Plan, ratio: int, moment: float) -> Plan:
    """The same plan at the prices that this call pays: those of the moment (seconds since 1970), `ratio` times (in
    ten-thousandths)."""
    if ratio == pricing.SAME and not any(target.price_lists for target in plan.all):
        return plan
    special = {error: [each.priced(ratio, moment) for each in targets] for error, targets in plan.special.items()}
    return replace(plan, targets=[each.priced(ratio, moment) for each in plan.targets], special=special)


def deployment_of(target: Target, rates: Rates | None = None) -> Deployment:
    """At its base prices, or at those of a tier."""
    prices = Prices(*(rates.four if rates else target.prices))
    return Deployment(
        target.model_id, target.provider_id, target.name, target.provider_name, target.upstream_name, prices
    )


def dearest(targets: list[Target], prompt_bound: int) -> tuple[int, int, int]:
    """What a hold has to cover: the most for a prompt's token, for an answer's and for the request, in any tier that
    a prompt up to the bound may come to."""
    reached = [rates for target in targets for rates in target.rates if rates.above_tokens < max(prompt_bound, 1)]
    return (
        max(rates.dearest_input for rates in reached),
        max(rates.dearest_output for rates in reached),
        max(rates.request for rates in reached),
    )


def costs_output(target: Target) -> bool:
    return any(rates.dearest_output for rates in target.rates)


def told_apart(tokens: Tokens, usage: Usage | None, reported: Any, target: Target) -> Tokens:
    """With what has a price of its own, and the parts that a later price may be for. `usage` None: it is estimated."""
    if not target.tiers and (usage is None or not usage.has_parts):
        return tokens
    counts = {name: getattr(usage, field, 0) for name, field in PARTS.items()}
    return replace(tokens, apart=apart(rates_for(target, tokens), counts, tokens.reasoning, requests_of(reported)))


def apart(rates: Rates, counts: Mapping[str, int], reasoning: int, requests: int) -> tuple[Bucket, ...]:
    """The buckets of a call: parts by their names, and reasoning and requests where they have a price."""
    rare = dict(rates.rare)
    priced_only = {REASONING: reasoning, REQUEST: requests}
    parts = {**counts, **{name: count for name, count in priced_only.items() if name in rare}}
    return tuple((name, count, rare.get(name)) for name, count in parts.items() if count)


def rates_for(target: Target, tokens: Tokens) -> Rates:
    return pricing.tier_for(target.rates, tokens.prompt)


def served_by(target: Target, expected: Target, tokens: Tokens) -> Deployment | None:
    """Whose prices the settlement writes down: None where those that the hold was written with say it all."""
    rates = rates_for(target, tokens)
    says_it_all = target is expected and not rates.above_tokens and not tokens.apart
    return None if says_it_all else deployment_of(target, rates)
