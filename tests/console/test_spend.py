"""The page of what was spent, and its files: the same figures, whoever may see them."""

import csv
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Charge, Group, User
from accounts.services import charge_export
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

PAGES = ["/admin/spend/", "/admin/spend/table.csv", "/admin/spend/charges.csv"]


@pytest.fixture
def calls(admin: User) -> dict[str, Any]:
    """Two keys, one of a group; three calls today, one forty days ago."""
    group = factories.group(name="research")
    one, two = factories.key(name="one").key, factories.key(name="two", group=group).key
    model = factories.model(factories.provider(name="north"), "echo")
    dear = factories.model(model.provider, "dear", price_in=Decimal(10))
    now = timezone.now()
    charges = [
        rows.charge(one, model, tags=["blue", "red"]),
        rows.charge(one, model, outcome="upstream_error"),
        rows.charge(two, dear, group_id=group.pk, tags=["red"]),
        rows.charge(two, model),
    ]
    rows.save(charges, [now, now, now, now - timedelta(days=40)])
    return {"one": one, "two": two, "group": group}


def text(response: Any) -> str:
    return b"".join(response.streaming_content).decode() if response.streaming else response.content.decode()


def table(response: HttpResponse) -> list[tuple[str, str, str]]:
    return [(row["name"], row["calls"], row["failed"]) for row in response.context["rows"]]


NAMES = {
    "key": [("two", "1", "0"), ("one", "2", "1")],
    "group": [("research", "1", "0"), ("No group", "2", "1")],
    "model": [("dear", "1", "0"), ("echo", "2", "1")],
    "provider": [("north", "3", "1")],
    "tag": [("red", "2", "0"), ("No tag", "1", "1"), ("blue", "1", "0")],
}


@pytest.mark.parametrize("by", NAMES)
def test_spend_is_shown_by(console: Client, calls: dict[str, Any], by: str) -> None:
    assert table(console.get("/admin/spend/", {"by": by})) == NAMES[by]


def test_days_are_in_order(console: Client, calls: dict[str, Any]) -> None:
    today, then = timezone.localdate(), timezone.localdate() - timedelta(days=40)
    page = console.get("/admin/spend/", {"by": "day", "since": str(then)})
    assert [row["name"] for row in page.context["rows"]] == [str(then), str(today)]


def test_the_last_thirty_days_are_shown_unless_told(console: Client, calls: dict[str, Any]) -> None:
    page = console.get("/admin/spend/")
    assert page.context["total"]["calls"] == "3"
    assert "1 failed" in page.content.decode()
    assert len(json.loads(page.context["chart"])["labels"]) == 30


def test_a_long_time_is_drawn_by_months(console: Client, calls: dict[str, Any]) -> None:
    since = timezone.localdate() - timedelta(days=400)
    page = console.get("/admin/spend/", {"since": str(since)})
    assert page.context["total"]["calls"] == "4"
    assert page.context["chart"].count(f"{timezone.localdate():%b %Y}") == 1


def test_a_key_leads_to_its_own_spend(console: Client, calls: dict[str, Any]) -> None:
    page = console.get("/admin/spend/", {"by": "model", "key": calls["one"].pk})
    assert table(page) == [("echo", "2", "1")]
    assert "Only calls with the key one." in page.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2026-05-02", "until": "2026-05-01"},
        {"since": "yesterday"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01"},
        {"by": "colour"},
        {"key": "999999"},
        {"key": "9" * 40},
        {"key": "x"},
    ],
)
@pytest.mark.parametrize("path", PAGES)
def test_what_is_no_bound_is_refused(console: Client, calls: dict[str, Any], path: str, query: dict[str, str]) -> None:
    assert console.get(path, query).status_code == 400


@pytest.mark.parametrize("path", [*PAGES, "/admin/invoices/"])
def test_only_who_may_see_charges_sees_what_they_came_to(client: Client, calls: dict[str, Any], path: str) -> None:
    assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("visitor", password="x", is_staff=True))
    assert client.get(path).status_code == 403


def test_the_table_as_csv_is_whole_and_exact(
    console: Client, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.console.spend.MOST_SHOWN", 1)
    page = console.get("/admin/spend/", {"by": "key"})
    assert (len(page.context["rows"]), page.context["left_out"]) == (1, 1)
    assert "1 more line in the CSV" in page.content.decode()
    answer = console.get("/admin/spend/table.csv", {"by": "key"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(text(answer).splitlines()))
    fees = {row["key"]: Decimal(row["fee"]) for row in found}
    assert fees == {"two": Decimal("0.0104"), "one": Decimal("0.0028")}


def test_names_in_csv_are_no_formulas(console: Client, calls: dict[str, Any]) -> None:
    ApiKey.objects.filter(name="one").update(name="=1+1")
    assert "'=1+1" in text(console.get("/admin/spend/table.csv", {"by": "key"}))


def test_charges_travel_a_page_at_a_time(
    console: Client, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charge_export, "PAGE", 2)
    answer = console.get("/admin/spend/charges.csv")
    pieces = [piece.decode() for piece in answer.streaming_content]
    assert [len(piece.splitlines()) for piece in pieces] == [3, 1]  # the names of the columns, and three charges
    found = list(csv.DictReader("".join(pieces).splitlines()))
    assert {row["request_id"] for row in found} == set(
        Charge.objects.order_by("id").values_list("request_id", flat=True)[:3]
    )
    assert found[0]["tags"] == "blue,red"


def test_a_group_that_is_gone_is_still_told_apart(console: Client, calls: dict[str, Any]) -> None:
    Group.objects.all().delete()
    assert table(console.get("/admin/spend/", {"by": "group"}))[0][0] == f"Group {calls['group'].pk}, removed"


def test_the_queries_do_not_grow(console: Client, calls: dict[str, Any], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(6) as seen:  # session, user; groups, names, total, chart
        console.get("/admin/spend/")
    assert not [query for query in seen.captured_queries if "accounts_charge" in query["sql"]]


def test_nobody_called(console: Client) -> None:
    assert "Nobody called." in console.get("/admin/spend/").content.decode()
    assert "No key spent or was paid anything." in console.get("/admin/invoices/").content.decode()


def test_an_invoice_can_be_printed_and_saved(console: Client, calls: dict[str, Any]) -> None:
    key, month = calls["two"], f"{timezone.localdate():%Y-%m}"
    listed = console.get("/admin/invoices/", {"month": month})
    assert f"/admin/invoices/{key.pk}/{month}/" in listed.content.decode()
    page = console.get(f"/admin/invoices/{key.pk}/{month}/").content.decode()
    for words in ("two", "Opening balance", "Closing balance", "dear", "$0.0104", "This month is not over"):
        assert words in page
    lines = text(console.get(f"/admin/invoices/{key.pk}/{month}/invoice.csv")).splitlines()
    assert lines[-1].startswith("closing,")
    charges = list(csv.DictReader(text(console.get(f"/admin/invoices/{key.pk}/{month}/charges.csv")).splitlines()))
    assert {row["key"] for row in charges} == {"two"}
    assert Decimal(charges[-1]["fee"]) == Decimal("0.0104")


@pytest.mark.parametrize("month", ["2026-13", "May", "9999-12", "0001-01"])
def test_what_is_no_month_is_not_found(console: Client, calls: dict[str, Any], month: str) -> None:
    for path in ("", "invoice.csv", "charges.csv"):
        assert console.get(f"/admin/invoices/{calls['one'].pk}/{month}/{path}").status_code == 404
    assert console.get("/admin/invoices/", {"month": month}).status_code == 400


def test_nobody_s_invoice_is_not_found(console: Client) -> None:
    for key in ("999999", "9" * 30):
        assert console.get(f"/admin/invoices/{key}/2026-05/").status_code == 404


def test_keys_of_a_month_are_found_by_name(console: Client, calls: dict[str, Any]) -> None:
    month = f"{timezone.localdate():%Y-%m}"
    page = console.get("/admin/invoices/", {"month": month, "search": "tw"})
    assert [row["key"].name for row in page.context["rows"]] == ["two"]
