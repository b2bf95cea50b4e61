"""`name/upstream-model` is no way around rows, prices, switches or addresses."""

from collections import Counter
from decimal import Decimal

import pytest

from providers.models import Provider, ProviderKey, Rest, Strategy
from providers.services import board_sync
from providers.services.board import board
from providers.services.choice import STRATEGIES, Need
from providers.services.routing import load_catalog
from tests import factories
from tests.routing.conftest import Routes, last_charge


def test_a_model_that_is_switched_off_is_off_under_every_name(routes: Routes) -> None:
    provider = routes.upstream("a")
    factories.model(provider, "cheap", upstream_name="slow")
    factories.model(provider, "dear", upstream_name="echo", is_enabled=False)
    assert routes.chat("cheap/echo").status_code == 404
    assert routes.calls("a") == 0


@pytest.mark.parametrize("spelling", ["ECHO", "./echo", "../echo", "x/../echo", " echo", "echo ", "echo\0", "//echo"])
def test_no_spelling_leads_around_a_row(routes: Routes, spelling: str) -> None:
    provider = routes.upstream("a")
    cheap = factories.model(provider, "cheap", upstream_name="slow")
    factories.model(provider, "dear", upstream_name="echo")
    key = factories.key(all_models=False)
    factories.grant(key, cheap)
    assert routes.chat(f"cheap/{spelling}", key).status_code == 404
    assert routes.calls("a") == 0


def test_of_several_rows_the_one_that_is_granted_sets_the_price(routes: Routes) -> None:
    provider = routes.upstream("a")
    cheap = factories.model(provider, "cheap", upstream_name="slow")
    factories.model(provider, "dear", upstream_name="echo", price_out=Decimal(1000))
    granted = factories.model(provider, "fair", upstream_name="echo", price_out=Decimal(7), priority=1)
    key = factories.key(all_models=False)
    factories.grant(key, cheap)
    factories.grant(key, granted)
    assert routes.chat("cheap/echo", key).status_code == 200
    assert last_charge().price_out == Decimal(7)


def test_one_providers_unusable_settings_are_its_own_trouble(routes: Routes) -> None:
    routes.deployment("a")
    for number, config in enumerate(([], "x", {"headers": []}, {"headers": {"x": 5}})):
        odd = Provider.objects.create(name=f"odd {number}", base_url="http://127.0.0.1:9/v1", config=config)
        ProviderKey.objects.create(provider=odd, secret="sk-some-provider-key")
        factories.model(odd, f"odd {number}")
        assert routes.chat().status_code == 200
        assert routes.chat(f"odd {number}").status_code == 502
    assert len(load_catalog().routes) == 5


def test_an_upstreams_words_can_always_be_written_down(routes: Routes) -> None:
    routes.deployment("a")
    routes.fakes["a"].reply_json("echo", {"error": {"message": "no\0thing", "code": "a\0b"}}, status=500)
    assert routes.chat().status_code == 502
    board_sync.Exchange(board()).run()
    assert Rest.objects.get().reason == "nothing"


def test_sessions_are_shared_by_all_deployments_alike(routes: Routes) -> None:
    for name in "abc":
        routes.deployment(name, strategy=Strategy.STICKY)
    targets = load_catalog().routes[("llm", "echo")]
    counted: Counter[str] = Counter()
    for session in range(3000):
        rank = STRATEGIES[Strategy.STICKY](Need(1, 1, f"1/{session}"), board())
        counted[min(targets, key=rank).provider_name] += 1
    assert all(870 <= count <= 1130 for count in counted.values()), counted  # 1000 expected, five deviations are 129


def test_a_call_that_asks_for_the_moon_can_be_counted(routes: Routes) -> None:
    routes.deployment("a", max_rpm=100)
    key = factories.key(month_quota=None)
    assert routes.chat(key=key, n=128, max_tokens=2**62).status_code == 200
    exchange = board_sync.Exchange(board())
    exchange.run()
    assert board().rests == {}


@pytest.mark.parametrize("kind", [[], {}, None, 5])
def test_a_part_of_an_odd_kind_is_the_upstreams_to_refuse(routes: Routes, kind: object) -> None:
    routes.deployment("a")
    message = {"role": "user", "content": [{"type": kind, "text": "hi"}]}
    assert routes.chat(messages=[message]).status_code == 200


def test_a_retry_after_from_before_all_times_is_none(routes: Routes) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].mishap(429, Retry_After="Mon, 01 Jan 0001 00:00:00 +0100")
    assert routes.served_by() == "b"
