"""What the steps of a move share: where from, how, and who a row becomes here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services.ledger.decisions import first_of_month
from common.money import DECIMALS
from gateway.moving.progress import Progress
from gateway.moving.report import Report
from gateway.moving.source import Source

# What lies before this, or after now, was never the time of a call: no vendor's API for language models is older.
EARLIEST, LATEST = datetime(2020, 1, 1), datetime(9999, 1, 1)
NAMESPACE = UUID("0f7b6a0e-53a1-4c53-9d53-3a5e1c6c2f4b")  # of all rows that were moved in


@dataclass
class Move:
    """One run. The maps lead from a row's id there to its id here; in a dry run a row that would be made has 0."""

    source: Source
    is_dry: bool
    batch: int
    zone: ZoneInfo
    report: Report
    progress: Progress
    now: datetime = field(default_factory=timezone.now)
    models: dict[int, int] = field(default_factory=dict)
    model_names: dict[int, str] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    keys: dict[int, int] = field(default_factory=dict)

    def identity(self, table: str, name: int | str) -> UUID:
        """Always the same for the same row, so that a second run finds what the first one made."""
        return uuid5(NAMESPACE, f"{self.source.name}/{table}/{name}")

    def moment(self, value: datetime | None) -> datetime | None:
        """A time that was stored without a zone; None for one that can't be."""
        if value is None or not EARLIEST <= value.replace(tzinfo=None) < LATEST:
            return None
        found = (value if value.tzinfo else value.replace(tzinfo=self.zone)).astimezone(UTC)
        return found if found <= self.now else None

    def month(self, moment: datetime) -> date:
        """The month whose quota pays at that moment."""
        return first_of_month(timezone.localtime(moment))


def whole_units(value: Decimal | None) -> int | None:
    """An amount of theirs in 10^-10 USD, which is what their columns hold; None where it is no number."""
    if value is None:
        return 0
    return int(value.scaleb(DECIMALS)) if value.is_finite() else None


def lock_keys(ids: Iterable[int]) -> None:
    """As whoever writes their money or days of spend does: until the transaction ends, calls of these keys wait."""
    list(ApiKey.objects.select_for_update().filter(pk__in=list(ids)).order_by("pk").values_list("pk", flat=True))


def stored_uuid(value: UUID) -> Any:
    """As the database has it."""
    return value if connection.features.has_native_uuid_field else value.hex


def create_with_times(rows: Iterable[Model]) -> None:
    """Insert rows with their own times, where `bulk_create` alone would give them today's."""
    made = list(rows)
    if not made:
        return
    names = ["created_at", "updated_at"]
    times = [[getattr(row, name) for name in names] for row in made]
    manager = type(made[0])._default_manager
    manager.bulk_create(made)
    for row, own in zip(made, times, strict=True):
        for name, value in zip(names, own, strict=True):
            setattr(row, name, value)
    manager.bulk_update(made, names)
