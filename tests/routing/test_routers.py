"""Routers with settings that nobody checked, choosers that answer nonsense, and what a router's rules tell to whom."""

import json
from typing import Any

import pytest
from django.db import Error

from providers.models import AIModel, Provider
from providers.services import board_sync
from tests import factories
from tests.routing.conftest import Routes

RULES = [{"name": "code", "description": "programs"}, {"name": "hidden", "description": "secrets"}]


def router(config: Any) -> AIModel:
    row = Provider.objects.create(name="router", requester="smart-router", config=config)
    return factories.model(row, "auto", price_in=None, price_out=None)


def explained(routes: Routes, model: str, key: Any = None) -> Any:
    return routes.client.post(
        "/v1/route/explain",
        {"model": model, "messages": [{"role": "user", "content": "hi"}]},
        content_type="application/json",
        headers={"authorization": f"Bearer {(key or routes.key).secret}"},
    )


@pytest.mark.parametrize("config", [{}, [], "x", {"rules": RULES}, {"rules": RULES, "localLlmModel": 5}])
def test_a_router_without_a_chooser_says_what_is_missing(routes: Routes, config: Any) -> None:
    router(config)
    answer = routes.chat("auto")
    assert (answer.status_code, "localLlmModel" in answer.json()["error"]["message"]) == (502, True)
    assert explained(routes, "auto").status_code == 502
    assert not routes.key.key.charges.exists()


@pytest.mark.parametrize("rules", [None, 5, "abc", {}, [None], [[]], [{"name": ["x"]}], [{"name": 5}], [{"name": ""}]])
def test_rules_that_can_not_be_used_choose_nobody(routes: Routes, rules: Any) -> None:
    router({"rules": rules, "localLlmModel": "chooser"})
    routes.deployment("a", "default")
    routes.deployment("b", "chooser")
    assert routes.served_by("auto") == "a"
    assert routes.calls("b") == 0


@pytest.mark.parametrize("arguments", ["", "null", "[]", '{"modelId": 5}', '{"modelId": ["code"]}', "{", 5, None])
def test_a_chooser_that_answers_nonsense_chooses_nobody(routes: Routes, arguments: Any) -> None:
    router({"rules": RULES, "localLlmModel": "chooser"})
    routes.deployment("a", "default")
    routes.deployment("b", "chooser")
    call = {"id": "c", "type": "function", "function": {"name": "chooseModel", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    routes.fakes["b"].reply_json("echo", {"choices": [{"index": 0, "message": message}]})
    assert routes.chat("auto").status_code in (200, 502)
    assert not routes.key.key.charges.filter(state="held").exists()


def test_a_router_is_no_way_around_a_grant(routes: Routes) -> None:
    auto = router({"rules": RULES, "localLlmModel": "chooser"})
    chooser = routes.deployment("b", "chooser")
    routes.deployment("a", "hidden")
    call = {"id": "c", "type": "function", "function": {"name": "chooseModel", "arguments": '{"modelId": "hidden"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    routes.fakes["b"].reply_json("echo", {"choices": [{"index": 0, "message": message}]})
    key = factories.key(all_models=False)
    factories.grant(key, auto)
    factories.grant(key, chooser)
    assert routes.chat("auto", key).status_code == 404
    assert routes.calls("a") == 0


def test_an_explanation_shows_a_router_only_as_far_as_the_key_may_go(routes: Routes) -> None:
    headers = {"x-upstream-key": "sk-never-to-be-shown"}
    auto = router({"rules": RULES, "localLlmModel": "chooser", "headers": headers})
    code = routes.deployment("a", "code")
    routes.deployment("b", "hidden")
    key = factories.key(all_models=False)
    factories.grant(key, auto)
    factories.grant(key, code)
    assert explained(routes, "auto", key).json()["router"] == {"rules": RULES[:1], "localLlmModel": "chooser"}
    assert explained(routes, "auto").json()["router"]["rules"] == RULES
    assert "sk-never" not in json.dumps(explained(routes, "auto").json())


def test_an_explanation_without_a_database_is_a_503(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    routes.deployment("a")

    def away() -> None:
        raise Error("away")

    monkeypatch.setattr(board_sync, "hear", away)
    assert explained(routes, "echo").status_code == 503
