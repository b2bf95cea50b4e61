"""The raw rows of a gateway's database, read past the gateway."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tests.served.gateway import ServedGateway

CHARGE = (
    "id, request_id, key_id, group_id, state, outcome, error, endpoint, model_id, model_name, provider_id, attempts, "
    "usage_source, input_tokens, cached_read_tokens, cached_write_tokens, output_tokens, price_in, price_out, "
    "price_cached_read, price_cached_write, price_ratio, buckets, tags, hold, fee, quota_fee, balance_fee, shortfall, "
    "month, created_at, settled_at, corrects_id, limits"
)
KEY = "id, month_quota, month, month_fee, balance, held, spent"
PAYMENT = "id, key_id, kind, amount, charge_id"


@dataclass(slots=True)
class Charge:
    id: int
    request_id: str
    key_id: int
    group_id: int
    state: str
    outcome: str
    error: str
    endpoint: str
    model_id: int | None
    model_name: str
    provider_id: int | None
    attempts: int
    usage_source: str
    input_tokens: int
    cached_read_tokens: int
    cached_write_tokens: int
    output_tokens: int
    price_in: int | None
    price_out: int | None
    price_cached_read: int | None
    price_cached_write: int | None
    price_ratio: Any
    buckets: list[list[Any]]
    tags: list[str]
    hold: int
    fee: int
    quota_fee: int
    balance_fee: int
    shortfall: int
    month: date | None
    created_at: float
    settled_at: float
    corrects_id: int | None
    limits: list[dict[str, Any]]
    op: int = field(default=0)

    @property
    def prompt(self) -> int:
        return self.input_tokens + self.cached_read_tokens + self.cached_write_tokens

    @property
    def tokens(self) -> tuple[int, int, int]:
        return self.input_tokens, self.cached_read_tokens, self.output_tokens


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: int
    month_quota: int | None
    month: date
    month_fee: int
    balance: int
    held: int
    spent: int


@dataclass(frozen=True, slots=True)
class PaymentRow:
    id: int
    key_id: int
    kind: str
    amount: int
    charge_id: int | None


@dataclass(frozen=True, slots=True)
class Rows:
    charges: list[Charge]
    keys: list[KeyRow]
    payments: list[PaymentRow]
    held_by_limits: int
    redeemed: int


def read(gateway: ServedGateway) -> Rows:
    """All that the oracle looks at."""
    charges = [_charge(row) for row in gateway.rows(f"SELECT {CHARGE} FROM accounts_charge ORDER BY id")]
    keys = [KeyRow(*row[:2], _date(row[2]), *row[3:]) for row in gateway.rows(f"SELECT {KEY} FROM accounts_apikey")]
    payments = [PaymentRow(*row) for row in gateway.rows(f"SELECT {PAYMENT} FROM accounts_payment")]
    held = gateway.rows("SELECT COALESCE(SUM(held), 0) FROM accounts_limitcounter")[0][0]
    redeemed = gateway.rows("SELECT COUNT(*) FROM accounts_redemptioncode WHERE redeemed_at IS NOT NULL")[0][0]
    return Rows(charges, keys, payments, int(held), int(redeemed))


def _charge(row: Sequence[Any]) -> Charge:
    charge = Charge(*row)
    charge.buckets, charge.tags, charge.limits = map(_json, (charge.buckets, charge.tags, charge.limits))
    charge.created_at, charge.settled_at = _seconds(row[30]), _seconds(row[31])
    charge.month = None if row[29] is None else _date(row[29])
    charge.op = next((int(tag[3:]) for tag in charge.tags if tag.startswith("op-")), 0)
    return charge


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _seconds(value: Any) -> float:
    """SQLite stores UTC, as a text that does not say so. Not there: 0."""
    if value is None:
        return 0.0
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
