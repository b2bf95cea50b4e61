"""Sums are those of the charges themselves, whatever the bounds: of whole days, of parts of days, of nothing."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import ApiKey, Charge, State
from accounts.services import reports
from accounts.services.reports import Bounds, Total
from accounts.services.spans import Part, spans
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 27, tzinfo=UTC)  # Berlin's clocks turn two days later
MINUTES = 5 * 24 * 60


@pytest.fixture(params=["UTC", "Europe/Berlin", "Asia/Kathmandu"])
def charges(request: pytest.FixtureRequest, db: None) -> Iterable[list[Charge]]:
    """Some for each hour or so of five days, in a zone."""
    with timezone.override(request.param):
        north, south = factories.provider(name="north"), factories.provider(name="south")
        models = [factories.model(*each) for each in ((north, "echo"), (south, "echo"), (south, "other"))]
        groups = [factories.group(), factories.group()]
        callers = [factories.key().key for _ in range(2)]
        tags: list[list[str]] = [[], ["b", "a"], ["a"]]
        found = []
        for number in range(100):
            charge = rows.charge(callers[number % 2], models[number % 3], input_tokens=number, tags=tags[number % 3])
            charge.group_id = groups[number % 2].pk if number % 5 else 0
            charge.outcome = "upstream_error" if number % 7 == 0 else "ok"
            found.append(charge)
        rows.save(found, [START + timedelta(minutes=71 * number, seconds=number % 2) for number in range(100)])
        yield list(Charge.objects.all())


def added_up(charges: Iterable[Charge], since: datetime | None, until: datetime | None, by: str = "") -> Any:
    """The same by hand."""
    found: dict[Any, list[Charge]] = defaultdict(list)
    for charge in charges:
        end = charge.settled_at
        if (since is None or end >= since) and (until is None or end < until):
            for group in _groups(charge, by):
                found[group].append(charge)
    return {group: _sum(some) for group, some in found.items()}


def _groups(charge: Charge, by: str) -> list[Any]:
    each = {
        "": None,
        "day": timezone.localtime(charge.settled_at).date(),
        "key": charge.key_id,
        "group": charge.group_id,
        "model": charge.model_name,
        "provider": charge.provider_name,
    }
    return (charge.tags or [""]) if by == "tag" else [each[by]]


def _sum(charges: list[Charge]) -> tuple[Any, ...]:
    fee = sum((each.fee for each in charges), Decimal(0))
    failed = sum(each.outcome == "upstream_error" for each in charges)
    return len(charges), sum(each.input_tokens for each in charges), fee, failed


def figures(total: Total) -> tuple[Any, ...]:
    return total.calls, total.input_tokens, total.fee, total.failed


MOMENTS = st.none() | st.integers(-60, MINUTES + 60).map(lambda minutes: START + timedelta(minutes=minutes))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(since=MOMENTS, until=MOMENTS)
def test_sums_within_any_bounds_are_those_of_the_charges(
    charges: list[Charge], since: datetime | None, until: datetime | None
) -> None:
    bounds = Bounds(since=since, until=until)
    assert figures(reports.total(bounds)) == added_up(charges, since, until).get(None, (0, 0, 0, 0))
    for by in reports.GROUPS:
        found = reports.totals(bounds, by=by)
        assert {each.group: figures(each) for each in found} == added_up(charges, since, until, by)
        assert [each.group for each in found] == sorted(each.group for each in found)


def test_sums_are_narrowed_by_what_was_called(charges: list[Charge]) -> None:
    since = START + timedelta(hours=31)
    one = ApiKey.objects.first()
    assert one
    narrowed = {
        "keys": (ApiKey.objects.filter(pk=one.pk), lambda charge: charge.key_id == one.pk),
        "group": (0, lambda charge: charge.group_id == 0),
        "provider": ("south", lambda charge: charge.provider_name == "south"),
        "model": ("echo", lambda charge: charge.model_name == "echo"),
    }
    for name, (value, is_meant) in narrowed.items():
        expected = added_up(filter(is_meant, charges), since, None)[None]
        assert figures(reports.total(Bounds(since=since, **{name: value}))) == expected


def test_whole_days_are_read_without_a_charge(charges: list[Charge], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2) as seen:
        reports.total(Bounds())
        reports.totals(Bounds(since=timezone.make_aware(datetime(2026, 3, 28))), by="tag")
    assert not [query for query in seen.captured_queries if "accounts_charge" in query["sql"]]


def test_only_the_charges_of_a_part_of_a_day_are_read(charges: list[Charge]) -> None:
    midnight = timezone.make_aware(datetime(2026, 3, 29))
    since = midnight + timedelta(hours=5)
    found = spans(since, None)
    assert found.parts == (Part(midnight.date(), since, timezone.make_aware(datetime(2026, 3, 30))),)
    assert str(found.first) == "2026-03-30"


def test_a_search_reads_the_charges(charges: list[Charge]) -> None:
    one = charges[3]
    ((provider, model, total),) = reports.totals_by_model(Bounds(search=one.request_id.upper()))
    assert (provider, model, total.fee) == (one.provider_name, one.model_name, one.fee)


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_bounds_at_the_calendar_s_end_are_none(moment: datetime) -> None:
    assert spans(moment, moment).parts == ()
    assert reports.total(Bounds(since=moment, until=moment)).calls == 0


def test_a_call_that_runs_is_in_no_sum_and_in_the_list(db: None) -> None:
    key, model = factories.key().key, factories.model(factories.provider())
    rows.save([rows.charge(key, model, state=State.HELD, fee=0, quota_fee=0)], [timezone.now()])
    assert reports.total(Bounds(since=timezone.now() - timedelta(minutes=1))).calls == 0
    assert reports.charges(Bounds(), order="time", is_ascending=True, offset=0, limit=5)[1] == 1


def test_the_queries_do_not_grow_with_the_charges(db: None, django_assert_num_queries: Any) -> None:
    key, model = factories.key().key, factories.model(factories.provider())
    for size in (1, 30):
        rows.save([rows.charge(key, model) for _ in range(size)], [timezone.now()] * size)
        with django_assert_num_queries(2):  # the days, and the part of the first one
            reports.totals(Bounds(since=timezone.now() - timedelta(days=2)), by="model")
