"""A gateway with a history, for pictures and for pages that must not slow down with it."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.utils import timezone

from accounts.models import (
    ApiKey,
    Charge,
    Group,
    Limit,
    LimitCounter,
    LimitNotice,
    Metric,
    Outcome,
    State,
    Subject,
    UsageSource,
    User,
    Window,
)
from accounts.services import keys, limits, rollups
from accounts.services.ledger.decisions import first_of_month
from accounts.services.ledger.limiting.windows import slot_of, start_of
from accounts.services.principals import of_user
from chat.models import BotEvent, BotPlatform
from chat.services.bots import managing
from common import jobs
from common.money import cost_units, to_units, to_usd
from gateway.jobs import runner, starting
from providers.models import AIModel, Kind, Provider, ProviderKey

PRICED = {
    "OpenAI": ("openai-chat-completions", [("gpt-4o", "2.50", "10"), ("gpt-4o-mini", "0.15", "0.60")]),
    "Anthropic": ("anthropic-messages", [("claude-sonnet", "3", "15"), ("claude-haiku", "0.80", "4")]),
    "Team GPU server": ("openai-compatible", [("llama-3.3-70b", "0.20", "0.20")]),
}
CALLERS = [
    ("support bot", 500),
    ("research notebooks", 300),
    ("code review", 250),
    ("search ranking", None),
    ("intern", 20),
]
ENDINGS = [Outcome.OK] * 60 + [Outcome.CLIENT_CLOSED] * 2 + [Outcome.UPSTREAM_ERROR]


def charge(key: ApiKey, model: AIModel, **fields: Any) -> Charge:
    """A settled charge whose figures agree; not yet saved."""
    tokens = {"input_tokens": 1000, "output_tokens": 200, **{k: fields.pop(k) for k in list(fields) if "tokens" in k}}
    prices = [to_units(price or 0) for price in (model.price_in, model.price_out)]
    fee = to_usd(cost_units(((tokens["input_tokens"], prices[0]), (tokens["output_tokens"], prices[1]))))
    settled = {
        "request_id": f"req_{uuid4().hex}",
        "endpoint": "chat",
        "state": State.SETTLED,
        "outcome": Outcome.OK,
        "usage_source": UsageSource.REPORTED,
        "model_name": model.name,
        "provider_id": model.provider_id,
        "provider_name": model.provider.name,
        "upstream_name": model.upstream_name,
        "price_in": model.price_in,
        "price_out": model.price_out,
        "prompt_bound": 4000,
        "output_bound": 4096,
        "hold": fee * 3,
        "fee": fee,
        "quota_fee": fee,
        "month": first_of_month(timezone.localdate()),
        "month_quota": key.month_quota,
        "month_fee_after": fee,
        "balance_after": key.balance,
        "first_byte_ms": 420,
        "total_ms": 1830,
        "settled_at": timezone.now(),
    }
    return Charge(key=key, model=model, **{**settled, **tokens, **fields})


def save(charges: list[Charge], times: list[Any]) -> None:
    """With the times given: `created_at` is otherwise always now. Their days are added up."""
    Charge.objects.bulk_create(charges)
    for each, moment in zip(charges, times, strict=True):
        each.created_at = moment
        each.settled_at = None if each.state == State.HELD else moment
    Charge.objects.bulk_update(charges, ["created_at", "settled_at"], batch_size=400)
    list(rollups.rebuild())


def history(days: int = 30, most_per_day: int = 90, seed: int = 7) -> None:
    """Providers, models, keys, and a month of calls that grows from week to week and rests at weekends."""
    chance = random.Random(seed)
    models = list(_models())
    callers = [keys.issue(name=name, month_quota=_amount(quota), all_models=True).key for name, quota in CALLERS]
    now = timezone.now()
    charges, times = [], []
    for back in range(days - 1, -1, -1):
        day = now - timedelta(days=back)
        calls = most_per_day * (1 - back / (days * 2)) * (0.35 if day.weekday() > 4 else 1) * chance.uniform(0.8, 1.1)
        for _ in range(int(calls)):
            charges.append(
                _call(chance, chance.choices(callers, (9, 5, 4, 3, 1))[0], chance.choices(models, (5, 9, 6, 5, 4))[0])
            )
            times.append(day - timedelta(seconds=chance.randrange(3600 * 9)))
    in_order = sorted(range(len(times)), key=times.__getitem__)
    save([charges[place] for place in in_order], [times[place] for place in in_order])
    _count_up(callers)


def limits_in_use() -> None:
    """Limits of every sort, some of them nearly reached, with notices in every state."""
    key, group = ApiKey.objects.order_by("pk")[0], Group.objects.create(name="engineering")
    ApiKey.objects.filter(pk=key.pk).update(group=group)
    now = timezone.now()
    count, whose = {"metric": Metric.REQUESTS}, {"subject": Subject.KEY, "key": key}
    for name, used, fields in (
        ("support bot, a month", Decimal("421.5"), {**whose, "most": Decimal(500)}),
        ("support bot, a minute", 12, {**whose, **count, "most": 60, "window": Window.MINUTE}),
        ("engineering", Decimal("1004.2"), {"subject": Subject.GROUP, "group": group, "most": 1000, "action": "warn"}),
        ("everyone at the same time", 31, {"metric": Metric.PARALLEL, "most": 200}),
        ("tokens of gpt-4o in any hour", 140_000, {
            "subject": Subject.MODEL, "value": "gpt-4o", "metric": Metric.TOKENS, "most": 1_000_000,
            "window": Window.HOUR, "is_sliding": True,
        }),
        ("each e-mail, a day", None, {"subject": Subject.EMAIL, **count, "most": 1000, "window": Window.DAY,
            "notify_url": "https://ops.example/hooks", "notify_secret": "whsec_" + "A" * 32,
            "notify_email": "ops@example.com"}),
    ):  # fmt: skip
        limit = limits.add(name=name, **fields)
        for member, part in ({"": used} if used is not None else EMAILS).items():
            _use(limit, member, part, now)


EMAILS = {"ada@example.com": 912, "grace@example.com": 655, "linus.with.a.long.name@research.example.com": 1000}


def _use(limit: Limit, member: str, used: Any, now: datetime) -> None:
    units = to_units(used) if limit.metric == Metric.COST else used
    start = slot_of(limit.window, now) if limit.is_sliding else start_of(limit.window, now)
    taken = {"held": units} if limit.metric == Metric.PARALLEL else {"used": units}
    LimitCounter.objects.create(limit=limit, member=member, starts_at=start, **taken)
    if member:
        for back in (1, 2, 3):
            earlier = start_of(limit.window, now - timedelta(days=back))
            LimitCounter.objects.create(limit=limit, member=member, starts_at=earlier, used=units // (back + 1))
        states: list[dict[str, Any]] = [
            {"told_at": now, "attempts": 1},
            {"due_at": now, "attempts": 2, "error": "The webhook answered with status 503."},
        ]
        for percent, state in zip((80, 100), states, strict=True):
            LimitNotice.objects.create(
                limit=limit, member=member, starts_at=start, percent=percent, used=units, created_at=now, **state
            )


def tasks(operator: User) -> None:
    """A background task in each state, as workers would have left them."""
    by = of_user(operator)
    runner.run(starting.export_config(by=by).pk)
    runner.run(starting.export_charges(by=by).pk)
    runner.run(starting.check_providers(by=by).pk)
    runner.run(starting.import_models(provider=Provider.objects.get(name="Team GPU server"), by=by).pk)
    jobs.cancel(job=starting.import_models(provider=Provider.objects.get(name="OpenAI"), by=by))
    running = jobs.claim(starting.check_providers(by=by).pk, lambda: False)
    assert running
    running.report(done=24, total=53, action="Checking Anthropic, OpenAI, Team GPU server", log="It begins")
    starting.export_config(by=by)


def bots() -> None:
    """One on each platform, as far as they get."""
    key = keys.issue(name="team chat", month_quota=Decimal(50), all_models=True)
    feishu = {"appId": "cli_a1b2c3", "appSecret": "secret", "apiKey": key.secret, "modelId": "gpt-4o-mini"}
    slack = {"botToken": "xoxb-secret", "signingSecret": "secret", "apiKey": "br-nobody-s"}
    made = [
        managing.make(name="helper", platform=BotPlatform.FEISHU, config=feishu),
        managing.make(name="helper", platform=BotPlatform.SLACK, config=slack, is_enabled=False),
    ]
    BotEvent.objects.create(bot=made[0], key="ev_1")
    BotEvent.objects.create(bot=made[1], key="ev_1", error="Incorrect API key provided.")


def _amount(quota: int | None) -> Decimal | None:
    return None if quota is None else Decimal(quota)


def _models() -> Iterator[AIModel]:
    for name, (requester, models) in PRICED.items():
        provider = Provider.objects.create(name=name, requester=requester, base_url="https://upstream.example/v1")
        ProviderKey.objects.create(provider=provider, secret=f"sk-{uuid4().hex}")
        for public_name, price_in, price_out in models:
            yield AIModel.objects.create(
                provider=provider,
                name=public_name,
                upstream_name=public_name,
                kind=Kind.LLM,
                price_in=Decimal(price_in),
                price_out=Decimal(price_out),
            )


def _call(chance: random.Random, key: ApiKey, model: AIModel) -> Charge:
    outcome = chance.choice(ENDINGS)
    used = outcome != Outcome.UPSTREAM_ERROR
    return charge(
        key,
        model,
        outcome=outcome,
        input_tokens=int(chance.lognormvariate(8.3, 0.8)) if used else 0,
        output_tokens=int(chance.lognormvariate(6.0, 0.7)) if used else 0,
        is_stream=chance.random() < 0.7,
        error="" if used else "upstream refuses connections",
        first_byte_ms=int(chance.lognormvariate(6, 0.4)),
        total_ms=int(chance.lognormvariate(7.6, 0.5)),
    )


def _count_up(callers: list[ApiKey]) -> None:
    """Leave the counters as the ledger would have."""
    month = first_of_month(timezone.localdate())
    for key in callers:
        fees = [(each.created_at.date() >= month, each.fee) for each in key.charges.all()]
        spent = sum((fee for _, fee in fees), Decimal(0))
        this_month = sum((fee for is_new, fee in fees if is_new), Decimal(0))
        ApiKey.objects.filter(pk=key.pk).update(spent=spent, month_fee=this_month, last_used_at=timezone.now())
