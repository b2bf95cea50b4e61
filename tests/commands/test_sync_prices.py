"""sync_prices: told first, asked, applied from now on, and what held before is kept."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from providers.models import AIModel, ModelPrice, Provider
from providers.services import discovery, knowledge, pricing
from tests import factories

LISTED = {
    0: {"price_in": Decimal(2), "price_out": Decimal(8), "price_cached_read": Decimal("0.5")},
    200_000: {"price_in": Decimal(4), "price_out": Decimal(12), "price_cached_read": Decimal(1)},
}


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A public list that a test can change."""
    known: dict[str, Any] = {"seer": {above: dict(prices) for above, prices in LISTED.items()}}
    monkeypatch.setattr(knowledge, "listed_tiers", lambda *, provider, upstream_name: known.get(upstream_name, {}))
    return known


@pytest.fixture
def provider(database: None) -> Provider:
    return factories.provider(name="acme")


def sync(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = 0
    try:
        call_command("sync_prices", "--json", *arguments)
    except SystemExit as end:
        code = int(str(end.code))
    return code, json.loads(capsys.readouterr().out)


def followed(provider: Provider, **fields: Any) -> AIModel:
    return factories.model(provider, "seer", follows_list=True, **fields)


def test_the_difference_is_shown_and_nothing_changes(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = followed(provider, price_in=Decimal(2), price_out=Decimal(7))
    code, told = sync(capsys, "--dry-run")
    assert code == 1
    assert told["applied"] == 0
    place = {"model": "seer", "provider": "acme"}
    assert told["changes"][:3] == [
        {**place, "above_tokens": 0, "bucket": "price_out", "old": "7.00", "new": "8.00"},
        {**place, "above_tokens": 0, "bucket": "price_cached_read", "old": None, "new": "0.50"},
        {**place, "above_tokens": 200_000, "bucket": "price_in", "old": None, "new": "4.00"},
    ]
    model.refresh_from_db()
    assert model.price_out == 7
    assert not ModelPrice.objects.exists()


def test_nobody_to_ask_is_no(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed(provider)
    assert sync(capsys)[0] == 1
    assert not ModelPrice.objects.exists()


def test_it_asks_before_it_applies(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = followed(provider)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(SystemExit):
        call_command("sync_prices")
    assert "price_in: 1.00 -> 2.00" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda question: "y")
    call_command("sync_prices")
    model.refresh_from_db()
    assert model.price_in == 2


def test_applied_prices_hold_from_now_on_and_the_old_ones_before(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = followed(provider)
    before = timezone.now()
    shown = sync(capsys, "--dry-run")[1]
    assert sync(capsys, "--yes") == (0, {**shown, "applied": 1})
    model.refresh_from_db()
    assert (model.price_in, model.price_out, model.price_cached_read) == (2, 8, Decimal("0.5"))
    assert model.follows_list
    assert pricing.tiers_at(model=model, moment=before)[0].four[0] == 10**10
    now = pricing.tiers_at(model=model, moment=timezone.now())
    assert [(each.above_tokens, each.four[0]) for each in now] == [(0, 2 * 10**10), (200_000, 4 * 10**10)]
    assert sync(capsys, "--yes") == (0, {"changes": [], "not_in_the_list": [], "applied": 0})


def test_a_tier_that_the_list_no_longer_has_ends(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = followed(provider)
    sync(capsys, "--yes")
    del listed["seer"][200_000]
    code, told = sync(capsys, "--yes")
    assert (code, told["applied"]) == (0, 1)
    assert {each["new"] for each in told["changes"]} == {None}
    model.refresh_from_db()
    assert len(pricing.tiers_at(model=model, moment=timezone.now())) == 1
    assert sync(capsys)[1]["changes"] == []


def test_own_prices_are_left_alone_unless_the_model_is_named(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = factories.model(provider, "seer")
    assert sync(capsys, "--yes")[1]["changes"] == []
    assert sync(capsys, "--yes", "seer")[1]["applied"] == 1
    model.refresh_from_db()
    assert model.price_in == 2
    assert not model.follows_list


def test_a_price_that_is_changed_by_hand_is_nobody_elses_any_more(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = followed(provider, price_in=Decimal(2))
    model.price_in = Decimal(3)
    model.save()
    model.refresh_from_db()
    assert not model.follows_list
    assert sync(capsys, "--yes")[1]["changes"] == []


def test_what_the_list_says_nothing_of_stays(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = followed(provider, price_in=Decimal(2), price_out=Decimal(8), price_cached_read=Decimal("0.5"))
    ModelPrice.objects.create(model=model, price_in=Decimal(1), price_out=Decimal(8), price_audio_in=Decimal(40))
    sync(capsys, "--yes")
    tiers = pricing.tiers_at(model=AIModel.objects.get(), moment=timezone.now())
    assert tiers[0].rare == (("audio_in", 40 * 10**10),)
    assert tiers[1].rare == tiers[0].rare


def test_a_model_that_the_list_does_not_have_is_named(
    provider: Provider, listed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    factories.model(provider, "own-model")
    code, told = sync(capsys, "own-model")
    assert (code, told) == (0, {"changes": [], "not_in_the_list": ["own-model"], "applied": 0})
    call_command("sync_prices", "own-model")
    assert "Not in the list, so left alone: own-model." in capsys.readouterr().out


def test_an_unknown_name_is_told(database: None) -> None:
    with pytest.raises(CommandError, match="There is no model nobody"):
        call_command("sync_prices", "nobody")


def test_an_import_takes_the_tiers_of_the_installed_list_along(database: None) -> None:
    provider = factories.provider(name="openai", base_url="https://api.openai.com/v1")
    chosen = discovery.named(provider=provider, names=["gpt-5.5"])
    (model,) = discovery.import_models(provider=provider, chosen=chosen)
    assert model.follows_list
    tiers = pricing.tiers_at(model=model, moment=timezone.now())
    assert [each.above_tokens for each in tiers] == [0, 272_000]
    assert tiers[1].four[0] == 2 * (tiers[0].four[0] or 0)
