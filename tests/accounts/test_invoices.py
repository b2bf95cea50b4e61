"""An invoice is the ledger's own account of a month: exact to the unit, with nothing left out and nothing twice."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import ApiKey, Charge, Payment, PaymentKind
from accounts.services import invoices, rollups
from accounts.services.invoices import invoice, summaries
from common.months import next_month
from providers.models import AIModel
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


@pytest.fixture
def model(db: None) -> AIModel:
    return factories.model(factories.provider(name="north"), "echo")


@pytest.fixture
def key(db: None) -> ApiKey:
    return factories.key(month_quota=Decimal(1)).key


def pay(key: ApiKey, amount: str, moment: datetime, kind: PaymentKind = PaymentKind.RECHARGE, note: str = "") -> None:
    payment = Payment.objects.create(key=key, amount=Decimal(amount), kind=kind, note=note)
    Payment.objects.filter(pk=payment.pk).update(created_at=moment)


def call(key: ApiKey, model: AIModel, moment: datetime, quota: str = "0", balance: str = "0", **fields: Any) -> Charge:
    parts = {"quota_fee": Decimal(quota), "balance_fee": Decimal(balance)}
    charge = rows.charge(key, model, fee=sum(parts.values()), **parts, month_quota=None, **fields)
    rows.save([charge], [moment])
    return charge


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def history(key: ApiKey, model: AIModel) -> ApiKey:
    pay(key, "10", at(4, 2), note="April")
    call(key, model, at(4, 30, 23), quota="1", balance="2.0000000001")
    pay(key, "5", at(5, 1, 0), note="=May")
    pay(key, "-3", at(5, 7), PaymentKind.CORRECTION, note="typed twice")
    pay(key, "0.5", at(5, 8), PaymentKind.REFUND)
    call(key, model, at(5, 1, 0), quota="0.25")
    call(key, factories.model(model.provider, "other"), at(5, 7), quota="0.75", balance="0.1")
    call(key, model, at(5, 7), balance="0.0000000003")
    call(key, model, at(6, 1, 0), quota="0.5")
    return key


def test_a_month_goes_from_its_opening_balance_to_its_closing_one(history: ApiKey) -> None:
    found = invoice(key=history, month=MAY)
    assert found.opening == Decimal("7.9999999999")
    assert found.paid == Decimal("2.5")
    assert (found.paid_as(PaymentKind.CORRECTION), found.paid_as(PaymentKind.REFUND)) == (Decimal(-3), Decimal("0.5"))
    total = found.total
    assert (total.calls, total.quota_part, total.balance_part) == (3, Decimal(1), Decimal("0.1000000003"))
    assert total.fee == Decimal("1.1000000003")
    assert found.closing == Decimal("10.3999999996")
    assert invoice(key=history, month=JUNE).opening == found.closing
    assert [(line.day, line.fee) for line in found.by_day] == [
        (MAY, Decimal("0.25")),
        (date(2026, 5, 7), Decimal("0.8500000003")),
    ]
    assert [(line.model, line.provider, line.calls) for line in found.by_model] == [
        ("echo", "north", 2),
        ("other", "north", 1),
    ]


def test_a_month_is_one_of_the_gateway_s_zone(history: ApiKey) -> None:
    with timezone.override("Asia/Tokyo"):  # nine hours ahead: April's last call is May's there
        list(rollups.rebuild())
        assert invoice(key=history, month=MAY).total.calls == 4


def test_a_month_without_anything_carries_the_balance_on(history: ApiKey) -> None:
    found = invoice(key=history, month=date(2026, 8, 1))
    assert (found.lines, found.payments, found.opening) == ([], [], found.closing)


def lines(key: ApiKey, month: date) -> list[dict[str, str]]:
    return list(csv.DictReader(invoices.csv_lines(key=key, month=month)))


def test_csv_leads_from_one_balance_to_the_other(history: ApiKey) -> None:
    found = lines(history, MAY)
    assert [line["kind"] for line in found] == [
        "opening",
        "recharge",
        "calls",
        "correction",
        "calls",
        "calls",
        "refund",
        "closing",
    ]
    balance = Decimal(found[0]["balance"])
    for line in found[1:-1]:
        balance += Decimal(line["payment"] or 0) - Decimal(line["balance_part"] or 0)
        assert Decimal(line["balance"]) == balance
    assert Decimal(found[-1]["balance"]) == balance == invoice(key=history, month=MAY).closing
    assert found[1]["text"] == "'=May"  # no formula
    assert found[-1]["date"] == "2026-05-31"


def test_each_key_of_a_month_is_summed_up(history: ApiKey, model: AIModel) -> None:
    paid, idle = factories.key(name="paid").key, factories.key(name="idle").key
    pay(paid, "4", at(5, 9))
    call(idle, model, at(6, 9), quota="1")
    found = {each.key.name: (each.calls, each.fee, each.paid) for each in summaries(month=MAY)}
    assert found == {history.name: (3, Decimal("1.1000000003"), Decimal("2.5")), "paid": (0, 0, Decimal(4))}
    assert [each.key for each in summaries(month=MAY, search="PAI")] == [paid]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "call"]),
        st.integers(0, 100),  # days
        st.integers(1, 10**9),
        st.integers(0, 10**9),
    ),
    max_size=12,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_whatever_happened_months_add_up_to_the_ledger(model: AIModel, events: list[tuple[str, int, int, int]]) -> None:
    key = factories.key().key
    for what, days, one, two in events:
        moment = at(3, 1) + timedelta(days=days)
        amounts = [str(Decimal(units).scaleb(-10)) for units in (one, two)]
        pay(key, amounts[0], moment) if what == "pay" else call(key, model, moment, *amounts)
    months = [date(2026, month, 1) for month in range(3, 8)]
    found = [invoice(key=key, month=month) for month in months]
    assert [each.opening for each in found] == [Decimal(0), *(each.closing for each in found[:-1])]
    charges = Charge.objects.filter(key=key).aggregate(quota=Sum("quota_fee"), balance=Sum("balance_fee"))
    assert sum(each.total.quota_part for each in found) == (charges["quota"] or 0)
    assert sum(each.total.balance_part for each in found) == (charges["balance"] or 0)
    paid = Payment.objects.filter(key=key).aggregate(total=Sum("amount"))["total"] or 0
    assert found[-1].closing == paid - (charges["balance"] or 0)


def test_the_command_writes_a_month(history: ApiKey) -> None:
    out = StringIO()
    call_command("invoice", str(history.pk), "2026-05", stdout=out)
    assert out.getvalue() == "".join(invoices.csv_lines(key=history, month=MAY))


@pytest.mark.parametrize("month", ["May", "2026-13", "0001-01", "2026-05-01"])
def test_what_is_no_month_is_refused(history: ApiKey, month: str) -> None:
    with pytest.raises(CommandError, match="is no month"):
        call_command("invoice", str(history.pk), month)


def test_a_month_follows_the_other() -> None:
    assert [next_month(date(2026, month, 1)) for month in (1, 11, 12)] == [
        date(2026, 2, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
    ]


def test_the_queries_do_not_grow_with_the_charges(
    history: ApiKey, model: AIModel, django_assert_num_queries: Any
) -> None:
    rows.save([rows.charge(history, model) for _ in range(30)], [at(5, 9)] * 30)
    with django_assert_num_queries(4) as seen:  # paid and spent before, payments, lines
        invoice(key=history, month=MAY)
    assert not [query for query in seen.captured_queries if "accounts_charge" in query["sql"]]
