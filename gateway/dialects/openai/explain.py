"""POST /v1/route/explain: where a call would go and why, without making it."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.services import keys
from chat.errors import BadCall
from chat.services.calls import ENDPOINTS, Call
from chat.services.explain import Excluded, Explanation, explain
from common.money import show, to_units
from gateway.dialects.base import json_response, secret_of, tags_of
from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.openai import bodies
from gateway.dialects.openai.views import openai_view, session_key
from providers.services.choice import Standing
from providers.services.routing import Target

JSON = dict[str, Any]

# All but transcription, whose body is a form.
CHECKS = {
    "chat": bodies.check_chat,
    "completion": bodies.check_completion,
    "embedding": bodies.check_embedding,
    "rerank": bodies.check_rerank,
    "image": bodies.check_image,
    "speech": bodies.check_speech,
    "moderation": bodies.check_moderation,
}


@openai_view("POST")
def route_explain(request: HttpRequest, request_id: str) -> HttpResponse:
    """The body of the call in question, with `endpoint` beside its fields: one of `CHECKS`, chat if absent."""
    caller = keys.look_up(keys.digest(secret_of(request)))
    raw = read_body(request)
    body = parse_object(raw)
    endpoint = body.pop("endpoint", "chat")
    if not isinstance(endpoint, str) or endpoint not in CHECKS:
        raise BadCall(f"Invalid 'endpoint': expected one of {', '.join(CHECKS)}.", "endpoint")
    CHECKS[endpoint](body)
    call = Call(ENDPOINTS[endpoint], body, len(raw), caller, request_id, session_key(request), tags_of(request))
    return json_response(told(explain(call)))


def told(explanation: Explanation) -> JSON:
    """The explanation as JSON; prices and the hold in USD, as texts."""
    quote = explanation.quote
    hold = quote and {
        "usd": show(to_units(quote.hold)),
        "prompt_tokens": quote.prompt_bound,
        "output_tokens": quote.output_bound,
        "funds_usd": None if quote.free is None else show(to_units(quote.free)),
        "refusal": quote.refusal or None,
    }
    return {
        "object": "route.explanation",
        "model": explanation.asked,
        "found_as": explanation.found,
        "candidates": [_candidate(each, explanation) for each in explanation.candidates],
        "excluded": [_excluded(each) for each in explanation.excluded],
        "after": {name: [_place(each) for each in targets] for name, targets in explanation.special.items()},
        "hold": hold,
        "router": explanation.router,
    }


def _place(target: Target) -> JSON:
    return {"model": target.name, "provider": target.provider_name, "upstream_model": target.upstream_name}


def _candidate(standing: Standing, explanation: Explanation) -> JSON:
    target, traffic = standing.target, explanation.traffic[standing.target.model_id]
    price_in, price_out = target.prices[:2]
    return {
        **_place(target),
        "priority": target.priority,
        "weight": target.weight,
        "strategy": target.strategy,
        "keys": len(target.accesses),
        "price_in": None if price_in is None else show(price_in),
        "price_out": None if price_out is None else show(price_out),
        "running": traffic.running + traffic.running_elsewhere,
        "first_byte_ms": None if traffic.latency_ms is None else round(traffic.latency_ms),
        "last_resort": standing.why_not or None,
    }


def _excluded(excluded: Excluded) -> JSON:
    place = {"model": excluded.model, "provider": excluded.provider, "upstream_model": excluded.upstream_model}
    return {**place, "reason": excluded.reason}
