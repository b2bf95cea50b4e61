"""Money: whole numbers of 10^-10 USD in the database and on the hot path, `Decimal` USD everywhere else.

SQLite keeps decimals as floats, and sums of floats drift; integers do not. 64 bits hold 922 million USD.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.forms import DecimalField
from django.utils.text import capfirst

DECIMALS = 10
LIMIT_USD = Decimal(900_000_000)
TOKENS_PER_PRICE = 1_000_000
_QUANTUM = Decimal(1).scaleb(-DECIMALS)


def to_units(amount: Decimal | int | str) -> int:
    """USD to whole units; raises ValueError for what is no number, too precise or too large."""
    try:
        value = Decimal(amount)
        if value.copy_abs() > LIMIT_USD:  # abs() overflows where the exponent is endless
            raise ValueError(f"an amount is at most {LIMIT_USD} USD")
        units = value.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        raise ValueError(f"{str(amount)!r} is not an amount in USD") from None
    if units != value:
        raise ValueError(f"an amount has at most {DECIMALS} decimals")
    return int(units.scaleb(DECIMALS))


def to_usd(units: int) -> Decimal:
    """Whole units to USD."""
    return Decimal(units).scaleb(-DECIMALS)


def show(units: int) -> str:
    """Whole units as a plain USD figure: at least two decimals, no exponent, no needless zeros."""
    return plain(to_usd(units))


def plain(amount: Decimal) -> str:
    """The same of an amount, with all of its decimals: those of a token's cost may be more than a charge's ten."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def cost_units(tokens_and_prices: tuple[tuple[int, int], ...]) -> int:
    """The cost of (tokens, price per million tokens in units) pairs, rounded once, half up, at the end."""
    total = sum(tokens * price for tokens, price in tokens_and_prices)
    return (total + TOKENS_PER_PRICE // 2) // TOKENS_PER_PRICE


def check_amount(value: Decimal) -> None:
    """For forms and `full_clean`; raises ValidationError."""
    try:
        to_units(value)
    except ValueError as error:
        raise ValidationError(f"{capfirst(str(error))}.", code="amount") from None


if TYPE_CHECKING:
    _Column = models.BigIntegerField[Decimal | int | None, Any]
else:
    _Column = models.BigIntegerField


class MoneyField(_Column):
    """An amount in USD: `Decimal` in Python, whole units of 10^-10 USD in a 64-bit column."""

    default_validators = [check_amount]

    def from_db_value(self, value: int | None, *_: object) -> Decimal | None:
        return None if value is None else to_usd(int(value))

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return to_usd(to_units(str(value)))
        except ValueError as error:
            raise ValidationError(str(error), code="amount") from None

    def get_prep_value(self, value: Any) -> int | None:
        return None if value is None else to_units(value if isinstance(value, Decimal) else str(value))

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def formfield(self, **kwargs: Any) -> Any:
        return models.Field.formfield(
            self, **{"form_class": DecimalField, "max_digits": 19, "decimal_places": DECIMALS, **kwargs}
        )
