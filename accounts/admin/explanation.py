"""How a charge came to its fee, line by line, so that anybody can check it by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import Charge, State
from common.console import moment, money
from common.money import TOKENS_PER_PRICE, cost_units, to_units, to_usd

Price = Decimal | None


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of token: how many, at what price, which makes how much."""

    label: str
    tokens: int
    price: Price
    note: str = ""

    @property
    def cost(self) -> Decimal:
        return self.tokens * (self.price or Decimal(0)) / TOKENS_PER_PRICE

    @property
    def count_text(self) -> str:
        return f"{self.tokens:,}"

    @property
    def price_text(self) -> str:
        return money(self.price, "unknown")

    @property
    def cost_text(self) -> str:
        return money(self.cost)


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the ledger and what it says."""

    label: str
    value: str
    note: str = ""


class Explanation:
    """A charge, told: what was used, what it cost, who paid, and what that left."""

    def __init__(self, charge: Charge) -> None:
        self.charge = charge
        self.lines = list(_lines(charge))

    @property
    def whose(self) -> list[Fact]:
        charge = self.charge
        return [
            Fact("Key", charge.key.name),
            Fact("Model", charge.model_name),
            Fact("Provider", charge.provider_name),
            Fact("Time", moment(charge.created_at)),
            Fact("Request", charge.request_id),
        ]

    @property
    def cost(self) -> Decimal:
        """All lines together, rounded once, as the ledger does."""
        pairs = tuple((line.tokens, to_units(line.price or 0)) for line in self.lines)
        return to_usd(cost_units(pairs))

    @property
    def cost_text(self) -> str:
        return money(self.cost)

    @property
    def is_settled(self) -> bool:
        return self.charge.state == State.SETTLED

    @property
    def adds_up(self) -> bool:
        """Whether the tokens at their prices are what was paid and what was missing."""
        return not self.is_settled or self.cost == self.charge.fee + self.charge.shortfall

    @property
    def is_unpriced(self) -> bool:
        return any(line.tokens and line.price is None for line in self.lines)

    @property
    def payment(self) -> list[Fact]:
        charge = self.charge
        return [
            Fact("Hold", money(charge.hold), _covered(charge)),
            Fact("Fee", money(charge.fee), "What the key paid."),
            Fact("… by the month's quota", money(charge.quota_fee), _change(charge.month_fee_after, charge.quota_fee)),
            Fact("… by the balance", money(charge.balance_fee), _change(charge.balance_after, -charge.balance_fee)),
            Fact("Shortfall", money(charge.shortfall), "Nobody paid it." if charge.shortfall else ""),
            Fact(
                "Month's quota",
                money(charge.month_quota, "no limit"),
                charge.month.strftime("%B %Y") if charge.month else "",
            ),
        ]

    @property
    def course(self) -> list[Fact]:
        charge = self.charge
        return [
            Fact("State", charge.get_state_display()),
            Fact("Outcome", charge.get_outcome_display(), charge.error),
            Fact("Usage", charge.get_usage_source_display()),
            Fact("Endpoint", charge.endpoint + (", streamed" if charge.is_stream else "")),
            Fact("Requests sent", str(charge.attempts), charge.route),
            Fact("First byte", _seconds(charge.first_byte_ms)),
            Fact("Whole call", _seconds(charge.total_ms)),
        ]


def _lines(charge: Charge) -> Iterator[Line]:
    price = charge.price_in
    yield Line("Prompt", charge.input_tokens, price)
    yield _cached("Prompt, read from cache", charge.cached_read_tokens, charge.price_cached_read, price)
    yield _cached("Prompt, written to cache", charge.cached_write_tokens, charge.price_cached_write, price)
    reasoning = f"{charge.reasoning_tokens:,} of them reasoning" if charge.reasoning_tokens else ""
    yield Line("Answer", charge.output_tokens, charge.price_out, reasoning)


def _cached(label: str, tokens: int, own: Price, price_in: Price) -> Line:
    if own is None and price_in is not None:
        return Line(label, tokens, price_in, "at the input price: it has none of its own")
    return Line(label, tokens, own)


def _covered(charge: Charge) -> str:
    return f"Set aside for {charge.prompt_bound:,} prompt and {charge.output_bound:,} answer tokens at most."


def _change(after: Price, moved: Decimal) -> str:
    """`moved` is what the fee added: above zero for a counter, below for a balance."""
    return "" if after is None else f"{money(after - moved)} before, {money(after)} after"


def _seconds(milliseconds: int | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds / 1000:.2f} s"
