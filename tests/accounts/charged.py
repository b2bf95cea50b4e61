"""Charges of every sort, written by the ledger itself, and what a newcomer computes from what is shown of one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from accounts.models import Charge, Outcome, UsageSource
from accounts.services.keys import IssuedKey
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.types import Bucket, Deployment, Prices, Settlement, Tokens
from common.money import to_units
from tests import factories
from tests.accounts.test_writer import admission

TEN_DECIMALS = Decimal("1e-10")
MILLION = 1_000_000


def prices(*usd: str | None) -> Prices:
    """USD per million: input, output, cached read, cached write."""
    return Prices(*(None if each is None else to_units(each) for each in usd))


def charged(key: IssuedKey, tokens: Tokens, at: Prices, **fields: Any) -> Charge:
    """A call of the key that used so much. `hold_out`: what its hold covers in answer tokens, if not enough."""
    model = factories.model(factories.provider())
    deployment = Deployment(model.pk, model.provider_id, model.name, "acme", "acme-large", at)
    asked = admission(
        key,
        deployment,
        prompt_bound=fields.pop("prompt_bound", 20_000),
        output_bound=fields.pop("hold_out", 20_000),
        hold_price_in=max(at.input or 0, at.cached_write or 0),
        hold_price_out=at.output or 0,
        price_ratio=fields.pop("price_ratio", Decimal(1)),
    )
    ledger.writer().admit(asked)
    ended = {"outcome": Outcome.OK, "usage_source": UsageSource.REPORTED, "first_byte_ms": 420, "total_ms": 1830}
    # A part with a price of its own is written with its deployment, as the exchange does.
    where = deployment if tokens.apart else None
    settlement = Settlement(asked.request_id, asked.key_id, deployment=where, tokens=tokens, **{**ended, **fields})
    ledger.writer().settle(settlement)
    return Charge.objects.get(request_id=asked.request_id)


def plain() -> Charge:
    return charged(factories.key(), Tokens(input=1234, output=567), prices("2.50", "10"))


def cached_and_reasoning() -> Charge:
    tokens = Tokens(input=1001, cached_read=7003, cached_write=502, output=903, reasoning=640)
    return charged(factories.key(), tokens, prices("3", "15", "0.30", "3.75"))


def cached_without_a_price() -> Charge:
    return charged(factories.key(), Tokens(input=10, cached_read=3000, output=7), prices("0.15", "0.60"))


def rare_buckets_at_a_ratio() -> Charge:
    """At 1.5 times the model's prices: sound and reasoning dearer, a request with a price, an hour's cache usual."""
    apart: tuple[Bucket, ...] = (
        ("audio_in", 300, to_units("60")),
        ("image_in", 85, None),
        ("reasoning", 200, to_units("22.5")),
        ("cached_write_1h", 50, to_units("9")),
        ("request", 1, to_units("0.015") * MILLION),
    )
    tokens = Tokens(input=1000, cached_write=120, output=500, reasoning=200, apart=apart)
    return charged(factories.key(), tokens, prices("3.75", "15", "0.375", "4.6875"), price_ratio=Decimal("1.5"))


def rounded() -> Charge:
    """Prices that leave more than ten decimals."""
    return charged(factories.key(), Tokens(input=7, output=3), prices("0.1234567891", "0.9876543219"))


def with_a_shortfall() -> Charge:
    """An upstream that said more than it was told to, to a key that has no more."""
    poor = factories.key(month_quota=Decimal("0.002"))
    return charged(poor, Tokens(input=100, output=900), prices("1", "10"), prompt_bound=100, hold_out=150)


def split_over_quota_and_balance() -> Charge:
    key = factories.key(month_quota=Decimal("0.003"), balance=Decimal(2))
    charged(key, Tokens(input=100, output=100), prices("1", "10"))
    return charged(key, Tokens(input=1000, output=900), prices("1", "10"))


def unpriced() -> Charge:
    return charged(factories.key(), Tokens(input=1000, output=900), prices(None, None))


CASES: dict[str, Callable[[], Charge]] = {
    each.__name__: each
    for each in (
        plain,
        cached_and_reasoning,
        cached_without_a_price,
        rare_buckets_at_a_ratio,
        rounded,
        with_a_shortfall,
        split_over_quota_and_balance,
        unpriced,
    )
}


@dataclass(frozen=True, slots=True)
class Read:
    """The figures that stand somewhere: `lines` are quantity, price per million and cost."""

    lines: list[tuple[int, Decimal, Decimal]]
    cost: Decimal
    fee: Decimal
    shortfall: Decimal
    quota: tuple[Decimal, Decimal | None, Decimal | None]  # paid, before, after
    balance: tuple[Decimal, Decimal | None, Decimal | None]


def differences(read: Read, charge: Charge) -> list[str]:
    """Figures that stand there otherwise than anybody computes them with a pencil, or than the ledger wrote them."""
    return [f"{name}: {told} and not {due}" for name, told, due in _computed(read, charge) if told != due]


def _computed(read: Read, charge: Charge) -> Iterator[tuple[str, object, object]]:
    """Each figure, as it stands there and as it should."""
    for quantity, price, cost in read.lines:
        yield f"{quantity} x {price}", cost, quantity * price / MILLION
    together = Decimal(sum(quantity * price / MILLION for quantity, price, _ in read.lines))
    yield "cost", read.cost, together.quantize(TEN_DECIMALS, ROUND_HALF_UP)
    yield "fee", read.fee, read.cost - read.shortfall
    yield "fee of both payers", read.fee, read.quota[0] + read.balance[0]
    for payer, (paid, before, after), sign in (("quota", read.quota, 1), ("balance", read.balance, -1)):
        yield f"{payer} after", after, "unknown" if before is None else before + sign * paid
    yield "fee, written", read.fee, charge.fee
    yield "shortfall, written", read.shortfall, charge.shortfall
    yield "quota's part, written", read.quota[0], charge.quota_fee
    yield "balance's part, written", read.balance[0], charge.balance_fee
