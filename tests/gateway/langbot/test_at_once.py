"""Writes that meet: each is done or refused, whoever comes first, and what stands is whole."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection

from accounts.models import Role
from providers.models import AIModel, Provider
from tests import factories
from tests.gateway.langbot.conftest import caller

pytestmark = pytest.mark.usefixtures("database")

LLM = "provider/models/llm"
PROVIDERS = "provider/providers"
URL = "https://llm.example.com/v1"
Request = tuple[Any, ...]


def at_once(*requests: Request) -> list[Any]:
    """The answers, in the order of the requests."""
    secret = factories.key(role=Role.ADMIN).secret
    barrier = threading.Barrier(len(requests))
    answers: list[Any] = [None] * len(requests)

    def run(place: int, request: Request) -> None:
        api = caller(**{"X-API-Key": secret})
        barrier.wait()
        answers[place] = api(*request)
        connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def one_layer(name: str, **fields: Any) -> dict[str, Any]:
    config = {"base_url": URL, "model": "echo"}
    return {
        "name": name,
        "requester": "openai-compatible",
        "requester_config": config,
        "api_keys": ["sk-a", "sk-b"],
        **fields,
    }


def test_models_with_the_same_new_connection_end_at_one_provider(database: None) -> None:
    answers = at_once(*(("post", LLM, one_layer(f"model {number}")) for number in range(6)))
    assert statuses(answers) == {200: 6}, [answer.content for answer in answers]
    provider = Provider.objects.get()
    assert (provider.name, provider.keys.count(), provider.models.count()) == ("llm.example.com", 2, 6)


def test_models_with_different_keys_for_one_host_get_names_of_their_own(database: None) -> None:
    bodies = [one_layer(f"model {number}", api_keys=[f"sk-{number}"]) for number in range(5)]
    answers = at_once(*(("post", LLM, body) for body in bodies))
    assert statuses(answers) == {200: 5}, [answer.content for answer in answers]
    names = {"llm.example.com", *(f"llm.example.com {number}" for number in range(2, 6))}
    assert set(Provider.objects.values_list("name", flat=True)) == names


@pytest.mark.parametrize("path", [LLM, PROVIDERS])
def test_of_two_with_the_same_name_one_is_refused(path: str) -> None:
    of = factories.provider()
    bodies = {
        LLM: {"name": "twin", "provider_uuid": str(of.uuid)},
        PROVIDERS: {"name": "twin", "requester": "openai-compatible", "base_url": URL},
    }
    answers = at_once(*[("post", path, bodies[path])] * 4)
    assert statuses(answers) == {200: 1, 400: 3}, [answer.content for answer in answers]
    told = {answer.json()["msg"] for answer in answers if answer.status_code == 400}
    assert len(told) == 1 and "exists" in told.pop()


def test_renames_that_meet_at_one_name_leave_one_of_it(database: None) -> None:
    of = factories.provider()
    models = [factories.model(of, f"model {number}") for number in range(4)]
    answers = at_once(*(("put", f"{LLM}/{model.uuid}", {"name": "taken"}) for model in models))
    assert statuses(answers) == {200: 1, 400: 3}
    assert AIModel.objects.filter(name="taken").count() == 1


def _is_gone_or_done(answer: Any) -> bool:
    return answer.status_code in (200, 404)


@pytest.mark.parametrize("turn", range(3))
def test_a_model_is_not_left_on_a_provider_that_goes(turn: int) -> None:
    of = factories.provider()
    models = [factories.model(of, f"model {number}") for number in range(3)]
    elsewhere = factories.model(factories.provider(), "elsewhere")
    answers = at_once(
        ("delete", f"{PROVIDERS}/{of.uuid}?cascade=true"),
        ("post", LLM, {"name": "new", "provider_uuid": str(of.uuid)}),
        ("put", f"{LLM}/{elsewhere.uuid}", {"provider_uuid": str(of.uuid)}),
        *(("put", f"{LLM}/{model.uuid}", {"description": "changed"}) for model in models),
        ("put", f"{PROVIDERS}/{of.uuid}", {"api_keys": ["***", "sk-new"]}),
    )
    assert answers[0].status_code == 200
    assert all(map(_is_gone_or_done, answers)), [answer.content for answer in answers]
    assert not Provider.objects.filter(pk=of.pk).exists()


@pytest.mark.parametrize("turn", range(3))
def test_siblings_that_are_edited_at_once_each_get_their_own(turn: int) -> None:
    secret = factories.key(role=Role.ADMIN).secret
    api = caller(**{"X-API-Key": secret})
    uuids = [api("post", LLM, one_layer(f"model {number}")).json()["data"]["uuid"] for number in range(3)]
    edits = [{"requester_config": {"timeout": 10 + place}} for place in range(3)]
    answers = at_once(*(("put", f"{LLM}/{uuid}", edit) for uuid, edit in zip(uuids, edits, strict=True)))
    assert statuses(answers) == {200: 3}, [answer.content for answer in answers]
    rows = AIModel.objects.order_by("id").select_related("provider")
    assert [row.provider.first_byte_timeout for row in rows] == [10, 11, 12]
    assert [row.provider.keys.count() for row in rows] == [2, 2, 2]


def test_the_same_model_is_removed_once(database: None) -> None:
    model = factories.model(factories.provider())
    answers = at_once(*[("delete", f"{LLM}/{model.uuid}")] * 3, ("put", f"{LLM}/{model.uuid}", {"description": "x"}))
    assert statuses(answers[:3]) == {200: 1, 404: 2}
    assert _is_gone_or_done(answers[3])


CHANGES: list[Callable[[int], dict[str, Any]]] = [
    lambda number: {"api_keys": [f"sk-{number}", "***"]},
    lambda number: {"name": f"renamed {number}"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_edits_of_one_provider_come_one_after_the_other(change: Callable[[int], dict[str, Any]]) -> None:
    secret = factories.key(role=Role.ADMIN).secret
    body = {"name": "p", "requester": "openai-compatible", "base_url": URL, "api_keys": ["sk-a", "sk-b"]}
    uuid = caller(**{"X-API-Key": secret})("post", PROVIDERS, body).json()["data"]["uuid"]
    answers = at_once(*(("put", f"{PROVIDERS}/{uuid}", change(number)) for number in range(4)))
    assert statuses(answers) == {200: 4}, [answer.content for answer in answers]
    assert Provider.objects.get().keys.count() == 2
