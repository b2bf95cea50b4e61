"""Which price holds when, for how long a prompt, and what an edit keeps."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from common.models import ConfigVersion
from providers.models import AIModel, ModelPrice
from providers.services import pricing
from providers.services.pricing import ALWAYS, Rates
from providers.services.routing import target_of
from tests import factories

USD = 10**10
JANUARY, MARCH, JUNE = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 6))


@pytest.fixture
def model(database: None) -> AIModel:
    return factories.model(factories.provider())


def price(model: AIModel, moment: datetime, **fields: Any) -> ModelPrice:
    return ModelPrice.objects.create(model=model, valid_from=moment, **fields)


def at(model: AIModel, moment: datetime) -> list[tuple[int, int | None, int | None]]:
    return [(each.above_tokens, *each.four[:2]) for each in pricing.tiers_at(model=model, moment=moment)]


def test_without_a_list_the_models_own_prices_hold(model: AIModel) -> None:
    assert at(model, JANUARY) == [(0, USD, 2 * USD)]


def test_the_latest_list_holds_and_the_first_one_before_it(model: AIModel) -> None:
    price(model, MARCH, price_in=3, price_out=4)
    price(model, JUNE, price_in=5)
    assert at(model, JANUARY) == [(0, 3 * USD, 4 * USD)]
    assert at(model, JUNE - timedelta(microseconds=1)) == [(0, 3 * USD, 4 * USD)]
    assert at(model, JUNE) == [(0, 5 * USD, None)]


def test_a_tier_says_only_what_differs_and_goes_on_under_a_new_base_price(model: AIModel) -> None:
    price(model, JANUARY, price_in=1, price_out=2)
    price(model, MARCH, above_tokens=1000, price_in=9)
    price(model, JUNE, price_in=3, price_out=4)
    assert at(model, JANUARY) == [(0, USD, 2 * USD)]
    assert at(model, MARCH) == [(0, USD, 2 * USD), (1000, 9 * USD, 2 * USD)]
    assert at(model, JUNE) == [(0, 3 * USD, 4 * USD), (1000, 9 * USD, 4 * USD)]


def test_a_tier_without_prices_ends_it(model: AIModel) -> None:
    price(model, JANUARY, above_tokens=1000, price_in=9)
    price(model, MARCH, above_tokens=1000)
    assert at(model, MARCH) == [(0, USD, 2 * USD)]


def test_a_tier_alone_stands_on_the_models_own_prices(model: AIModel) -> None:
    price(model, MARCH, above_tokens=1000, price_in=9)
    assert at(model, JANUARY) == [(0, USD, 2 * USD)]
    assert at(model, MARCH) == [(0, USD, 2 * USD), (1000, 9 * USD, 2 * USD)]


@pytest.mark.parametrize(
    ("tokens", "above"), [(0, 0), (1000, 0), (1001, 1000), (5000, 1000), (5001, 5000), (10**9, 5000)]
)
def test_a_tier_begins_above_its_tokens(tokens: int, above: int) -> None:
    tiers = tuple(Rates(each, (1, 1, None, None)) for each in (0, 1000, 5000))
    assert pricing.tier_for(tiers, tokens).above_tokens == above


def test_the_first_edit_keeps_what_held_before(model: AIModel) -> None:
    before = timezone.now()
    model.price_in = Decimal(7)
    model.save()
    assert at(model, before) == [(0, USD, 2 * USD)]
    assert at(AIModel.objects.get(), timezone.now()) == [(0, 7 * USD, 2 * USD)]


def test_an_edit_that_changes_no_price_keeps_no_history(model: AIModel) -> None:
    model.description, model.price_in = "New.", "1.00"
    model.save()
    assert not ModelPrice.objects.exists()


def test_having_had_no_price_is_none_so_the_first_one_holds_before_it_too(model: AIModel) -> None:
    AIModel.objects.update(price_in=None, price_out=None)
    unpriced = AIModel.objects.get()
    unpriced.price_in, unpriced.price_out = Decimal(1), Decimal(2)
    unpriced.save()
    assert at(unpriced, JANUARY) == [(0, USD, 2 * USD)]


def test_marking_a_model_free_is_a_price(model: AIModel) -> None:
    AIModel.objects.update(price_in=None, price_out=None)
    free = AIModel.objects.get()
    free.price_in = free.price_out = Decimal(0)
    free.save()
    assert free.is_priced
    assert at(free, timezone.now()) == [(0, 0, 0)]


@pytest.mark.parametrize("column", ["price_in", "price_reasoning", "price_request"])
def test_no_price_is_below_zero(model: AIModel, column: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        price(model, MARCH, **{column: -1})
    with pytest.raises(ValidationError):
        ModelPrice(model=model, **{column: Decimal(-1)}).full_clean()


def test_a_moment_has_one_price_for_each_tier(model: AIModel) -> None:
    price(model, MARCH, price_in=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        price(model, MARCH, price_in=2)


def test_a_price_is_configuration(model: AIModel) -> None:
    before = ConfigVersion.current()
    row = price(model, MARCH, price_in=1)
    row.delete()
    assert ConfigVersion.current() == before + 2


def test_a_target_carries_no_more_than_calls_need(model: AIModel) -> None:
    price(model, JANUARY, price_in=3, price_out=4)
    plain = target_of(model, ())
    assert (plain.prices[:2], plain.tiers, plain.price_lists) == ((3 * USD, 4 * USD), (), ())
    price(model, timezone.now() + timedelta(days=1), price_in=5)
    assert target_of(model, ()).price_lists[0].valid_from == ALWAYS
    assert plain.priced(pricing.SAME, 0.0) is plain


def test_a_ratio_leads_no_further_than_a_column() -> None:
    rates = Rates(
        0, (pricing.DEAREST, 1, None, 0), (("audio_in", pricing.DEAREST), ("request", pricing.DEAREST_REQUEST))
    )
    dear = rates.times(pricing.ratio_of(Decimal(1000)))
    assert dear.four == (pricing.DEAREST, 1000, None, 0)
    assert dict(dear.rare) == dict(rates.rare)


def test_the_dearest_is_looked_for_in_its_own_direction() -> None:
    rates = Rates(0, (1, 2, 3, 4), (("image_in", 9), ("audio_out", 8), ("reasoning", 7), ("request", 99)))
    assert (rates.dearest_input, rates.dearest_output, rates.request) == (9, 8, 99)
