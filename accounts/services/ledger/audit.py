"""Proves the ledger: every counter is recomputed from the rows it stands for, in one consistent read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import orjson
from django.db import connection

from accounts.models import ApiKey, Charge, Payment, RedemptionCode, Worker
from accounts.services import rollups
from accounts.services.ledger.limiting import auditing
from accounts.services.ledger.types import Prices, Tokens
from common.database import one_moment

KEYS, CHARGES, PAYMENTS, CODES, WORKERS = (
    model._meta.db_table for model in (ApiKey, Charge, Payment, RedemptionCode, Worker)
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant, and the query for the rows that break it: id, what stands there, what should. In 10^-10 USD."""

    name: str
    query: str


def _counter(column: str, table: str, expression: str, condition: str) -> str:
    """Keys whose counter differs from the sum over the rows it stands for."""
    return f"""
        SELECT k.id, k.{column}, COALESCE(s.total, 0) FROM {KEYS} k
        LEFT JOIN (SELECT c.key_id, SUM({expression}) AS total FROM {table} c
                   JOIN {KEYS} o ON o.id = c.key_id WHERE {condition} GROUP BY c.key_id) s ON s.key_id = k.id
        WHERE k.{column} <> COALESCE(s.total, 0)"""


RULES = (
    Rule("balance >= 0", f"SELECT id, balance, 0 FROM {KEYS} WHERE balance < 0"),
    Rule("spent = sum of settled charges", _counter("spent", CHARGES, "c.fee", "c.state = 'settled'")),
    Rule("held = sum of open holds", _counter("held", CHARGES, "c.hold", "c.state = 'held'")),
    Rule(
        "month_fee = quota's part of the month's charges",
        _counter("month_fee", CHARGES, "c.quota_fee", "c.month = o.month"),
    ),
    Rule(
        "balance = payments - balance's part of charges",
        f"""
        SELECT k.id, k.balance, COALESCE(p.total, 0) - COALESCE(c.total, 0) FROM {KEYS} k
        LEFT JOIN (SELECT key_id, SUM(amount) AS total FROM {PAYMENTS} GROUP BY key_id) p ON p.key_id = k.id
        LEFT JOIN (SELECT key_id, SUM(balance_fee) AS total FROM {CHARGES} GROUP BY key_id) c ON c.key_id = k.id
        WHERE k.balance <> COALESCE(p.total, 0) - COALESCE(c.total, 0)""",
    ),
    Rule(
        "month_fee <= month_quota, after every charge",
        f"SELECT id, month_fee_after, month_quota FROM {CHARGES} WHERE quota_fee > 0 AND month_fee_after > month_quota",
    ),
    Rule(
        "fee = quota's part + balance's part",
        f"SELECT id, fee, quota_fee + balance_fee FROM {CHARGES} WHERE fee - quota_fee <> balance_fee",
    ),
    Rule(
        "every hold has a worker that answers for it",
        f"""
        SELECT c.id, c.hold, 0 FROM {CHARGES} c LEFT JOIN {WORKERS} w ON w.uuid = c.worker_id
        WHERE c.state = 'held' AND w.uuid IS NULL""",
    ),
    Rule(
        "a charge that is over says since when",
        f"SELECT id, 0, 1 FROM {CHARGES} WHERE state <> 'held' AND settled_at IS NULL",
    ),
    Rule(
        "refunds of a call <= what the balance paid for it",
        f"""
        SELECT r.charge_id, r.total, COALESCE(SUM(c.balance_fee), 0) FROM
        (SELECT charge_id, SUM(amount) AS total FROM {PAYMENTS} WHERE charge_id IS NOT NULL GROUP BY charge_id) r
        LEFT JOIN {CHARGES} c ON c.id = r.charge_id OR c.corrects_id = r.charge_id
        GROUP BY r.charge_id, r.total HAVING r.total > COALESCE(SUM(c.balance_fee), 0)""",
    ),
    Rule(
        "a redeemed code paid its amount to its key",
        f"""
        SELECT c.id, COALESCE(p.amount, 0), c.amount FROM {CODES} c LEFT JOIN {PAYMENTS} p ON p.id = c.payment_id
        WHERE c.redeemed_at IS NOT NULL
        AND (p.id IS NULL OR p.kind <> 'redemption' OR p.amount <> c.amount OR p.key_id <> c.redeemed_by_id)""",
    ),
    Rule("only settled charges cost", f"SELECT id, fee, 0 FROM {CHARGES} WHERE state <> 'settled' AND fee <> 0"),
)


@dataclass(frozen=True, slots=True)
class Break:
    """A row that breaks an invariant."""

    rule: str
    row_id: int
    found: int
    expected: int

    def __str__(self) -> str:
        return f"{self.rule}: row {self.row_id} has {self.found}, expected {self.expected}"


def audit() -> list[Break]:
    """All rows that break an invariant; an empty list is the proof."""
    with one_moment():
        return [*_counters(), *_fees(), *_days(), *(Break(*found) for found in auditing.breaks())]


def _counters() -> Iterator[Break]:
    with connection.cursor() as cursor:
        for rule in RULES:
            cursor.execute(rule.query)
            for row_id, found, expected in cursor.fetchall():
                yield Break(rule.name, row_id, int(found), int(expected))


COUNTS = ("input_tokens", "cached_read_tokens", "cached_write_tokens", "output_tokens", "reasoning_tokens")
PRICES = ("price_in", "price_out", "price_cached_read", "price_cached_write", "buckets")


def _of(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


OWN_FEES = f"""
    SELECT c.id, c.fee + c.shortfall, {_of("c", COUNTS)}, {_of("c", PRICES)} FROM {CHARGES} c
    WHERE state = 'settled' AND usage_source <> 'carried' AND corrects_id IS NULL"""
# All together, and the last correction's prices.
CORRECTED_FEES = f"""
    SELECT c.id, c.fee + c.shortfall + r.total, {_of("c", COUNTS)}, {_of("p", PRICES)}
    FROM (SELECT corrects_id, SUM(fee + shortfall) AS total, MAX(id) AS last FROM {CHARGES}
          WHERE corrects_id IS NOT NULL GROUP BY corrects_id) r
    JOIN {CHARGES} c ON c.id = r.corrects_id JOIN {CHARGES} p ON p.id = r.last"""


def _fees() -> Iterator[Break]:
    """Each fee once more from its tokens and prices, as a reader of the charge would compute it. What was carried over
    from another system's books is taken on trust: those have no prices for all that they add up."""
    yield from _computed("fee + shortfall = tokens x prices", OWN_FEES)
    yield from _computed("fee + shortfall, corrections included = tokens x the last prices", CORRECTED_FEES)


def _computed(rule: str, query: str) -> Iterator[Break]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(2000):
            for row_id, found, *rest in rows:
                *numbers, buckets = rest
                apart = () if buckets == "[]" else tuple(orjson.loads(buckets))
                tokens = replace(Tokens(*numbers[:5]), apart=apart)
                cost = tokens.cost(Prices(*numbers[5:]))
                if cost != found:
                    yield Break(rule, row_id, int(found), cost)
                if apart and tokens.counted_twice:
                    yield Break("no token is in two buckets", row_id, tokens.counted_twice, 0)


def _days() -> Iterator[Break]:
    """What `manage.py rebuild_days` puts right: charges that the ledger did not write itself, or another TIME_ZONE."""
    for day, key_id, found, expected in rollups.breaks():
        yield Break(f"{day}'s spend = its charges", key_id, found, expected)
