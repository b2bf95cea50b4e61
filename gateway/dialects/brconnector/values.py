"""How this dialect writes money and times, and how it reads numbers that callers send."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.text import capfirst

from accounts.models import ApiKey
from common.money import DECIMALS, LIMIT_USD, TOKENS_PER_PRICE, to_units
from gateway.dialects.brconnector.refusals import Refusal

JSON = dict[str, Any]

LARGEST_ID = 2**63 - 1
LARGEST_ID_DIGITS = 19
NO_GROUP = 0


def money(amount: Decimal | int | None) -> str:
    """USD with ten decimals, as a text; more where a price per token has more."""
    return _exact(Decimal(amount or 0))


def price(per_million: Decimal | None) -> str:
    """What a token costs, from what a million of them cost. Unknown: 0."""
    return _exact(Decimal(per_million or 0) / TOKENS_PER_PRICE)


def _exact(value: Decimal) -> str:
    exponent = value.normalize().as_tuple().exponent
    decimals = max(DECIMALS, -exponent if isinstance(exponent, int) else 0)
    return f"{value:.{decimals}f}"


def quota_text(key: ApiKey) -> str:
    """No limit can't be told here, so it is the largest amount there is; sent back it means no limit again."""
    return money(LIMIT_USD if key.month_quota is None else key.month_quota)


def quota_of(amount: Decimal) -> Decimal | None:
    return None if amount == LIMIT_USD else amount


def time_text(moment: datetime) -> str:
    """UTC, to the millisecond, as JavaScript writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def amount_in(fields: Mapping[str, Any], name: str) -> Decimal:
    """An amount in USD from a JSON number or a text; raises Refusal for what is none."""
    value = fields[name]
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("give a number")
        amount = Decimal(str(value).strip())
        to_units(amount)
    except InvalidOperation:
        raise Refusal(f"{name}: Give a number.") from None
    except ValueError as error:
        raise Refusal(f"{name}: {capfirst(str(error))}.") from None
    return amount


def amount_or(fields: Mapping[str, Any], name: str, default: Decimal) -> Decimal:
    """The same where the amount may be left out: absent, null or blank."""
    return default if fields.get(name) in (None, "") else amount_in(fields, name)


def id_in(fields: Mapping[str, Any], name: str) -> int:
    """A row's number, from a number or a text of digits; raises Refusal."""
    value = fields[name]
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= LARGEST_ID_DIGITS and int(text) <= LARGEST_ID):
        raise Refusal(f"{name} is invalid")
    return int(text)


def needed_id(body: Mapping[str, Any], name: str = "id") -> int:
    """The same where it must be there. Raises Refusal, with "<name> is required"."""
    if not body.get(name):
        raise Refusal(f"{name} is required")
    return id_in(body, name)


def path_id(text: str) -> int:
    """The same from a path."""
    return id_in({"id": text}, "id")
