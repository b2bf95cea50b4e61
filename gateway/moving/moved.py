"""A thread that fits in here: who pays for it, what it cost, when it was."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from chat.services import partitions, retention
from common.money import TOKENS_PER_PRICE
from gateway.moving import texts
from gateway.moving.move import Move, whole_units
from gateway.moving.source import ThreadRow

TABLE = "eiai_thread"


@dataclass(slots=True)
class Moved:
    """Amounts are whole units of 10^-10 USD; prices per million tokens, None where the fee is taken on trust. Times are
    as the database takes them."""

    row: ThreadRow
    uuid: UUID
    key_id: int
    endpoint: str
    tokens_in: int
    tokens_out: int
    price_in: int | None
    price_out: int | None
    fee: int
    created_at: Any
    updated_at: Any
    month: date
    said: texts.Said
    said_in: date | None  # the month that it is kept in; None: nothing of it is kept
    session_key: str = ""
    session_title: str = ""
    session_id: int | None = None

    @property
    def is_weighed(self) -> bool:
        return self.price_in is not None


def moved(move: Move, row: ThreadRow) -> Moved | None:
    """None, and a line in the report, for a row that can be nobody's charge."""
    key_id, fee = move.keys.get(row.key_id), whole_units(row.fee)
    if key_id is None:
        move.report.left_out(TABLE, row.id, "its key was not brought over", f"key {row.key_id}")
        return None
    if fee is None or fee < 0:
        move.report.left_out(TABLE, row.id, "its fee is below zero, or no number", f"fee {row.fee}")
        return None
    tokens_in, tokens_out = row.tokens_in or 0, row.tokens_out or 0
    if min(tokens_in, tokens_out) < 0:
        move.report.left_out(TABLE, row.id, "its tokens are below zero", f"{tokens_in} in, {tokens_out} out")
        return None
    created_at = _created_at(move, row)
    updated_at, endpoint = move.moment(row.updated_at) or created_at, texts.endpoint_of(row)
    price_in, price_out = _prices(move, row, tokens_in, tokens_out, fee)
    said = texts.said(row, endpoint) if settings.HISTORY else texts.NOTHING
    return Moved(
        row=row,
        uuid=move.identity(TABLE, row.id),
        key_id=key_id,
        endpoint=endpoint,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price_in=price_in,
        price_out=price_out,
        fee=fee,
        created_at=connection.ops.adapt_datetimefield_value(created_at),
        updated_at=connection.ops.adapt_datetimefield_value(updated_at),
        month=move.month(created_at),
        said=said,
        said_in=_kept_in(move, row, said, created_at),
    )


def _created_at(move: Move, row: ThreadRow) -> datetime:
    found = move.moment(row.created_at) or move.moment(row.updated_at)
    if found is None:
        move.report.odd(TABLE, row.id, "its time is missing or can't be; it has the import's")
    return found or move.now


def _kept_in(move: Move, row: ThreadRow, said: texts.Said, created_at: datetime) -> date | None:
    if not said.has_text:
        return None
    since = retention.kept_since()
    if since is not None and created_at < since:
        move.report.odd(TABLE, row.id, "what was said is older than HISTORY_DAYS, and was left out")
        return None
    return partitions.month_of(created_at)


def _prices(
    move: Move, row: ThreadRow, tokens_in: int, tokens_out: int, fee: int
) -> tuple[int, int] | tuple[None, None]:
    if row.currency and row.currency.strip() not in ("", "USD"):
        move.report.odd(TABLE, row.id, "its fee has another currency's label; it counts as USD", row.currency)
    price_in, price_out = whole_units(row.price_in), whole_units(row.price_out)
    if price_in is None or price_out is None or min(price_in, price_out) < 0:
        move.report.odd(TABLE, row.id, "its prices are below zero, or no numbers; its fee is taken on trust")
        return None, None
    if tokens_in * price_in + tokens_out * price_out == fee:
        return price_in * TOKENS_PER_PRICE, price_out * TOKENS_PER_PRICE
    move.report.odd(TABLE, row.id, "its fee is not its tokens times its prices, and is taken on trust")
    return None, None
