"""What a line of exported charges says, and that it is never a formula."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ApiKey, Charge
from accounts.services import charge_export
from accounts.services.reports import Bounds
from providers.models import AIModel
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(db: None) -> AIModel:
    return factories.model(factories.provider(name="acme"), "seer")


def exported(bounds: Bounds | None = None) -> list[dict[str, str]]:
    text, after = "", 0
    while after is not None:
        page = charge_export.page(bounds or Bounds(), after=after, last=charge_export.last_id())
        text, after = text + page.text, page.after
    return list(csv.DictReader(io.StringIO(text)))


def charge(model: AIModel, key: ApiKey | None = None, **fields: Any) -> Charge:
    row = rows.charge(key or factories.key().key, model, **fields)
    row.save()
    return row


def test_money_is_exact_and_times_are_utc(model: AIModel) -> None:
    row = charge(model, input_tokens=1, output_tokens=1)
    [line] = exported()
    assert Decimal(line["fee"]) == row.fee == Decimal("0.000003")
    assert "E" not in line["fee"]
    assert line["time"] == f"{row.created_at:%Y-%m-%dT%H:%M:%S}Z"
    assert (line["streamed"], line["price_cached_read"], line["request_id"]) == ("false", "", row.request_id)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\n=1", "\uff1d1"])
def test_a_name_is_no_formula(model: AIModel, name: str) -> None:
    charge(model, factories.key(name=name).key, error=name)
    [line] = exported()
    assert line["key"] == line["error"] == f"'{name}"


def test_commas_quotes_and_lines_come_back_as_they_were(model: AIModel) -> None:
    charge(model, error='he said "no",\nand left')
    assert exported()[0]["error"] == 'he said "no",\nand left'


def test_pages_have_each_charge_once_in_order(model: AIModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charge_export, "PAGE", 2)
    key = factories.key().key
    ids = [charge(model, key).request_id for _ in range(5)]
    assert [line["request_id"] for line in exported()] == ids
    assert charge_export.count(Bounds(), last=charge_export.last_id()) == 5


def test_bounds_hold_and_what_comes_later_is_left_out(model: AIModel) -> None:
    first, second = charge(model), charge(model)
    middle = first.created_at + (second.created_at - first.created_at) / 2
    assert [line["request_id"] for line in exported(Bounds(since=middle))] == [second.request_id]
    assert [line["request_id"] for line in exported(Bounds(until=middle))] == [first.request_id]
    assert not exported(Bounds(since=second.created_at + timedelta(days=1)))
    page = charge_export.page(Bounds(), after=0, last=first.pk)
    assert (page.count, page.after) == (1, None)
