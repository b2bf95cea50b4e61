"""Threads: each becomes a settled charge, and an exchange in a session of the same key.

Their fees are in the books already, in the carried charges that came with the key: a thread's charge takes its part
out of those. So the key's counters are right before, between and after the batches.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Value

from accounts.models import ApiKey, Charge, Outcome, State, UsageSource
from accounts.services import rollups
from accounts.services.ledger.sql import Insert, columns, run_many
from chat.services import partitions
from chat.services.conversations import INSERT_BODY, INSERT_THREAD
from common.money import MoneyField, show, to_usd
from gateway.moving import carried, sessions, texts
from gateway.moving.carried import Rests
from gateway.moving.move import Move, lock_keys, stored_uuid
from gateway.moving.moved import TABLE, Moved, moved
from gateway.moving.source import ThreadRow

UNKNOWN_MODEL = "unknown"  # BRConnector has a column for it, and never filled it in
LONGEST_MS = 2**31 - 1
INSERT_CHARGE = Insert(
    Charge._meta.db_table,
    columns(
        "uuid created_at updated_at request_id key_id endpoint is_stream state outcome error model_id model_name "
        "provider_name upstream_name attempts route input_tokens cached_read_tokens cached_write_tokens output_tokens "
        "reasoning_tokens usage_source price_in price_out prompt_bound output_bound hold fee quota_fee balance_fee "
        "shortfall month first_byte_ms total_ms settled_at"
    ),
)


def move_threads(move: Move) -> None:
    """Batch by batch, each in a transaction of its own; what an earlier run brought is not even read."""
    move.progress.begin("threads", move.source.count(TABLE))
    namer = sessions.Namer(move)
    months: set[date] = set()
    for ids in move.source.ids(TABLE, move.batch):
        uuids = {move.identity(TABLE, each): each for each in ids}
        known = {uuids[uuid] for uuid in _charges(uuids)}
        rows = move.source.those(TABLE, ThreadRow, "id", [each for each in ids if each not in known])
        fitting = [each for row in rows if (each := moved(move, row)) is not None]
        namer.name(fitting)
        if fitting and not move.is_dry:
            _make_months(fitting, months)
            _write(move, fitting)
        move.report.here(TABLE, len(known))
        move.report.added(TABLE, len(fitting))
        move.progress.advance(len(ids))
    if not move.is_dry:
        carried.forget_empty(move)


def _charges(uuids: Iterable[UUID]) -> dict[UUID, int]:
    """The ids of those threads' charges that are here."""
    return dict(Charge.objects.order_by().filter(uuid__in=list(uuids)).values_list("uuid", "id"))


def _make_months(fitting: list[Moved], made: set[date]) -> None:
    """Before the batch, as it takes a lock that calls wait behind."""
    wanted = {each.said_in for each in fitting if each.said_in} - made
    for month in sorted(wanted):
        partitions.make(month)
    made |= wanted


@transaction.atomic
def _write(move: Move, fitting: list[Moved]) -> None:
    places = {place for each in fitting for place in ((each.row.key_id, each.month), (each.row.key_id, None))}
    lock_keys({each.key_id for each in fitting})
    rests = Rests.of(move, places)
    run_many(connection, INSERT_CHARGE, [_charge_row(move, each, rests) for each in fitting])
    rests.store(move.now)
    _add_to_spent(move, rests)
    sessions.write(move, fitting)
    charges = _charges(each.uuid for each in fitting)
    rollups.add_each(connection, list(charges.values()))
    exchanges = [each for each in fitting if settings.HISTORY or each.session_id is not None]
    run_many(connection, INSERT_THREAD, [_exchange_row(each, charges[each.uuid]) for each in exchanges])
    run_many(connection, INSERT_BODY, [_body_row(each, charges[each.uuid]) for each in exchanges if each.said_in])


def _add_to_spent(move: Move, rests: Rests) -> None:
    """What threads cost beyond all that their keys' rows know of: figures that don't agree with one another."""
    for key, units in sorted(rests.excess.items()):
        more = Value(to_usd(units), output_field=MoneyField())
        ApiKey.objects.filter(pk=move.keys[key]).update(spent=F("spent") + more)
        reason = "its threads cost more than its total_fee, and count in full"
        move.report.odd("eiai_key", key, reason, f"by {show(units)} USD")


def _charge_row(move: Move, each: Moved, rests: Rests) -> tuple[Any, ...]:
    """In the order of the statement's columns."""
    row, taken = each.row, rests.take((each.row.key_id, each.month), each.fee)
    model = row.model_id or 0
    return (
        *(stored_uuid(each.uuid), each.created_at, each.updated_at),
        *(f"{move.source.name}/thread/{row.id}", each.key_id),
        *(each.endpoint, each.endpoint == texts.CHAT and not row.thread_type),
        *(State.SETTLED.value, Outcome.OK.value, ""),
        *(move.models.get(model), move.model_names.get(model, UNKNOWN_MODEL), move.source.name, "", 1, ""),
        *(each.tokens_in, 0, 0, each.tokens_out, 0),
        (UsageSource.REPORTED if each.is_weighed else UsageSource.CARRIED).value,
        *(each.price_in, each.price_out, each.tokens_in, each.tokens_out, 0),
        *(each.fee, taken.quota, taken.balance, 0, connection.ops.adapt_datefield_value(taken.month)),
        *(_milliseconds(row.first_byte_latency), _milliseconds(row.invocation_latency), each.updated_at),
    )


def _milliseconds(value: int | None) -> int | None:
    """There 0 says that nothing was measured."""
    return value if value and 0 < value <= LONGEST_MS else None


def _exchange_row(each: Moved, charge_id: int) -> tuple[Any, ...]:
    """As the gateway itself would have kept it."""
    identity = (stored_uuid(each.uuid), each.created_at, each.updated_at)
    return (*identity, charge_id, each.key_id, each.session_id, "", each.said.is_truncated)


def _body_row(each: Moved, charge_id: int) -> tuple[Any, ...]:
    said = each.said
    return (charge_id, each.created_at, said.prompt, said.messages, said.completion, said.reasoning, "[]")
