"""A cost by hand: each bucket's quantity times its price, all added up and rounded once."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from accounts.services.ledger.types import WHOLES, Bucket, Prices, Tokens
from common.money import TOKENS_PER_PRICE

PRICE = st.integers(0, 10**14)
COUNT = st.integers(0, 10**8)


@st.composite
def used(draw: st.DrawFn) -> tuple[Tokens, Prices]:
    """What a call may have used: parts never more than their whole."""
    counts = {name: draw(COUNT) for name in ("input", "cached_read", "cached_write", "output")}
    left, apart = dict(counts), list[Bucket]()
    for name, whole in WHOLES.items():
        count = draw(st.integers(0, left[whole])) if whole else draw(st.integers(0, 9))
        if whole:
            left[whole] -= count
        apart.append((name, count, draw(st.none() | PRICE) if whole else draw(PRICE)))
    prices = Prices(*(draw(st.none() | PRICE) for _ in range(4)))
    return Tokens(**counts, apart=tuple(draw(st.permutations(apart)))), prices


def by_hand(tokens: Tokens, prices: Prices) -> int:
    price_in = prices.input or 0
    usual = {
        "input": price_in,
        "cached_read": price_in if prices.cached_read is None else prices.cached_read,
        "cached_write": price_in if prices.cached_write is None else prices.cached_write,
        "output": prices.output or 0,
    }
    rest = {name: getattr(tokens, name) for name in usual}
    lines = []
    for name, count, price in tokens.apart:
        whole = WHOLES[name]
        if whole:
            rest[whole] -= count
        lines.append(count * (usual[whole or ""] if price is None else price))
    lines += [count * usual[name] for name, count in rest.items()]
    assert min(rest.values()) >= 0
    return int(Fraction(sum(lines), TOKENS_PER_PRICE) + Fraction(1, 2))


@given(used())
def test_a_cost_is_the_sum_of_its_lines(call: tuple[Tokens, Prices]) -> None:
    tokens, prices = call
    assert tokens.cost(prices) == by_hand(tokens, prices) >= 0
    assert tokens.counted_twice == 0
