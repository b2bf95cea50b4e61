"""One transaction of the ledger: what is waiting is decided in arrival order and committed together."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import astuple
from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from accounts.errors import Refused, StaleResolution
from accounts.models import Outcome, State, UsageSource
from accounts.services import rollups
from accounts.services.ledger import sql
from accounts.services.ledger.decisions import admit, first_of_month, settle, take_back
from accounts.services.ledger.limiting import deciding, rows
from accounts.services.ledger.limiting.counters import Counters
from accounts.services.ledger.limiting.windows import Clock
from accounts.services.ledger.types import (
    Account,
    Admission,
    Admitted,
    Deployment,
    Prices,
    Row,
    Settled,
    Settlement,
)
from common.database import pipelined

LIMITS = sql.OPEN_COLUMNS.split(", ").index("limits")
Request = Admission | Settlement
Result = Admitted | Settled | Refused | StaleResolution


class Batch:
    """Decides requests on the rows it locked, and writes the outcome of all of them in few statements."""

    def __init__(self, connection: BaseDatabaseWrapper, worker_id: uuid.UUID | None) -> None:
        self.connection = connection
        self.worker_id = _adapt_uuid(connection, worker_id)
        self.admitted: list[Row] = []
        self.settled_here: list[Row] = []
        self.settled_elsewhere: list[Row] = []
        self.over: list[int] = []  # charges that end here, for their day's spend
        self.taken_back: list[int] = []

    def run(self, requests: Sequence[Request]) -> list[Result]:
        """Commit all of them; each gets its own result, in the same order. Raises what the database raises."""
        with transaction.atomic(using=self.connection.alias):
            key_ids = {each.key_id for each in requests}
            settled = [each.request_id for each in requests if isinstance(each, Settlement)]
            self.accounts, self.version, self.holds = sql.lock_accounts(self.connection, key_ids, settled)
            self._look_at_the_clock()
            self.counters = self._lock_counters(requests)
            for account in self.accounts.values():
                account.turn_month(self.month)
            results = [self._decide(request) for request in requests]
            rollups.take_back(self.connection, self.taken_back)  # before they are written anew
            with pipelined(self.connection):
                self._write()
                rollups.add(self.connection, self.over, self.now)
                self._record([result for result in results if isinstance(result, Settled)])
        return results

    def _look_at_the_clock(self) -> None:
        """With the locks in hand, so that whoever waited for them is not counted in a window that is over."""
        self.now: datetime = timezone.now()
        self.stamp: Any = self.connection.ops.adapt_datetimefield_value(self.now)
        self.month = first_of_month(timezone.localtime(self.now))

    def _lock_counters(self, requests: Sequence[Request]) -> Counters:
        admissions = (each for each in requests if isinstance(each, Admission))
        claims = (each.every_claim for each in admissions if each.config_version == self.version)
        entries = (orjson.loads(row[LIMITS]) for row in self.holds.values())
        clock = Clock(self.now)
        wanted = rows.wanted_for(clock, chain.from_iterable(claims), chain.from_iterable(entries))
        return rows.lock(self.connection, clock, wanted)

    def _decide(self, request: Request) -> Result:
        if isinstance(request, Settlement):
            return self._settle(request)
        try:
            admitted = admit(request, self.accounts.get(request.key_id), self.counters, self.version)
        except (Refused, StaleResolution) as refusal:
            return refusal
        self.admitted.append(self._charge_row(request, admitted))
        return admitted

    def _charge_row(self, request: Admission, admitted: Admitted) -> Row:
        identity = (_adapt_uuid(self.connection, uuid.uuid4()), self.stamp, self.stamp, request.request_id)
        start = (request.key_id, self.worker_id, request.endpoint, request.is_stream)
        state = (State.HELD.value, Outcome.RUNNING.value, "")
        # The first of those that its limits have left.
        deployment = admitted.options[0].deployment if admitted.options else request.deployment
        where = _names(deployment)
        nothing_yet = (1, "", 0, 0, 0, 0, 0, UsageSource.NONE.value)
        bounds = (request.prompt_bound, admitted.output_bound, admitted.hold)
        costs = (0, 0, 0, 0, request.group_id or 0, str(request.price_ratio))
        told = (orjson.dumps(request.tags).decode(), orjson.dumps(admitted.entries).decode())
        return (*identity, *start, *state, *where, *nothing_yet, *astuple(deployment.prices), *bounds, *costs, *told)

    def _settle(self, request: Settlement) -> Settled:
        row = self.holds.pop(request.request_id, None)
        account = self.accounts.get(request.key_id)
        if row is None or account is None:
            return Settled(request)  # settled before, by a try whose answer was lost
        _, charge_id, state, hold, limits, *where_paid_and_prices = row
        provider_id, model_name, month, quota_fee, balance_fee, *prices = where_paid_and_prices
        place = request.deployment.place if request.deployment else (provider_id, model_name)
        if state != State.HELD and request.outcome == Outcome.SERVER_STOPPED:
            return Settled(request)  # two sweeps at once
        dues = deciding.take_out(orjson.loads(limits), state == State.HELD, place, self.counters)
        if state != State.HELD:
            # A sweep took this process for dead and guessed; it lives and knows.
            take_back(account, month, quota_fee, balance_fee)
            self.taken_back.append(charge_id)
            hold = 0
        used = request.deployment.prices if request.deployment else Prices(*prices)
        split = settle(request, account, hold, used, deciding.most_fee(dues))
        entries = deciding.count(dues, request, split.fee, self.counters)
        row = (*self._settlement_row(request), *astuple(split))
        self._keep(request, charge_id, row, account, entries)
        return Settled(request, charge_id, split.fee, split.shortfall)

    def _settlement_row(self, request: Settlement) -> Row:
        state = State.RELEASED if request.is_release else State.SETTLED
        tokens = request.tokens
        counts = (tokens.input, tokens.cached_read, tokens.cached_write, tokens.output, tokens.reasoning)
        story = (
            self.stamp,
            state.value,
            request.outcome.value,
            request.error[:500].replace("\0", ""),
            request.attempts,
            request.route[:500],
        )
        return (*story, *counts, request.usage_source.value)

    def _keep(
        self, request: Settlement, charge_id: int, row: Row, account: Account, entries: list[deciding.Entry]
    ) -> None:
        self.over.append(charge_id)
        after = (account.month, account.month_quota, account.month_fee, account.balance)
        row = (*row, *after, request.first_byte_ms, request.total_ms, self.stamp, orjson.dumps(entries).decode())
        if request.deployment is None:
            self.settled_here.append((*row, charge_id))
        else:
            where = (*_names(request.deployment), *astuple(request.deployment.prices))
            apart = orjson.dumps(request.tokens.apart).decode()
            self.settled_elsewhere.append((*row, *where, apart, charge_id))

    def _write(self) -> None:
        for statement, changed in (
            (sql.INSERT_CHARGE, self.admitted),
            (sql.SETTLE_CHARGE, self.settled_here),
            (sql.SETTLE_CHARGE_ELSEWHERE, self.settled_elsewhere),
            (sql.UPDATE_ACCOUNT, [self._account_row(each) for each in self.accounts.values() if each.changed]),
        ):
            sql.run_many(self.connection, statement, changed)
        rows.write(self.connection, self.counters)

    def _account_row(self, account: Account) -> Row:
        counters = (account.month, account.month_fee, account.balance, account.held, account.spent)
        return (*counters, self.stamp, account.id)

    def _record(self, results: Sequence[Settled]) -> None:
        by_writer: dict[Callable[..., None], list[Settled]] = {}
        for result in results:
            # A key revoked meanwhile leaves its charge and no words: who had them removed would find them again.
            is_kept = result.charge_id and self.accounts[result.settlement.key_id].is_active
            for record in (result.settlement.record, result.settlement.answer) if is_kept else ():
                if record is not None:
                    by_writer.setdefault(record.write, []).append(result)
        for write, settled in by_writer.items():
            write(self.connection, settled)


def _names(deployment: Deployment) -> Row:
    return (
        deployment.model_id,
        deployment.provider_id,
        deployment.model_name,
        deployment.provider_name,
        deployment.upstream_name,
    )


def _adapt_uuid(connection: BaseDatabaseWrapper, value: uuid.UUID | None) -> Any:
    if value is None or connection.features.has_native_uuid_field:
        return value
    return value.hex
