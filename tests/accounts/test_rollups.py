"""Days of spend are what their charges come to: after each settlement, after a guess is taken back, after a rebuild."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import ApiKey, Charge, DayOfSpend, Outcome, UsageSource
from accounts.services import rollups
from accounts.services.keys import IssuedKey
from accounts.services.ledger import sweep
from accounts.services.ledger.audit import audit
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.types import Deployment, Prices, Settlement, Tokens
from providers.models import AIModel
from tests import factories
from tests.accounts.test_writer import USD, admission, done, orphan
from tests.console import rows

UPSERTED = [*rollups.GROUPS, *rollups.COUNTS]


@pytest.fixture
def model(database: None) -> AIModel:
    return factories.model(factories.provider(name="north"))


@pytest.fixture
def key(model: AIModel) -> IssuedKey:
    return factories.key(month_quota=Decimal("0.01"))


@pytest.fixture
def deployment(model: AIModel) -> Deployment:
    return Deployment(model.pk, model.provider_id, "echo", "north", "u", Prices(0, 1000 * USD))


def run(*requests: Any) -> None:
    Batch(connection, None).run(requests)


def nothing_used(asked: Any, outcome: Outcome = Outcome.UPSTREAM_ERROR) -> Settlement:
    return done(asked, tokens=Tokens(), outcome=outcome, usage_source=UsageSource.NONE)


def stored() -> list[dict[str, Any]]:
    return list(DayOfSpend.objects.order_by(*rollups.GROUPS).values(*UPSERTED))


def breaks() -> list[str]:
    return [each.rule for each in audit() if "worker that answers" not in each.rule]


def test_calls_that_end_are_added_to_their_day(key: IssuedKey, deployment: Deployment) -> None:
    group = factories.group()
    ApiKey.objects.update(group=group)
    asked = [admission(key, deployment, group_id=group.pk) for _ in range(4)]
    run(*asked)
    run(done(asked[0]), done(asked[1]), nothing_used(asked[2]))
    run(done(asked[3], tokens=Tokens(1, 2, 3, 4, 1)))
    (day,) = DayOfSpend.objects.all()
    assert (day.day, day.key_id, day.group_id) == (timezone.localdate(), key.key.pk, group.pk)
    assert (day.model_name, day.provider_name, day.tags) == ("echo", "north", "")
    assert (day.calls, day.failed, day.output_tokens, day.reasoning_tokens) == (4, 1, 6, 1)
    assert (day.input_tokens, day.cached_read_tokens, day.cached_write_tokens) == (1, 2, 3)
    key.key.refresh_from_db()
    assert day.fee == day.quota_fee == key.key.spent == Decimal("0.006")
    assert breaks() == []


def test_a_running_call_counts_for_nothing_yet(key: IssuedKey, deployment: Deployment) -> None:
    run(admission(key, deployment))
    assert stored() == []


def test_a_call_counts_where_it_was_served(key: IssuedKey, deployment: Deployment) -> None:
    elsewhere = Deployment(None, None, "echo", "south", "u", Prices(0, 500 * USD))
    asked = admission(key, deployment)
    run(asked)
    run(done(asked, deployment=elsewhere))
    assert [day["provider_name"] for day in stored()] == ["south"]
    assert breaks() == []


def test_tags_are_kept_in_order(key: IssuedKey, deployment: Deployment) -> None:
    asked = [admission(key, deployment) for _ in range(3)]
    run(*asked)
    for request, tags in zip(asked, (["b", "a"], ["a", "b"], ["é", "Z", "ü"]), strict=True):
        Charge.objects.filter(request_id=request.request_id).update(tags=tags)
    run(*map(done, asked))
    assert {day["tags"]: day["calls"] for day in stored()} == {"a,b": 2, "Z,é,ü": 1}
    assert breaks() == []


def test_what_a_sweep_guessed_is_taken_from_the_day_that_it_was_added_to(
    key: IssuedKey, deployment: Deployment
) -> None:
    _, (lost, swept) = orphan(key, deployment, calls=2)
    assert sweep.sweep().settled == 2
    then = timezone.now() - timedelta(days=3)
    Charge.objects.filter(request_id=lost).update(settled_at=then)
    list(rollups.rebuild())
    assert sum(day["failed"] for day in stored()) == 2
    asked = admission(key, deployment, request_id=lost)
    run(done(asked, output=3))
    (day,) = DayOfSpend.objects.filter(failed=0) if DayOfSpend.objects.count() > 1 else DayOfSpend.objects.all()
    assert not DayOfSpend.objects.filter(day=timezone.localtime(then).date()).exists()
    assert (day.calls, day.fee) == (2, Charge.objects.get(request_id=swept).fee + Decimal("0.003"))
    assert breaks() == []


def test_a_day_is_one_of_the_gateway_s_zone(key: IssuedKey, model: AIModel) -> None:
    """Berlin turned its clocks on the 29th: that day began at 23:00 UTC and ended at 22:00."""
    ends = ["03-28T22:59", "03-28T23:00", "03-29T21:59", "03-29T22:00"]
    with timezone.override("Europe/Berlin"):
        for end in ends:
            rows.charge(key.key, model, settled_at=datetime.fromisoformat(f"2026-{end}+00:00")).save()
        list(rollups.rebuild())
        assert [(str(day["day"]), day["calls"]) for day in stored()] == [
            ("2026-03-28", 1),
            ("2026-03-29", 2),
            ("2026-03-30", 1),
        ]
        assert list(rollups.breaks()) == []
    assert len(list(rollups.breaks())) == 2  # another TIME_ZONE
    list(rollups.rebuild())
    assert list(rollups.breaks()) == []


def direct(key: IssuedKey, model: AIModel, days_ago: int, **fields: Any) -> Charge:
    charge = rows.charge(key.key, model, settled_at=timezone.now() - timedelta(days=days_ago), **fields)
    charge.save()
    return charge


def test_a_rebuild_counts_what_the_ledger_did_not_write(key: IssuedKey, model: AIModel) -> None:
    for days_ago in (0, 1, 1, 5):
        direct(key, model, days_ago)
    assert len(list(rollups.breaks())) == 3
    out = StringIO()
    call_command("rebuild_days", stdout=out)
    assert "6" in out.getvalue()
    before = stored()
    assert [day["calls"] for day in before] == [1, 2, 1]
    call_command("rebuild_days", stdout=out)
    assert stored() == before
    assert list(rollups.breaks()) == []


def test_a_rebuild_touches_only_the_days_that_are_meant(key: IssuedKey, model: AIModel) -> None:
    for days_ago in (1, 2, 3):
        direct(key, model, days_ago)
    today = timezone.localdate()
    bounds = [f"{name}={today - timedelta(days=2)}" for name in ("--from", "--to")]
    call_command("rebuild_days", *bounds, stdout=StringIO())
    assert [day["day"] for day in stored()] == [today - timedelta(days=2)]
    call_command("rebuild_days", "--from=0001-01-01", "--to=9999-12-31", stdout=StringIO())
    assert len(stored()) == 3


def test_a_rebuild_removes_what_no_charge_stands_for(key: IssuedKey, model: AIModel) -> None:
    DayOfSpend.objects.create(
        day=date(2026, 1, 2), key=key.key, model_name="m", provider_name="p", calls=1, fee=Decimal(1)
    )
    assert [each[0] for each in rollups.breaks()] == [date(2026, 1, 2)]
    list(rollups.rebuild())
    assert stored() == []


def test_what_is_no_day_is_refused(database: None) -> None:
    with pytest.raises(CommandError):
        call_command("rebuild_days", "--from=yesterday")


def test_nothing_is_rebuilt_of_nothing(database: None) -> None:
    assert list(rollups.rebuild()) == []


def test_a_correction_moves_money_and_is_no_call(key: IssuedKey, model: AIModel) -> None:
    charge = direct(key, model, 0)
    correction = {"fee": Decimal("-0.0004"), "quota_fee": Decimal("-0.0004"), "corrects": charge, "hold": 0}
    direct(key, model, 0, **correction)
    list(rollups.rebuild())
    (day,) = stored()
    assert (day["calls"], day["input_tokens"], day["fee"]) == (1, 1000, Decimal("0.001"))


def test_the_audit_says_which_day_is_off(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    run(asked)
    run(done(asked))
    DayOfSpend.objects.update(calls=2)
    assert breaks() == [f"{timezone.localdate()}'s spend = its charges"]


def test_a_charge_without_its_time_is_found(key: IssuedKey, model: AIModel) -> None:
    charge = direct(key, model, 0)
    list(rollups.rebuild())
    Charge.objects.filter(pk=charge.pk).update(settled_at=None)
    assert "a charge that is over says since when" in breaks()


ENDINGS = st.lists(
    st.tuples(
        st.sampled_from(["settle", "release", "elsewhere", "guess", "guess free"]),
        st.integers(0, 5),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(endings=ENDINGS)
def test_whatever_happens_days_are_what_their_charges_come_to(
    key: IssuedKey, deployment: Deployment, endings: list[tuple[str, int, int]]
) -> None:
    """Guessed or known, there or elsewhere, in one batch or in many, now or with the day moved under its feet."""
    ApiKey.objects.update(month_quota=Decimal(100))
    elsewhere = Deployment(None, None, "echo", "south", "u", Prices(0, 700 * USD))
    asked = [admission(key, deployment) for _ in endings]
    run(*asked)
    for request, (how, output, days_ago) in zip(asked, endings, strict=True):
        known = done(request, output=output)
        if how.startswith("guess"):
            guess = nothing_used if how == "guess free" else done
            run(guess(request, outcome=Outcome.SERVER_STOPPED))
            past = timezone.now() - timedelta(days=days_ago)
            Charge.objects.filter(request_id=request.request_id).update(settled_at=past)
            list(rollups.rebuild())
        elif how == "release":
            known = nothing_used(request)
        elif how == "elsewhere":
            known = done(request, output=output, deployment=elsewhere)
        run(known, known)
    assert breaks() == []
    assert sum(day["calls"] for day in stored()) == Charge.objects.count()


def test_a_key_s_row_is_locked_while_its_day_is_added_up(key: IssuedKey, model: AIModel) -> None:
    direct(key, model, 0)
    with connection.execute_wrapper(lambda execute, sql, *rest: seen.append(sql) or execute(sql, *rest)):
        seen: list[str] = []
        list(rollups.rebuild())
    if connection.vendor == "postgresql":
        lock = next(place for place, sql in enumerate(seen) if "FOR UPDATE" in sql)
        assert lock < next(place for place, sql in enumerate(seen) if sql.startswith("DELETE"))
    else:
        assert any("BEGIN IMMEDIATE" in sql for sql in seen) or connection.transaction_mode == "IMMEDIATE"


def test_the_migration_counts_what_was_there_before_days_were(key: IssuedKey, model: AIModel) -> None:
    for days_ago in (0, 1, 1, 40):
        direct(key, model, days_ago, outcome=Outcome.UPSTREAM_ERROR)
    migration = import_module("accounts.migrations.0009_days_of_spend")
    for _ in range(2):  # as after one that was cut off
        migration.add_up(apps, connection.schema_editor())
    assert [day["calls"] for day in stored()] == [1, 2, 1]
    assert list(rollups.breaks()) == []


def test_bounds_of_days_meet_without_a_gap() -> None:
    with timezone.override("Europe/Berlin"):
        assert rollups.start_of(date(2026, 3, 29)) == datetime(2026, 3, 28, 23, tzinfo=UTC)
        assert rollups.end_of(date(2026, 3, 29)) == rollups.start_of(date(2026, 3, 30))
