"""What tests of limits share: a clock to turn, and calls that go through the ledger's own transaction."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from accounts.errors import LimitReached
from accounts.models import (
    ApiKey,
    Charge,
    DayOfSpend,
    Limit,
    LimitCounter,
    LimitNotice,
    Metric,
    Outcome,
    Payment,
    Subject,
    UsageSource,
    Window,
    Worker,
)
from accounts.models.limits import NO_START
from accounts.services import limits
from accounts.services.keys import IssuedKey
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.limiting.rules import EVERYONE, Book, load_book
from accounts.services.ledger.types import Admission, Admitted, Deployment, Option, Prices, Settled, Settlement, Tokens
from common.models import ConfigVersion
from common.money import to_usd

UNIT = 10**6  # a price at which one token costs one unit of money
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is turned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime = NOON) -> None:
        self.now = now
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    """A ledger's batch, one request at a time, for one key."""

    def __init__(self, key: IssuedKey, tags: Iterable[str] = ()) -> None:
        self.key = key.key
        self.tags = tuple(tags)
        self.worker = Worker.objects.get_or_create(identity="tests", defaults={"seen_at": timezone.now()})[0]

    def ask(self, book: Book | None = None, **fields: Any) -> Admission:
        """A call for one token of prompt and one of answer, unless said otherwise; a token costs one unit."""
        book = load_book() if book is None else book
        key = self.key
        claims = [
            *book.of(Subject.EVERYONE, EVERYONE),
            *book.of(Subject.KEY, key.pk),
            *book.of(Subject.EMAIL, key.email),
        ]
        claims += [claim for tag in self.tags for claim in book.of(Subject.TAG, tag)]
        asked = Admission(
            request_id=uuid4().hex, key_id=key.pk, group_id=key.group_id, all_models=True,
            config_version=ConfigVersion.current(), endpoint="chat", is_stream=False, deployment=place(),
            prompt_bound=1, output_bound=1, choices=1, hold_price_in=UNIT, hold_price_out=UNIT, can_lower_output=True,
            email=key.email, tags=self.tags, claims=tuple(claims),
        )  # fmt: skip
        return replace(asked, **fields)

    def admit(self, asked: Admission | None = None, **fields: Any) -> Admitted:
        """Let a call in; raises what refuses it."""
        (result,) = Batch(connection, self.worker.uuid).run([asked or self.ask(**fields)])
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, Admitted)
        return result

    def settle(self, admitted: Admitted, prompt: int = 1, output: int = 1, **fields: Any) -> Settled:
        """End a call with what it has used."""
        source = UsageSource.REPORTED
        used = Settlement(admitted.request_id, admitted.key_id, Outcome.OK, None, Tokens(prompt, output=output), source)
        return self.end(replace(used, **fields))

    def release(self, admitted: Admitted, outcome: Outcome = Outcome.UPSTREAM_ERROR) -> Settled:
        return self.end(Settlement(admitted.request_id, admitted.key_id, outcome))

    def end(self, settlement: Settlement) -> Settled:
        (result,) = Batch(connection, self.worker.uuid).run([settlement])
        assert isinstance(result, Settled)
        return result


def place(provider_id: int = 1, name: str = "m") -> Deployment:
    return Deployment(1, provider_id, name, "p", "u", Prices(UNIT, UNIT))


def option(book: Book, provider_id: int, name: str = "m", *, is_first: bool = True) -> Option:
    """A place with the limits of its model and its provider."""
    model, provider = (Subject.MODEL.value, name), (Subject.PROVIDER.value, str(provider_id))
    return Option(place(provider_id, name), (*book.of(*model, model), *book.of(*provider, provider)), is_first)


def counts(**filters: Any) -> list[tuple[int, int]]:
    """(used, held) of all counters, in the order of their windows."""
    sliding = Limit.objects.filter(is_sliding=True).values("pk")  # whose first rows are for locking alone
    rows = LimitCounter.objects.filter(**filters).exclude(starts_at=NO_START, limit_id__in=sliding)
    return list(rows.order_by("starts_at", "member").values_list("used", "held"))


def limit(most: int = 3, metric: str = Metric.REQUESTS, window: str = Window.MINUTE, **fields: Any) -> Limit:
    amount = to_usd(most) if metric == Metric.COST else most
    return limits.add(**{"name": f"limit {metric}", "metric": metric, "window": window, "most": amount, **fields})


def made_up(name: str, *, metric: str, window: str, is_sliding: bool, **fields: Any) -> Limit:
    """Of a kind that was drawn: what can't slide does not."""
    slides = is_sliding and window != Window.TOTAL and metric != Metric.PARALLEL
    return limit(name=name, metric=metric, window=window, is_sliding=slides, **fields)


def begin_anew() -> None:
    """For each example that was drawn: a fixture runs once for all of them."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Payment._meta.db_table}")  # whose own ways of removal refuse
    for table in (LimitNotice, LimitCounter, Limit, DayOfSpend, Charge, ApiKey):
        table.objects.all().delete()


def let_in(desk: Desk, calls: int, **fields: Any) -> list[Admitted]:
    """Those that got in."""
    found = []
    for _ in range(calls):
        try:
            found.append(desk.admit(**fields))
        except LimitReached:
            continue
    return found
