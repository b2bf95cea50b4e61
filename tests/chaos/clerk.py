"""Somebody at the console: a process of its own that edits keys, limits and prices, pays and takes back.

`python -m tests.chaos.clerk` reads one JSON list a line, [action, {arguments}], and answers each with one line: what
came of it, or {"refused": why}, or {"lost": why} where the database was away and nobody knows.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import Error, connection

from accounts.errors import Refused
from accounts.models import ApiKey, Charge, Group, Limit, Metric, Subject
from accounts.services import codes, keys, limits, payments
from accounts.services.ledger.sweep import sweep as sweep_holds
from accounts.services.payments import Maker
from chat.services import conversations, rerating
from common.money import to_units, to_usd
from providers.models import AIModel, ModelPrice
from providers.services import providers

JSON = dict[str, Any]
BY = Maker(name="the clerk")
COLUMNS = {Subject.KEY: "key_id", Subject.GROUP: "group_id", Subject.PROVIDER: "provider_id"}


def provider(name: str, base_url: str, secret: str, seconds: float) -> JSON:
    row = providers.add(name=name, requester="openai-compatible", base_url=base_url, secrets=[secret], config={})
    row.connect_timeout = row.first_byte_timeout = row.idle_timeout = seconds
    row.total_timeout, row.retries = 3 * seconds, 1
    row.save()
    return {"id": row.pk}


def model(name: str, provider_id: int, kind: str, prices: list[int], **fields: Any) -> JSON:
    price_in, price_out = map(to_usd, prices)
    row = AIModel(name=name, provider_id=provider_id, kind=kind, price_in=price_in, price_out=price_out, **fields)
    row.full_clean(exclude=["upstream_name"])
    row.save()
    return {"id": row.pk}


def price_request(model_id: int, units: int) -> JSON:
    """Each request to it costs so much, beside its tokens."""
    row = AIModel.objects.get(pk=model_id)
    moment = row.created_at
    ModelPrice.objects.create(
        model=row, valid_from=moment, price_in=row.price_in, price_out=row.price_out, price_request=to_usd(units)
    )
    return {}


def group(name: str, ratio: str) -> JSON:
    return {"id": Group.objects.create(name=name, price_ratio=Decimal(ratio)).pk}


def issue(name: str, quota: int | None, balance: int, group_id: int | None = None, **fields: Any) -> JSON:
    row = Group.objects.get(pk=group_id) if group_id else None
    amount, month_quota = to_usd(balance), None if quota is None else to_usd(quota)
    made = keys.issue(name=name, month_quota=month_quota, balance=amount, group=row, all_models=True, **fields)
    return {"id": made.key.pk, "secret": made.secret}


def recharge(key_id: int, amount: int) -> JSON:
    payments.recharge(key=ApiKey.objects.get(pk=key_id), amount=to_usd(amount), by=BY)
    return {}


def correct(key_id: int, amount: int) -> JSON:
    payments.correct(key=ApiKey.objects.get(pk=key_id), amount=to_usd(amount), note="a slip", by=BY)
    return {}


def refund(number: int) -> JSON:
    """A part of what a balance has paid for one of the latest calls."""
    paid = list(Charge.objects.filter(balance_fee__gt=0, corrects=None).order_by("-pk")[:50])
    if not paid:
        return {"refused": "nothing was paid"}
    charge = paid[number % len(paid)]
    whole = number % 3 == 0
    amount = None if whole else to_usd(max(to_units(payments.refundable(charge)) // 2, 1))
    payments.refund(charge=charge, amount=amount, note="sorry", by=BY)
    return {}


def make_codes(amount: int, count: int) -> JSON:
    return {"codes": codes.make(amount=to_usd(amount), count=count, batch="chaos")}


def set_quota(key_id: int, quota: int | None) -> JSON:
    keys.change(key=ApiKey.objects.get(pk=key_id), month_quota=None if quota is None else to_usd(quota))
    return {}


def set_group(key_id: int, group_id: int | None) -> JSON:
    keys.change(key=ApiKey.objects.get(pk=key_id), group_id=group_id)
    return {}


def revoke(key_id: int) -> JSON:
    keys.revoke(key=ApiKey.objects.get(pk=key_id))
    return {}


def retire(key_id: int) -> JSON:
    conversations.retire_key(key=ApiKey.objects.get(pk=key_id))
    return {}


def set_ratio(group_id: int, ratio: str) -> JSON:
    row = Group.objects.get(pk=group_id)
    row.price_ratio = Decimal(ratio)
    row.save()
    return {}


def set_prices(model_id: int, prices: list[int]) -> JSON:
    row = AIModel.objects.get(pk=model_id)
    row.price_in, row.price_out = map(to_usd, prices)
    row.save()
    return {}


def put_limit(name: str, subject: str, whose: str, metric: str, most: int, **fields: Any) -> JSON:
    column = COLUMNS.get(Subject(subject), "value")
    if whose:
        fields[column] = int(whose) if column != "value" else whose
    row = limits.put(name=name, subject=subject, metric=metric, most=_most(metric, most), **fields)
    return {"id": row.pk}


def _most(metric: str, most: int) -> Decimal | int:
    return to_usd(most) if metric == Metric.COST else most


def drop_limit(limit_id: int) -> JSON:
    Limit.objects.filter(pk=limit_id).delete()
    return {}


def rerate() -> JSON:
    """All calls at the prices that should have held, so that what an edit raced with is put right."""
    found = Charge.objects.filter(state="settled", corrects=None)
    return {"changed": sum(each.changed for each in rerating.rerate(found, is_dry=False))}


def sweep() -> JSON:
    done = sweep_holds()
    return {"settled": done.settled, "released": done.released}


def prune() -> JSON:
    return {"removed": limits.prune()}


def manage(command: list[str]) -> JSON:
    """A command of manage.py, without a process of its own."""
    output = StringIO()
    with suppress(SystemExit):
        call_command(*command, stdout=output)
    return {"output": output.getvalue()}


ACTIONS: dict[str, Callable[..., JSON]] = {
    each.__name__: each
    for each in (
        *(provider, model, price_request, group, issue, recharge, correct, refund, make_codes, set_quota, set_group),
        *(revoke, retire, set_ratio, set_prices, put_limit, drop_limit, rerate, sweep, prune, manage),
    )
}


def act(action: str, arguments: JSON) -> JSON:
    try:
        return ACTIONS[action](**arguments)
    except (ValidationError, Refused) as error:
        return {"refused": str(error)}
    except Error as error:
        connection.close()
        return {"lost": f"{type(error).__name__}: {error}"}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(act(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
