"""From the name in a body to a model."""

from decimal import Decimal

from django.test import Client

from providers.models import Provider
from tests import factories
from tests.routing.conftest import Routes, last_charge


def test_the_right_of_a_slash_goes_upstream(routes: Routes) -> None:
    routes.deployment("a", "team", upstream_name="slow", allows_other_upstream=True)
    assert routes.chat("team/echo").status_code == 200
    assert routes.sent("a")["model"] == "echo"
    assert (last_charge().model_name, last_charge().upstream_name) == ("team", "echo")


def test_what_has_a_row_of_its_own_costs_what_that_row_says(routes: Routes) -> None:
    provider = routes.upstream("a")
    factories.model(provider, "cheap", upstream_name="slow", price_out=Decimal(1))
    factories.model(provider, "dear", upstream_name="echo", price_out=Decimal(1000))
    assert routes.chat("cheap/echo", max_tokens=10).headers["x-weighbridge-cost"].startswith("0.01")


def test_a_slash_is_no_way_around_a_missing_grant(routes: Routes) -> None:
    provider = routes.upstream("a")
    cheap = factories.model(provider, "cheap", upstream_name="slow")
    factories.model(provider, "dear", upstream_name="echo")
    key = factories.key(all_models=False)
    factories.grant(key, cheap)
    assert routes.chat("cheap/echo", key).status_code == 404
    assert routes.calls("a") == 0


def test_what_has_no_row_is_called_only_where_the_operator_says_so(routes: Routes) -> None:
    """Else any key with one cheap model could call every model of its provider at that price."""
    routes.deployment("a", "team", upstream_name="slow")
    assert routes.chat("team/echo").status_code == 404
    assert routes.calls("a") == 0


def test_a_name_with_a_slash_of_its_own_comes_first(routes: Routes) -> None:
    routes.deployment("a", "meta")
    routes.deployment("b", "meta/echo")
    assert routes.served_by("meta/echo") == "b"


def test_the_default_model_answers_unknown_names(routes: Routes) -> None:
    routes.deployment("a", "default")
    assert routes.served_by("gpt-99") == "a"
    assert last_charge().model_name == "default"


def test_a_name_that_another_endpoint_calls_is_not_unknown(routes: Routes) -> None:
    routes.deployment("a", "default")
    routes.deployment("b", "painter", kind="image")
    answer = routes.chat("painter")
    assert answer.status_code == 404
    assert "of the kind image" in answer.json()["error"]["message"]
    assert routes.calls("a") == 0


def test_without_one_an_unknown_name_is_a_404(routes: Routes) -> None:
    routes.deployment("a", "other")
    assert routes.chat("gpt-99").status_code == 404


def test_the_default_model_is_for_those_who_may_call_it(routes: Routes) -> None:
    routes.deployment("a", "default")
    assert routes.chat("gpt-99", factories.key(all_models=False)).status_code == 404


def test_a_router_lets_another_model_choose(routes: Routes, client: Client) -> None:
    routes.deployment("a", "code")
    routes.deployment("b", "chooser")
    rules = [{"name": "code", "description": "programs"}, {"name": "prose", "description": "all else"}]
    config = {"rules": rules, "localLlmModel": "chooser"}
    router = Provider.objects.create(name="router", requester="smart-router", config=config)
    factories.model(router, "auto", price_in=None, price_out=None)
    picked = {"id": "c", "type": "function", "function": {"name": "chooseModel", "arguments": '{"modelId": "code"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [picked]}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    routes.fakes["b"].reply_json("echo", {**answer, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    assert routes.served_by("auto") == "a"
    assert routes.sent("b")["tools"][0]["function"]["parameters"]["properties"]["modelId"]["enum"] == ["code", "prose"]
    assert [charge.model_name for charge in routes.key.key.charges.order_by("id")] == ["chooser", "code"]


def test_a_router_whose_chooser_fails_takes_the_default(routes: Routes) -> None:
    routes.deployment("a", "default")
    routes.deployment("b", "chooser")
    routes.fakes["b"].mishap(500, times=9)
    config = {"rules": [{"name": "code", "description": "programs"}], "localLlmModel": "chooser"}
    factories.model(Provider.objects.create(name="router", requester="smart-router", config=config), "auto")
    assert routes.served_by("auto", headers={"session-id": "s"}) == "a"
    assert [session.calls for session in routes.key.key.sessions.all()] == [1]  # the question is no part of it


def test_a_router_whose_chooser_names_nobody_takes_the_default(routes: Routes) -> None:
    routes.deployment("a", "default")
    routes.deployment("b", "chooser")
    config = {"rules": [{"name": "code", "description": "programs"}], "localLlmModel": "chooser"}
    factories.model(Provider.objects.create(name="router", requester="smart-router", config=config), "auto")
    assert routes.served_by("auto") == "a"


def test_a_router_that_chose_nobody_says_so(routes: Routes) -> None:
    routes.deployment("b", "chooser")
    config = {"rules": [{"name": "code", "description": "programs"}], "localLlmModel": "chooser"}
    factories.model(Provider.objects.create(name="router", requester="smart-router", config=config), "auto")
    answer = routes.chat("auto")
    assert answer.status_code == 404
    assert "The router `auto` chose none" in answer.json()["error"]["message"]


def test_routers_that_lead_to_each_other_are_refused(routes: Routes) -> None:
    config = {"rules": [{"name": "auto", "description": "all"}], "localLlmModel": "auto"}
    factories.model(Provider.objects.create(name="router", requester="smart-router", config=config), "auto")
    answer = routes.chat("auto")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
