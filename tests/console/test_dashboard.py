"""The dashboard's figures are the ledger's, by the days of the gateway's zone, in few queries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.admin.charges import OUTCOME_COLORS
from accounts.models import ApiKey, Charge, Outcome, State
from accounts.services.reports import Bounds
from accounts.services.spans import spans
from common.console import funds, glance
from gateway.console import dashboard
from providers.models import AIModel
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)


@pytest.fixture
def key(admin: object) -> ApiKey:
    return factories.key().key


@pytest.fixture
def model(admin: object) -> AIModel:
    return factories.model(factories.provider(name="upstream"), "echo")


def write(key: ApiKey, model: AIModel, *times: datetime, **fields: Any) -> None:
    rows.save([rows.charge(key, model, **fields) for _ in times], list(times))


def test_days_and_sums(key: ApiKey, model: AIModel) -> None:
    write(key, model, NOW, NOW - timedelta(hours=23), NOW - timedelta(days=29), NOW - timedelta(days=31))
    write(key, model, NOW, outcome="upstream_error")
    write(key, model, NOW - timedelta(days=28), outcome="bad_request")  # no failure of ours
    traffic = dashboard.traffic_until(NOW)
    assert len(traffic.days) == 30
    assert (traffic.month.calls, traffic.last_day.calls) == (5, 3)
    assert (traffic.month.tokens, traffic.month.failed) == (5 * 1200, 1)
    assert traffic.month.fee == 5 * Decimal("0.0014")
    assert [totals.calls for _, totals in traffic.days] == [1, 1, *[0] * 26, 1, 2]
    assert str(traffic.days[-1][0]) == "2026-03-30"


def test_a_day_is_one_of_the_gateway_s_zone(key: ApiKey, model: AIModel) -> None:
    """Berlin turned its clocks on the 29th: that day had 23 hours, and it ended at 22:00 UTC."""
    with timezone.override("Europe/Berlin"):
        write(key, model, datetime(2026, 3, 29, 21, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, 1, tzinfo=UTC))
        write(key, model, datetime(2026, 3, 28, 23, 1, tzinfo=UTC), datetime(2026, 3, 28, 22, 59, tzinfo=UTC))
        days = dict(dashboard.traffic_until(NOW).days)
    found = {str(day): totals.calls for day, totals in days.items() if totals.calls}
    assert found == {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1}


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_has_one_colour_everywhere(console: Client, key: ApiKey, model: AIModel, outcome: Outcome) -> None:
    write(key, model, timezone.now(), outcome=outcome)
    (row,) = console.get("/admin/").context["latest"]
    assert row["color"] == OUTCOME_COLORS[outcome.label]


def test_open_holds_are_told(console: Client, key: ApiKey, model: AIModel) -> None:
    nothing = dict.fromkeys(("fee", "quota_fee"), Decimal(0))
    write(key, model, timezone.now(), state=State.HELD, outcome="running", hold=Decimal("0.25"), **nothing)
    assert "Running now: 1 call with $0.25 held." in console.get("/admin/").content.decode()


def test_the_dearest_come_first(console: Client, key: ApiKey, model: AIModel) -> None:
    dear = factories.model(model.provider, "dear", price_in=Decimal(100))
    write(key, model, *[timezone.now()] * 3)
    write(factories.key(name="big spender").key, dear, timezone.now())
    tops = {top["title"]: [row["name"] for row in top["rows"]] for top in console.get("/admin/").context["tops"]}
    assert tops == {"Keys": ["big spender", key.name], "Models": ["dear", "echo"], "Providers": ["upstream"]}


def test_the_number_of_queries_does_not_grow(console: Client, django_assert_num_queries: Any) -> None:
    rows.history(days=3, most_per_day=30)
    # session, user; latest, days, the last day from today and a part of yesterday, holds, tops, names, unpriced models
    with django_assert_num_queries(12) as seen:
        page = console.get("/admin/").content.decode()
    assert "Latest calls" in page
    sums = [query["sql"] for query in seen.captured_queries if "SUM(" in query["sql"]]
    assert [sql for sql in sums if "accounts_charge" in sql and "settled_at" not in sql and "'held'" not in sql] == []


def test_a_part_of_a_day_is_read_by_the_index_of_its_end(key: ApiKey, model: AIModel) -> None:
    write(key, model, timezone.now())
    if connection.vendor == "postgresql":
        connection.cursor().execute("SET LOCAL enable_seqscan = off")  # one row is sooner read than any index
    (part,) = spans(NOW - timedelta(hours=1), NOW).parts
    rows_read = Bounds().narrow(Charge.objects.order_by(), settled_at=(part.since, part.until))
    assert "charge_by_end" in rows_read.explain()


def test_nobody_has_called_yet(console: Client) -> None:
    page = console.get("/admin/")
    assert [step["is_done"] for step in page.context["start"]["steps"]] == [False, False, False]
    assert "curl http://testserver/v1/chat/completions" in page.content.decode()


def test_the_first_call_is_told_with_a_real_model(console: Client, key: ApiKey, model: AIModel) -> None:
    page = console.get("/admin/")
    assert [step["is_done"] for step in page.context["start"]["steps"]] == [True, True, True]
    assert "$WEIGHBRIDGE_KEY" in page.context["start"]["curl"]
    assert '"model": "echo"' in page.context["start"]["curl"]


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (1_234_567, "1.23M")])
def test_large_counts_are_short(count: int, text: str) -> None:
    assert dashboard.short(count) == text


AMOUNTS = [
    ("0", "$0.00"),
    ("0.000041", "<$0.0001"),
    ("0.00014", "$0.0001"),
    ("0.5", "$0.50"),
    ("0.123", "$0.123"),
    ("1234.5", "$1,234.50"),
]


@pytest.mark.parametrize(("amount", "text"), AMOUNTS)
def test_money_at_a_glance(amount: str, text: str) -> None:
    assert glance(Decimal(amount)) == text


@pytest.mark.parametrize(("amount", "text"), [("2.996837", "$2.99"), ("0.99999", "$0.9999"), ("3.5", "$3.50")])
def test_a_balance_is_never_told_as_more_than_it_is(amount: str, text: str) -> None:
    assert funds(Decimal(amount)) == text
