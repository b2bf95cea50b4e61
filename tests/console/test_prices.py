"""The console's prices: what a model costs now, its list, and a warning where nobody said."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import DayOfSpend, User
from providers.models import ALL_PRICE_FIELDS, AIModel, ModelPrice
from providers.services import pricing
from tests import factories
from tests.console.test_dashboard import write
from tests.console.test_models import form

LIST = "/admin/providers/aimodel/"
USD = 10**10


@pytest.fixture
def model(admin: User) -> AIModel:
    return factories.model(factories.provider(name="acme"), "m")


def price_rows(*rows: dict[str, Any], stored: int = 0) -> dict[str, Any]:
    """The price list's part of a form."""
    said: dict[str, Any] = {
        "price_list-TOTAL_FORMS": len(rows), "price_list-INITIAL_FORMS": stored,
        "price_list-MIN_NUM_FORMS": 0, "price_list-MAX_NUM_FORMS": 1000,
    }  # fmt: skip
    for at, row in enumerate(rows):
        moment = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00", "above_tokens": 0}
        fields = {**moment, **dict.fromkeys(ALL_PRICE_FIELDS, ""), **row}
        said |= {f"price_list-{at}-{name}": value for name, value in fields.items()}
    return said


def test_a_tier_is_added_on_the_models_page_and_shown_in_the_list(console: Client, model: AIModel) -> None:
    page = f"{LIST}{model.pk}/change/"
    assert "price_list-0-above_tokens" not in console.get(page).content.decode()
    said = form(model.provider, price_in="1", price_out="2", **price_rows({"above_tokens": 200_000, "price_in": "4"}))
    assert console.post(page, said).status_code == 302
    assert ModelPrice.objects.get().above_tokens == 200_000
    assert "$1.00 / $2.00 …" in console.get(LIST).content.decode()


def test_a_base_row_becomes_the_models_own_price(console: Client, model: AIModel) -> None:
    said = form(model.provider, price_in="1", price_out="2", **price_rows({"price_in": "5", "price_out": "6"}))
    assert console.post(f"{LIST}{model.pk}/change/", said).status_code == 302
    model.refresh_from_db()
    assert (model.price_in, model.price_out) == (5, 6)


def test_a_price_to_come_leaves_what_holds_until_then(console: Client, model: AIModel) -> None:
    """Also for calls that are rated anew once it has come."""
    to_come = {"valid_from_0": "2099-01-01", "price_in": "5", "price_out": "6"}
    said = form(model.provider, price_in="1", price_out="2", **price_rows(to_come))
    assert console.post(f"{LIST}{model.pk}/change/", said).status_code == 302
    now, then = timezone.now(), datetime(2099, 2, 1, tzinfo=UTC)
    held = [pricing.tiers_at(model=AIModel.objects.get(), moment=moment)[0].four[:2] for moment in (now, then)]
    assert held == [(1 * USD, 2 * USD), (5 * USD, 6 * USD)]
    AIModel.objects.update(price_in=5, price_out=6)
    assert pricing.tiers_at(model=AIModel.objects.get(), moment=now)[0].four[:2] == (1 * USD, 2 * USD)


def test_a_price_below_zero_is_told(console: Client, model: AIModel) -> None:
    said = form(model.provider, price_in="1", price_out="2", **price_rows({"price_in": "-5"}))
    answer = console.post(f"{LIST}{model.pk}/change/", said)
    assert "greater than or equal to 0" in answer.content.decode()
    assert not ModelPrice.objects.exists()


def test_the_form_says_what_0_and_nothing_mean(console: Client, model: AIModel) -> None:
    assert "0 marks a model as free" in console.get(f"{LIST}add/").content.decode()


@pytest.mark.parametrize(("price", "label"), [(None, "unpriced"), (Decimal(0), "free")])
def test_an_unpriced_model_is_told_from_a_free_one(
    console: Client, model: AIModel, price: Decimal | None, label: str
) -> None:
    AIModel.objects.update(price_in=price, price_out=price)
    assert label in console.get(LIST).content.decode()
    shown = console.get(f"{LIST}?priced=no").content.decode()
    assert ("acme" in shown.split("result_list")[-1]) == (price is None)


def test_the_first_page_warns_of_unpriced_models_and_counts_their_calls(console: Client, model: AIModel) -> None:
    key = factories.key().key
    write(key, model, *[timezone.now()] * 3)
    assert "Models without a price" not in console.get("/admin/").content.decode()
    AIModel.objects.update(price_in=None)
    page = console.get("/admin/").content.decode()
    assert "Models without a price" in page
    calls = sum(DayOfSpend.objects.values_list("calls", flat=True))
    assert f"{calls} calls in the last 30 days were counted and cost nothing" in page
    AIModel.objects.update(is_enabled=False)
    assert "Models without a price" not in console.get("/admin/").content.decode()


def test_a_listed_price_and_a_router_are_no_reason_to_warn(console: Client, model: AIModel) -> None:
    AIModel.objects.update(price_in=None)
    ModelPrice.objects.create(model=model, price_in=1, price_out=2)
    router = factories.provider(name="router", requester="smart-router", base_url="", secret="")
    factories.model(router, "clever", price_in=None, price_out=None)
    assert not AIModel.objects.unpriced().exists()
