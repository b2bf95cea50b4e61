"""Active checks: what is broken is known before a call finds out, what is well again is called again."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from providers.models import Provider, ProviderKey, Rest
from providers.requesters.base import Requester
from providers.services import board_sync
from providers.services.board import board
from tests import factories
from tests.fakes.openai import OpenAIHandler
from tests.routing.conftest import Routes


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what it says."""
    code = 0
    try:
        call_command("check_health", "--json", *arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(capsys.readouterr().out)


def test_all_is_well(routes: Routes, capsys: pytest.CaptureFixture[str]) -> None:
    routes.deployment("a")
    code, told = check(capsys)
    assert code == 0
    assert [(each["provider"], each["key"], each["ok"]) for each in told] == [("a", "default", True)]
    assert not Rest.objects.exists()


def test_a_dead_upstream_rests_before_any_call_meets_it(routes: Routes, capsys: pytest.CaptureFixture[str]) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].die()
    code, told = check(capsys)
    assert code == 1
    assert {each["provider"]: each["code"] for each in told} == {"a": "upstream_unavailable", "b": None}
    board_sync.hear()
    assert routes.served_by() == "b"


def test_a_wrong_key_is_set_aside(routes: Routes, capsys: pytest.CaptureFixture[str]) -> None:
    provider = routes.upstream("a")
    factories.model(provider)
    wrong = ProviderKey.objects.create(provider=provider, name="wrong", secret="sk-wrong-000000000000")
    assert check(capsys)[0] == 1
    rest = Rest.objects.get()
    assert (rest.key_id, rest.model_id, rest.is_firm) == (wrong.pk, None, True)
    assert "sk-wrong" not in rest.reason


def test_what_is_well_again_is_called_again(routes: Routes, capsys: pytest.CaptureFixture[str]) -> None:
    provider = routes.upstream("a", secret="sk-wrong-000000000000")
    factories.model(provider)
    assert routes.chat().status_code == 502
    board_sync.Exchange(board()).run()
    routes.fakes["a"].other_keys.add("sk-wrong-000000000000")  # the vendor has come to its senses
    assert check(capsys)[0] == 0
    assert not Rest.objects.exists()
    board_sync.hear()
    assert routes.served_by() == "a"


def test_one_provider_by_name(routes: Routes, capsys: pytest.CaptureFixture[str]) -> None:
    routes.deployment("a")
    routes.deployment("b")
    assert [each["provider"] for each in check(capsys, "b")[1]] == ["b"]


@pytest.mark.parametrize("status", [403, 404, 405, 429])
def test_a_server_without_a_readable_list_of_models_is_called_all_the_same(
    routes: Routes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """OpenAI's restricted keys may not read it, and small servers have none."""
    routes.deployment("a")
    monkeypatch.setattr(OpenAIHandler, "_models", lambda handler, _: handler.send_json(status, {"error": "no"}))
    assert check(capsys)[0] == 1
    assert not Rest.objects.exists()


@pytest.mark.parametrize("status", [429, 404, 403])
def test_a_list_of_models_ends_no_rest_that_it_knows_nothing_of(
    routes: Routes, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    routes.deployment("a")
    routes.fakes["a"].mishap(status, Retry_After="600")
    routes.chat()
    board_sync.Exchange(board()).run()
    assert check(capsys)[0] == 0
    assert Rest.objects.count() == 1
    routes.chat()
    assert routes.calls("a") == 1  # it said ten minutes


def test_one_check_that_fails_in_an_unknown_way_leaves_the_others_alone(
    routes: Routes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    routes.deployment("a")
    routes.deployment("b")
    odd = routes.upstream("c")
    Provider.objects.filter(pk=odd.pk).update(config=["not", "an", "object"])
    answers = iter([KeyError("surprise"), None])

    def surprise(requester: Requester) -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr(Requester, "check", surprise)
    code, told = check(capsys)
    assert code == 1
    assert sorted(each["ok"] for each in told) == [False, True]
    assert not Rest.objects.exists()
