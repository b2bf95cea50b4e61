"""Charges that nobody made, to measure with: as many as wanted, in a ledger that is whole and stays so at every step.

Like those of a team: few keys call much, each a few models, days of the week differ. The same seed makes the same ones.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import F, Value
from django.utils import timezone

from accounts.models import ApiKey, Charge, Group, Outcome, Payment, State, UsageSource
from accounts.services import keys, rollups
from accounts.services.ledger.decisions import first_of_month
from accounts.services.ledger.types import Prices, Tokens
from accounts.services.rollups import end_of, start_of
from common.money import MoneyField, to_usd

Row = dict[str, Any]

CHARGES = Charge._meta.db_table
ROWS_AT_ONCE = 5000
CACHE_KILOBYTES = 256 * 1024
DEPOSIT = Decimal(1_000_000)
USD = 10**10
PRICES = [Prices(number * USD // 10, number * USD // 2) for number in range(1, 11)]
MODELS = {f"model-{letter}": prices for letter, prices in zip("abcdefghij", PRICES, strict=True)}
PROVIDERS = ("north", "south", "east", "west")
TAGS = ((), ("batch",), ("chat", "web"), ("chat", "mobile"))
ENDINGS = [Outcome.OK] * 95 + [Outcome.CLIENT_CLOSED] * 2 + [Outcome.UPSTREAM_ERROR] * 3
BUSY = (1.2, 1.3, 1.3, 1.2, 1.0, 0.5, 0.5)  # days of the week, Monday first


@dataclass(slots=True)
class Caller:
    """A key, its habits and its counters, in units."""

    id: int
    group_id: int
    is_prepaid: bool
    habits: list[tuple[str, str, tuple[str, ...]]]  # model, provider, tags
    balance: int
    month: date = date.min
    month_fee: int = 0
    spent_today: int = 0
    paid_today: int = 0

    def pay(self, fee: int, month: date) -> tuple[int, int]:
        """The quota's part and the balance's."""
        quota_fee = 0 if self.is_prepaid else fee
        if month != self.month:
            self.month, self.month_fee = month, 0
        self.month_fee += quota_fee
        self.balance -= fee - quota_fee
        self.spent_today += fee
        self.paid_today += fee - quota_fee
        return quota_fee, fee - quota_fee


def make(*, count: int, days: int = 90, callers: int = 100, seed: int = 1) -> Iterator[int]:
    """Make keys and that many charges of theirs, over until now; yields how many there are after each day."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")  # its indexes of random ids are written all over
    chance = random.Random(seed)
    today = timezone.localdate()
    all_days = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    team = _team(chance, callers, start_of(all_days[0]))
    weights = [1 / rank for rank in range(1, callers + 1)]
    done = 0
    for day, share in zip(all_days, _shares(all_days, count), strict=True):
        since, until = start_of(day), min(end_of(day), timezone.now())
        moments = sorted(since + (until - since) * chance.random() for _ in range(share))
        who = chance.choices(team, weights, k=share)
        month = first_of_month(day)
        _write(day, [_row(chance, caller, moment, month) for caller, moment in zip(who, moments, strict=True)], team)
        done += share
        yield done


@transaction.atomic
def _team(chance: random.Random, size: int, since: datetime) -> list[Caller]:
    groups = [Group.objects.get_or_create(name=f"sample group {letter}")[0] for letter in "abcd"]
    return [_caller(chance, number, chance.choice([None, *groups]), since) for number in range(size)]


def _caller(chance: random.Random, number: int, group: Group | None, since: datetime) -> Caller:
    is_prepaid = number % 2 == 1
    quota, balance = (Decimal(0), DEPOSIT) if is_prepaid else (None, Decimal(0))
    key = keys.issue(name=f"sample key {number}", group=group, month_quota=quota, balance=balance).key
    Payment.objects.filter(key=key).update(created_at=since)
    models = chance.sample(list(MODELS), chance.randint(1, 4))
    served_by = {model: PROVIDERS[place % len(PROVIDERS)] for place, model in enumerate(MODELS)}
    habits = [(model, served_by[model], tags) for model in models for tags in chance.sample(TAGS, 2)]
    return Caller(key.pk, group.pk if group else 0, is_prepaid, habits, int(DEPOSIT) * USD if is_prepaid else 0)


def _shares(days: Sequence[date], count: int) -> list[int]:
    """How many on each day, all together `count`."""
    weights = [BUSY[day.weekday()] for day in days]
    ends = [round(count * sum(weights[: number + 1]) / sum(weights)) for number in range(len(days))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _row(chance: random.Random, who: Caller, moment: datetime, month: date) -> Row:
    model, provider, tags = chance.choice(who.habits)
    outcome, prices = chance.choice(ENDINGS), MODELS[model]
    is_used = outcome != Outcome.UPSTREAM_ERROR
    tokens = Tokens(chance.randrange(20, 4000), output=chance.randrange(1, 900)) if is_used else Tokens()
    fee = tokens.cost(prices)
    quota_fee, balance_fee = who.pay(fee, month)
    milliseconds = chance.randrange(200, 20_000)
    began_at, settled_at = _time(moment - timedelta(milliseconds=milliseconds)), _time(moment)
    return {
        "uuid": _uuid(chance),
        "created_at": began_at,
        "updated_at": settled_at,
        "settled_at": settled_at,
        "request_id": f"req_{chance.getrandbits(128):032x}",
        "key_id": who.id,
        "group_id": who.group_id,
        "state": (State.SETTLED if is_used else State.RELEASED).value,
        "outcome": outcome.value,
        "usage_source": (UsageSource.REPORTED if is_used else UsageSource.NONE).value,
        "model_name": model,
        "provider_name": provider,
        "upstream_name": model,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "price_in": prices.input,
        "price_out": prices.output,
        "tags": orjson.dumps(tags).decode(),
        "hold": fee * 2,
        "fee": fee,
        "quota_fee": quota_fee,
        "balance_fee": balance_fee,
        "month": month.isoformat(),
        "month_quota": 0 if who.is_prepaid else None,
        "month_fee_after": who.month_fee,
        "balance_after": who.balance,
        "first_byte_ms": milliseconds // 4,
        "total_ms": milliseconds,
    }


def _uuid(chance: random.Random) -> Any:
    made = UUID(int=chance.getrandbits(128), version=4)
    return made if connection.features.has_native_uuid_field else made.hex


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


@transaction.atomic
def _write(day: date, rows: Sequence[Row], team: Sequence[Caller]) -> None:
    """One day, with all that counts it."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        _insert(rows[start : start + ROWS_AT_ONCE])
    for caller in team:
        _count(caller)
    list(rollups.rebuild(first=day, last=day))


def _insert(rows: Sequence[Row]) -> None:
    usual = _usual()
    values = [tuple((usual | row).values()) for row in rows]
    names = ", ".join(usual)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {CHARGES} ({names}) FROM STDIN") as copy:
                for each in values:
                    copy.write_row(each)
        else:
            cursor.executemany(f"INSERT INTO {CHARGES} ({names}) VALUES ({', '.join(['%s'] * len(usual))})", values)


def _usual() -> Row:
    """What is the same in all of them, as the database takes it."""
    sample = Charge(endpoint="chat", prompt_bound=4000, output_bound=4096)
    columns = [column for column in Charge._meta.concrete_fields if not column.primary_key]
    return {str(each.column): each.get_db_prep_save(each.value_from_object(sample), connection) for each in columns}


def _count(caller: Caller) -> None:
    """Move the key's counters on by what it spent on the day; the month's only if it is still the key's own."""
    key = ApiKey.objects.filter(pk=caller.id)
    key.update(spent=F("spent") + _money(caller.spent_today), balance=F("balance") - _money(caller.paid_today))
    key.filter(month=caller.month).update(month_fee=to_usd(caller.month_fee))
    caller.spent_today = caller.paid_today = 0


def _money(units: int) -> Value:
    return Value(to_usd(units), output_field=MoneyField())
