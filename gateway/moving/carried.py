"""Carried charges: what a key's books there say beyond the threads that are here yet.

BRConnector keeps totals of a key beside its threads, and not every call left a thread. So a key comes with at most two
charges that are taken on trust: one for the month that its month_fee belongs to, one for all before. Each thread's
charge then takes its part out of them. What is left in the end was paid there by calls that left no thread.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Q

from accounts.models import Charge, Outcome, State, UsageSource
from accounts.services import rollups
from accounts.services.ledger.sql import Update, run_many
from common.money import to_units, to_usd
from gateway.moving.move import Move, lock_keys

ENDPOINT = "carried"
KEYS_AT_ONCE = 500
UPDATE_CHARGE = Update(Charge._meta.db_table, ("updated_at", "fee", "quota_fee", "balance_fee"))
Place = tuple[int, date | None]  # a key's id there, and a month; None: before all months that are told apart


@dataclass(slots=True)
class Rest:
    """One carried charge. Amounts in 10^-10 USD."""

    charge_id: int = 0
    quota: int = 0
    balance: int = 0
    has_changed: bool = False

    @property
    def fee(self) -> int:
        return self.quota + self.balance

    def take(self, fee: int) -> tuple[int, int]:
        """The quota's and the balance's part of a fee that is no more than there is; the quota pays first."""
        quota = min(fee, self.quota)
        self.quota -= quota
        self.balance -= fee - quota
        self.has_changed = True
        return quota, fee - quota


@dataclass(frozen=True, slots=True)
class Taken:
    """Who paid for one thread, and of which month's quota; None: one that no counter has any more."""

    quota: int
    balance: int
    month: date | None


@dataclass(slots=True)
class Rests:
    """The carried charges of some keys. `excess`: by key, what threads cost beyond all that the key has there."""

    found: dict[Place, Rest]
    excess: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, move: Move, places: Iterable[Place]) -> "Rests":
        """Those that are here, under lock unless it is a dry run."""
        by_uuid = {move.identity("eiai_key", name_of(*place)): place for place in places}
        rows = Charge.objects.filter(uuid__in=by_uuid).order_by("pk")
        values = (rows if move.is_dry else rows.select_for_update()).values_list(
            "uuid", "pk", "quota_fee", "balance_fee"
        )
        return cls({by_uuid[row[0]]: Rest(row[1], to_units(row[2]), to_units(row[3])) for row in values})

    def take(self, place: Place, fee: int) -> Taken:
        """What a thread takes. Where the month has less, it was paid before: no counter of a month may grow by it."""
        month = self.found.get(place)
        if month and month.fee >= fee:
            return Taken(*month.take(fee), place[1])
        before = self.found.get((place[0], None), Rest())
        part = min(fee, before.fee)
        quota, balance = before.take(part)
        if fee > part:
            self.excess[place[0]] = self.excess.get(place[0], 0) + fee - part
        return Taken(quota + fee - part, balance, None)

    def store(self, now: datetime) -> None:
        """Write what changed, and count it anew in its days. The keys are locked."""
        moment = connection.ops.adapt_datetimefield_value(now)
        changed = [rest for rest in self.found.values() if rest.has_changed and rest.charge_id]
        rows = [(moment, rest.fee, rest.quota, rest.balance, rest.charge_id) for rest in changed]
        ids = [rest.charge_id for rest in changed]
        rollups.take_back(connection, ids)
        run_many(connection, UPDATE_CHARGE, rows)
        rollups.add_each(connection, ids)


def name_of(key: int, month: date | None) -> str:
    return f"{key}/{month:%Y-%m}" if month else f"{key}/before"


def charge_of(move: Move, place: Place, key_id: int, rest: Rest, when: datetime) -> Charge:
    """A carried charge that is not stored yet."""
    name = name_of(*place)
    return Charge(
        uuid=move.identity("eiai_key", name),
        request_id=f"{move.source.name}/key/{name}",
        key_id=key_id,
        endpoint=ENDPOINT,
        state=State.SETTLED,
        outcome=Outcome.OK,
        usage_source=UsageSource.CARRIED,
        model_name="carried over",
        provider_name=move.source.name,
        prompt_bound=0,
        output_bound=0,
        hold=0,
        fee=to_usd(rest.fee),
        quota_fee=to_usd(rest.quota),
        balance_fee=to_usd(rest.balance),
        month=place[1],
        settled_at=when,
        created_at=when,
        updated_at=when,
    )


def of_source(move: Move) -> Q:
    """The charges that came from there."""
    return Q(provider_name=move.source.name, request_id__startswith=f"{move.source.name}/")


def forget_empty(move: Move) -> None:
    """Once all threads are here, a carried charge of nothing stands for nothing."""
    keys = sorted(filter(None, move.keys.values()))
    for start in range(0, len(keys), KEYS_AT_ONCE):
        _forget_empty(move, keys[start : start + KEYS_AT_ONCE])


@transaction.atomic
def _forget_empty(move: Move, keys: list[int]) -> None:
    lock_keys(keys)
    empty = Charge.objects.order_by().filter(of_source(move), key__in=keys, endpoint=ENDPOINT, fee=0)
    ids = list(empty.values_list("pk", flat=True))
    rollups.take_back(connection, ids)
    Charge.objects.filter(pk__in=ids).delete()
