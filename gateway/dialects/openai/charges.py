"""/v1/charges: what each call of a key came to, and how; /v1/redeem: money from a redemption code."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.errors import InvalidKey, UnknownCharge
from accounts.models import ApiKey, Charge, Payment
from accounts.services import codes, explanations, principals
from accounts.services.explanations import Amount, Explanation, LimitState, Line
from chat.errors import BadCall
from chat.services import idempotency
from chat.services.idempotency import Kept
from common.money import plain
from gateway.dialects.base import asked_of, json_response, secret_of
from gateway.dialects.incoming import parse_object, read_body
from gateway.dialects.openai.views import again, openai_view

JSON = dict[str, Any]

USUAL_PAGE, LONGEST_PAGE = 20, 100
LONGEST_CODE = 100  # characters, spaces and dashes included


@openai_view("GET")
def charge_list(request: HttpRequest, request_id: str) -> HttpResponse:
    """The key's own, newest first; `after` is the id of the last one of the page before."""
    key = _key_of(request)
    limit = _limit_of(request)
    try:
        found, has_more = explanations.latest(key=key, limit=limit, after=request.GET.get("after", ""))
    except UnknownCharge as error:
        raise BadCall("Invalid 'after': it is the id of one of your charges.", "after") from error
    ids = [charge.request_id for charge in found]
    page = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": has_more}
    return json_response({"object": "list", "data": [summary(charge) for charge in found], **page})


@openai_view("GET")
def charge(request: HttpRequest, request_id: str, charge_id: str) -> HttpResponse:
    found = explanations.find(key=_key_of(request), request_id=charge_id)
    return json_response(told(explanations.explain(found)))


@openai_view("POST")
def redeem(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """`{"code": "ABCD-…"}`, with the key whose balance it goes to."""
    key = _key_of(request)
    raw = read_body(request)
    code = parse_object(raw).get("code")
    if not isinstance(code, str) or not 0 < len(code) <= LONGEST_CODE:
        raise BadCall("Missing 'code': give the redemption code as a text.", "code")
    asked = asked_of(request, key.pk, key.digest, request_id, lambda: raw)
    if asked is None:
        return json_response(_redeemed(key, code))
    found = idempotency.claim(asked)
    if isinstance(found, Kept):
        return again(found)
    return json_response(idempotency.keep(found, lambda: _redeemed(key, code)))


def _redeemed(key: ApiKey, code: str) -> bytes:
    payment = codes.redeem(key=key, text=code)
    return orjson.dumps({"object": "redemption", **_paid(payment), "balance_usd": plain(key.balance)})


def _key_of(request: HttpRequest) -> ApiKey:
    """As the key's row is now: no admission checks these answers."""
    key = principals.of_secret(secret_of(request)).key
    if key is None:
        raise InvalidKey()
    return key


def _limit_of(request: HttpRequest) -> int:
    text = request.GET.get("limit", str(USUAL_PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= LONGEST_PAGE):
        raise BadCall(f"Invalid 'limit': a whole number from 1 to {LONGEST_PAGE}.", "limit")
    return int(text)


# Shapes. Amounts are texts in USD, with as many decimals as they have.


def summary(charge: Charge) -> JSON:
    """A charge in a list."""
    return {
        "id": charge.request_id,
        "object": "charge",
        "created": _seconds(charge.created_at),
        "model": charge.model_name,
        "provider": charge.provider_name,
        "endpoint": charge.endpoint,
        "stream": charge.is_stream,
        "state": charge.state,
        "outcome": charge.outcome,
        "prompt_tokens": charge.prompt_tokens,
        "completion_tokens": charge.output_tokens,
        "fee_usd": plain(charge.fee),
        "shortfall_usd": plain(charge.shortfall),
        "total_ms": charge.total_ms,
    }


def told(explanation: Explanation) -> JSON:
    """A charge with all that is needed to compute its fee again: the sum of quantity x price over `lines`."""
    charge = explanation.charge
    hold = explanation.hold
    return {
        **summary(charge),
        "settled": charge.settled_at and _seconds(charge.settled_at),
        "upstream_model": charge.upstream_name,
        "error": charge.error or None,
        "usage_source": charge.usage_source,
        "tags": charge.tags,
        "lines": [_line(each) for each in explanation.lines],
        "sum_usd": plain(explanation.total),
        "cost_usd": plain(explanation.cost),
        "adds_up": explanation.adds_up,
        "price_ratio": plain(charge.price_ratio),
        "hold": {
            "usd": plain(hold.amount),
            "prompt_tokens": hold.prompt_tokens,
            "output_tokens": hold.output_tokens,
            "note": hold.note,
        },
        "paid": [
            {
                "by": each.payer,
                "usd": plain(each.amount),
                "before_usd": _money(each.before),
                "after_usd": _money(each.after),
            }
            for each in explanation.shares
        ],
        "month": charge.month and f"{charge.month:%Y-%m}",
        "month_quota_usd": _money(charge.month_quota),
        "limits": [_limit(each) for each in explanation.limits],
        "attempts": charge.attempts,
        "tries": list(explanation.tries),
        "left_out": explanation.left_out or None,
        "why": list(filter(None, explanation.why)),
        "payments": [_paid(each) for each in explanation.payments],
        "rated_anew": [
            {"id": each.request_id, "created": _seconds(each.created_at), "fee_usd": plain(each.fee)}
            for each in explanation.ratings
        ],
        "first_byte_ms": charge.first_byte_ms,
    }


def _line(line: Line) -> JSON:
    return {
        "kind": line.kind,
        "label": line.label,
        "quantity": line.quantity,
        "price_usd_per_million": _money(line.price),
        "cost_usd": plain(line.cost),
        "note": line.note or None,
    }


def _limit(state: LimitState) -> JSON:
    return {
        "name": state.name,
        "member": state.member or None,
        "metric": state.metric,
        "window": state.window,
        "sliding": state.is_sliding,
        "action": state.action,
        "most": _amount(state.most),
        "used_before": _amount(state.used_before),
        "held_before": _amount(state.held_before),
        "held": _amount(state.held),
        "used": _amount(state.used),
        "over": _amount(state.over),
        "used_after": None if state.used_after is None else _amount(state.used_after),
        "note": state.note or None,
    }


def _paid(payment: Payment) -> JSON:
    """Who made it is the operator's to know."""
    return {
        "kind": payment.kind,
        "usd": plain(payment.amount),
        "note": payment.note or None,
        "created": _seconds(payment.created_at),
    }


def _amount(amount: Amount) -> str | int:
    """Money is a text, a count a number."""
    return amount if isinstance(amount, int) else plain(amount)


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
