"""What a call to a model costs: at which moment, with how long a prompt, for whom. In units, see `common.money`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from common.money import TOKENS_PER_PRICE, to_units
from providers.models import PRICE_FIELDS, RARE_PRICES, AIModel, ModelPrice

Four = tuple[int | None, int | None, int | None, int | None]

RATIO_DECIMALS = 4
SAME: int = 10**RATIO_DECIMALS  # the ratio 1
REASONING = "reasoning"
REQUEST = "request"
ALWAYS = float("-inf")
# What the columns take at most: a ratio leads no further, so that every cost fits 64 bits.
DEAREST = to_units(10_000)
DEAREST_REQUEST = to_units(10) * TOKENS_PER_PRICE


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices per million, from more than so many prompt tokens on. `four`: input, output, cached read, cached write.
    `rare`: what else has a price of its own. A request's price is per million requests, too."""

    above_tokens: int
    four: Four
    rare: tuple[tuple[str, int], ...] = ()

    @property
    def dearest_input(self) -> int:
        """Writing a cache may cost more than plain input; so may images and sound."""
        return max(price or 0 for price in (self.four[0], *self.four[2:], *self._rare("_in", "_1h")))

    @property
    def dearest_output(self) -> int:
        return max(price or 0 for price in (self.four[1], *self._rare("_out", REASONING)))

    @property
    def request(self) -> int:
        return next((price for name, price in self.rare if name == REQUEST), 0)

    def _rare(self, *endings: str) -> list[int]:
        return [price for name, price in self.rare if name.endswith(endings)]

    def times(self, ratio: int) -> "Rates":
        """For a group that pays another price; `ratio` in ten-thousandths."""
        if ratio == SAME:
            return self
        input_, output, read, write = (None if price is None else _times(price, ratio) for price in self.four)
        rare = tuple(
            (name, _times(price, ratio, DEAREST_REQUEST if name == REQUEST else DEAREST)) for name, price in self.rare
        )
        return Rates(self.above_tokens, (input_, output, read, write), rare)


NOTHING = Rates(0, (None, None, None, None))


def _times(price: int, ratio: int, dearest: int = DEAREST) -> int:
    """Rounded half up to whole units per million, as it is then written down with the charge."""
    return min((price * ratio + SAME // 2) // SAME, dearest)


def ratio_of(ratio: Decimal) -> int:
    """In ten-thousandths."""
    return int(ratio.scaleb(RATIO_DECIMALS))


Tiers = tuple[Rates, ...]  # by `above_tokens`, from 0 on


@dataclass(frozen=True, slots=True)
class PriceList:
    """All prices of a model from a moment (seconds since 1970) until the next list's."""

    valid_from: float
    tiers: Tiers


def tier_for(tiers: Tiers, prompt_tokens: int) -> Rates:
    """The last tier that the prompt is long enough for: it is the price of all of the call's tokens."""
    return next((each for each in reversed(tiers) if prompt_tokens > each.above_tokens), tiers[0])


def list_at(lists: Sequence[PriceList], moment: float) -> PriceList:
    return next((each for each in reversed(lists) if each.valid_from <= moment), lists[0])


def lists_of(model: AIModel, rows: Iterable[ModelPrice]) -> tuple[PriceList, ...]:
    """The model's price lists in their order; the first one holds before all others."""
    by_time = sorted(rows, key=lambda row: row.valid_from)
    first = next((_rates(row) for row in by_time if not row.above_tokens), Rates(0, _four(model)))
    lists = [PriceList(ALWAYS, (first,))]
    latest: dict[int, ModelPrice] = {}
    for row in by_time:
        latest[row.above_tokens] = row
        found = PriceList(row.valid_from.timestamp(), _tiers(first, latest))
        lists = [*(each for each in lists if each.valid_from != found.valid_from), found]
    return tuple(lists)


def _tiers(first: Rates, latest: dict[int, ModelPrice]) -> Tiers:
    base = _rates(latest[0]) if 0 in latest else first
    tiers = [base]
    for above in sorted(set(latest) - {0}):
        found = _rates(latest[above], tiers[-1])
        if replace(found, above_tokens=tiers[-1].above_tokens) != tiers[-1]:  # an empty row ends its tier
            tiers.append(found)
    return tuple(tiers)


def _rates(row: ModelPrice, below: Rates = NOTHING) -> Rates:
    """What a tier does not say is as in the one below. A base row says all, so nothing is below it."""
    input_, output, read, write = (below.four[at] if price is None else price for at, price in enumerate(_four(row)))
    own = {name: price for name, column in RARE_PRICES.items() if (price := _rare(row, name, column)) is not None}
    return Rates(row.above_tokens, (input_, output, read, write), tuple((dict(below.rare) | own).items()))


def _four(row: AIModel | ModelPrice) -> Four:
    price_in, price_out, read, write = (_units(getattr(row, name)) for name in PRICE_FIELDS)
    return price_in, price_out, read, write


def _rare(row: ModelPrice, name: str, column: str) -> int | None:
    units = _units(getattr(row, column))
    return units * TOKENS_PER_PRICE if units is not None and name == REQUEST else units


def _units(price: Any) -> int | None:
    return None if price is None else to_units(price)


def is_plain(tiers: Tiers) -> bool:
    """Whether four prices say it all."""
    return len(tiers) == 1 and not tiers[0].rare


def tiers_at(*, model: AIModel, moment: datetime) -> Tiers:
    """What calls that began then had to pay, as far as is known now: for re-rating, and for showing."""
    return list_at(lists_of(model, model.price_list.all()), moment.timestamp()).tiers
