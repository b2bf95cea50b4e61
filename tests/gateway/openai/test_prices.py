"""What calls cost: parts with a price of their own, tiers, dates, groups, and what nobody reported."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey, Charge
from accounts.services.ledger.audit import audit
from chat.services import bounds, tokenizing
from common.money import to_units
from providers.models import AIModel, ModelPrice
from tests import factories
from tests.gateway.openai.conftest import Api, last_charge

TEN_WORDS = [{"role": "user", "content": "one two three four five six seven eight nine ten"}]
MILLION = 10**6


@pytest.fixture
def parts(api: Api) -> AIModel:
    """A model at 1 USD in and 2 USD out, whose upstream tells every part: of 10 prompt tokens 2 cached and 3 sound, of
    10 answered 4 reasoning and 1 sound."""
    provider = AIModel.objects.get(name="echo").provider
    return factories.model(provider, "every-part")


def units(usd: str) -> int:
    return to_units(Decimal(usd))


def cost(*pairs: tuple[int, str]) -> Decimal:
    return sum((count * Decimal(price) for count, price in pairs), Decimal(0)) / MILLION


def charged(api: Api, **fields: Any) -> Charge:
    assert api.chat(**{"model": "every-part", "messages": TEN_WORDS, **fields}).status_code == 200
    assert audit() == []
    return last_charge()


def test_parts_without_a_price_cost_what_their_sort_costs_and_are_told(api: Api, parts: AIModel) -> None:
    charge = charged(api)
    assert (charge.input_tokens, charge.cached_read_tokens, charge.output_tokens) == (8, 2, 10)
    assert charge.buckets == [["audio_in", 3, None], ["audio_out", 1, None]]
    assert charge.fee == cost((10, "1"), (10, "2"))


def test_each_part_has_its_own_price_and_is_counted_once(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(
        model=parts,
        price_in=1,
        price_out=2,
        price_cached_read="0.5",
        price_audio_in=40,
        price_audio_out=80,
        price_reasoning=3,
        price_request="0.01",
    )
    charge = charged(api)
    assert charge.fee == cost((2, "0.5"), (5, "1"), (3, "40"), (4, "3"), (1, "80"), (5, "2")) + Decimal("0.01")
    assert {name: (count, price) for name, count, price in charge.buckets} == {
        "audio_in": (3, units("40")),
        "audio_out": (1, units("80")),
        "reasoning": (4, units("3")),
        "request": (1, units("0.01") * MILLION),
    }


def test_a_stream_costs_the_same(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(model=parts, price_in=1, price_out=2, price_audio_in=40)
    api.stream("every-part", messages=TEN_WORDS)
    assert last_charge().fee == cost((7, "1"), (3, "40"), (10, "2"))
    assert audit() == []


def test_the_hold_covers_the_dearest_part_and_the_request(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(
        model=parts, price_in=1, price_out=2, price_audio_in=40, price_reasoning=3, price_request="0.01"
    )
    charge = charged(api, max_tokens=10)
    assert charge.hold == cost((charge.prompt_bound, "40"), (10, "3")) + Decimal("0.01")
    assert charge.fee <= charge.hold


@pytest.mark.parametrize(
    ("documents", "searches"), [([], 1), (["a"] * 100, 1), (["a"] * 101, 2), (["a" * 500] * 100, 2), (None, 1)]
)
def test_a_hold_covers_all_searches_of_a_reranker(documents: Any, searches: int) -> None:
    assert bounds.requests_bound({"query": "q", "documents": documents}) == searches


def test_a_request_price_leaves_less_for_the_answer(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(model=parts, price_in=0, price_out=1000, price_request="0.01")
    ApiKey.objects.filter(pk=api.alice.key.pk).update(month_quota=Decimal("0.013"))
    answer = api.chat("every-part", messages=TEN_WORDS)
    assert answer.headers["x-weighbridge-max-tokens"] == "3"
    assert last_charge().hold == Decimal("0.013")
    assert last_charge().fee == Decimal("0.013")
    assert audit() == []


@pytest.fixture
def tiered(api: Api) -> AIModel:
    model = AIModel.objects.get(name="echo")
    ModelPrice.objects.create(model=model, above_tokens=5, price_in=10, price_out=20)
    ModelPrice.objects.create(model=model, above_tokens=1000, price_in=100)
    return model


def test_a_long_prompt_pays_its_tier_for_all_of_its_tokens(api: Api, tiered: AIModel) -> None:
    charge = charged(api, model="echo")
    assert (charge.price_in, charge.price_out) == (10, 20)
    assert charge.fee == cost((10, "10"), (10, "20"))


def test_the_real_prompt_decides_and_not_its_bound(api: Api, tiered: AIModel) -> None:
    words = [{"role": "user", "content": "one two three four five"}]
    charge = charged(api, model="echo", messages=words)
    assert charge.prompt_bound > 5
    assert (charge.price_in, charge.fee) == (1, cost((5, "1"), (10, "2")))


def test_the_hold_covers_the_dearest_tier_that_the_bound_reaches(api: Api, tiered: AIModel) -> None:
    short = charged(api, model="echo", max_tokens=10)
    assert short.hold == cost((short.prompt_bound, "10"), (10, "20"))
    long = charged(api, model="echo", max_tokens=10, messages=[{"role": "user", "content": "x" * 2000}])
    assert long.hold == cost((long.prompt_bound, "100"), (10, "20"))


def test_a_price_holds_from_its_moment_on(api: Api) -> None:
    model = AIModel.objects.get(name="echo")
    now = timezone.now()
    ModelPrice.objects.create(model=model, price_in=1, price_out=2, valid_from=now - timedelta(days=9))
    ModelPrice.objects.create(model=model, price_in=3, price_out=4, valid_from=now - timedelta(days=1))
    ModelPrice.objects.create(model=model, price_in=5, price_out=6, valid_from=now + timedelta(days=1))
    assert charged(api, model="echo").price_in == 3


def test_a_price_that_comes_into_force_needs_no_edit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AIModel.objects.get(name="echo")
    later = timezone.now() + timedelta(hours=1)
    ModelPrice.objects.create(model=model, price_in=5, price_out=6, valid_from=later, price_request="0.1")
    ModelPrice.objects.create(model=model, price_in=1, price_out=2, valid_from=later - timedelta(days=1))
    assert charged(api, model="echo").price_in == 1
    monkeypatch.setattr("chat.services.completions.time.time", lambda: later.timestamp())
    charge = charged(api, model="echo")
    assert (charge.price_in, len(charge.buckets)) == (5, 1)


def test_an_edit_in_the_console_holds_for_the_next_call_and_keeps_the_rest(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(model=parts, price_in=1, price_out=2, price_audio_in=40)
    parts.price_out = Decimal(9)
    parts.save()
    charge = charged(api)
    assert charge.fee == cost((7, "1"), (3, "40"), (10, "9"))


def test_a_group_pays_its_ratio_and_the_charge_says_so(api: Api, parts: AIModel) -> None:
    ModelPrice.objects.create(model=parts, price_in=1, price_out=2, price_audio_in=40)
    group = factories.group(parts, price_ratio=Decimal("1.5"))
    api.alice.key.group = group
    api.alice.key.save()
    charge = charged(api, max_tokens=10)
    assert (charge.price_in, charge.price_out, charge.price_ratio) == (Decimal("1.5"), 3, Decimal("1.5"))
    assert charge.fee == cost((7, "1.5"), (3, "60"), (10, "3"))
    assert charge.hold == cost((charge.prompt_bound, "60"), (10, "3"))
    group.price_ratio = Decimal(0)
    group.save()
    assert charged(api).fee == 0


def test_a_ratio_rounds_the_price_to_whole_units(api: Api) -> None:
    AIModel.objects.filter(name="echo").update(price_in=Decimal("0.0000000003"), price_out=0)
    api.alice.key.group = factories.group(price_ratio=Decimal("0.5"))
    api.alice.key.save()
    assert charged(api, model="echo").price_in == Decimal("0.0000000002")


def test_a_free_model_is_not_an_unpriced_one(api: Api) -> None:
    AIModel.objects.filter(name="echo").update(price_in=0, price_out=0)
    free = charged(api, model="echo")
    assert (free.price_in, free.fee, free.output_tokens) == (0, 0, 10)
    AIModel.objects.filter(name="echo").update(price_in=None, price_out=None)
    unpriced = charged(api, model="echo")
    assert (unpriced.price_in, unpriced.fee, unpriced.output_tokens) == (None, 0, 10)


def test_what_nobody_reported_is_counted_by_a_tokenizer_and_marked(api: Api) -> None:
    answer = api.chat("no-usage", messages=[{"role": "user", "content": "Wie heißt die höchste Brücke? 桥"}]).json()
    charge = last_charge()
    text = answer["choices"][0]["message"]["content"]
    assert charge.usage_source == "estimated"
    assert charge.output_tokens == tokenizing.count(text) == 20
    assert charge.input_tokens == tokenizing.count("Wie heißt die höchste Brücke? 桥") + 1 + 3 + 3
    assert audit() == []


def test_a_stream_that_nobody_reported_is_counted_alike(api: Api) -> None:
    api.stream("no-usage")
    assert (last_charge().usage_source, last_charge().output_tokens) == ("estimated", 20)


def test_relaying_reported_usage_never_loads_the_vocabulary(api: Api) -> None:
    tokenizing._vocabulary.cache_clear()
    api.chat()
    api.stream()
    assert not tokenizing.is_loaded()
    api.chat("no-usage")
    assert tokenizing.is_loaded()
