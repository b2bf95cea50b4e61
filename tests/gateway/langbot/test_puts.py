"""What a PUT says and what it repeats: a body that was read can be sent back, as a whole or with one field changed."""

from typing import Any

import pytest

from providers.models import AIModel, Provider, ProviderKey
from tests import factories
from tests.gateway.langbot.conftest import Api

pytestmark = pytest.mark.django_db

PROVIDERS = "provider/providers"
HOME, ELSEWHERE = "https://llm.example.com/v1", "https://elsewhere.example.net/v1"
KINDS = ("llm", "embedding", "rerank")

# Rows as the console, a declaration or an import may leave them.
MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "described": {"description": "Two\nlines", "context_length": 128_000, "abilities": ["vision", "chat", "vision"]},
    "kept to its abilities": {"abilities": [], "keeps_to_abilities": True},
    "thinking": {"reasoning_effort": "high"},
    "thinking by an argument": {"extra_args": {"reasoning_effort": "low"}, "reasoning_effort": "high"},
    "steered": {"extra_args": {"timeout": 5, "request_policy": {"retries": 1}, "extra_body": {"seed": 1}}},
    "secretive": {"extra_args": {"api_key": "s3cret", "deep": [{"token": "t", "n": 0}], "auth": {"a": [1, None, ""]}}},
    "of another name upstream": {"upstream_name": "somebody/else"},
    "multimodal without the word": {"is_multimodal": True},
}
PLACES: dict[str, dict[str, Any]] = {
    "plain": {},
    "impatient": {"first_byte_timeout": 0.5, "idle_timeout": 33.3},
    "with headers": {"config": {"headers": {"X-Pass": "s3cret", "X-Empty": ""}}},
    "with settings": {"config": {"model": "inner", "timeout": 7, "base_url": "x", "clientSecret": "s", "list": [1]}},
    "at its vendor's own address": {"requester": "openai-chat-completions", "base_url": ""},
    "with a slash": {"base_url": f"{HOME}/"},
    "without a key": {"secret": ""},
    "switched off": {"is_enabled": False},
}


def values(row: AIModel | Provider) -> dict[str, Any]:
    """All that is stored but the time of the change and what this dialect notes for itself."""
    rows = type(row).objects.filter(pk=row.pk).values()
    return {name: value for name, value in rows.get().items() if name not in ("updated_at", "metadata")}


def keys_of(row: Provider) -> list[Any]:
    names = ("pk", "uuid", "name", "weight", "is_enabled", "updated_at")
    return [*row.keys.order_by("id").values_list(*names), *row.keys.order_by("id").values_list("secret", flat=True)]


def shown(api: Api, path: str) -> Any:
    (thing,) = api("get", path).json()["data"].values()
    return {**thing, "updated_at": ""}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_any_making_is_not_changed_by_its_own_shape(key: Api, name: str, place: str) -> None:
    of = factories.provider(**PLACES[place])
    ProviderKey.objects.create(provider=of, name="off", secret="sk-off", weight=0, is_enabled=False)
    model = factories.model(of, **MODELS[name])
    sibling = factories.model(of, "sibling")
    path = f"provider/models/llm/{model.uuid}"
    before, stored, keys, connection = shown(key, path), values(model), keys_of(of), values(of)
    answer = key("put", path, key("get", path).json()["data"]["model"])
    assert answer.json() == {"code": 0, "data": {}, "msg": "ok"}
    assert (shown(key, path), values(model)) == (before, stored)
    assert (keys_of(of), values(of), Provider.objects.count()) == (keys, connection, 1)
    assert AIModel.objects.get(pk=sibling.pk).updated_at == sibling.updated_at


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_its_own_shape_back(key: Api, kind: str) -> None:
    model = factories.model(factories.provider(), kind=kind, extra_args={"user": "me"})
    path = f"provider/models/{kind}/{model.uuid}"
    before, stored = shown(key, path), values(model)
    assert key("put", path, before).status_code == 200
    assert (shown(key, path), values(model)) == (before, stored)


@pytest.mark.parametrize("place", PLACES)
def test_a_provider_of_any_making_is_not_changed_by_its_own_shape(key: Api, place: str) -> None:
    of = factories.provider(**PLACES[place])
    ProviderKey.objects.create(provider=of, name="off", secret="sk-off", is_enabled=False)
    path = f"{PROVIDERS}/{of.uuid}"
    before, stored, keys = shown(key, path), values(of), keys_of(of)
    assert key("put", path, before).status_code == 200
    assert (shown(key, path), values(of), keys_of(of)) == (before, stored, keys)
    assert Provider.objects.get().updated_at > of.updated_at


def test_a_field_of_the_whole_shape_is_changed_by_the_old_client(key: Api) -> None:
    body = {
        "name": "m",
        "requester": "openai-compatible",
        "requester_config": {"base_url": HOME, "model": "up"},
        "api_keys": [{"name": "team", "keys": ["sk-one"]}],
    }
    uuid = key("post", "provider/models/llm", body).json()["data"]["uuid"]
    path = f"provider/models/llm/{uuid}"
    whole = shown(key, path)
    whole["requester_config"]["base_url"] = ELSEWHERE
    whole["api_keys"][0]["keys"] = ["sk-new"]
    assert key("put", path, whole).status_code == 200
    model = AIModel.objects.select_related("provider").get()
    assert (model.provider.base_url, model.upstream_name) == (ELSEWHERE, "up")
    assert model.provider.name == "elsewhere.example.net"
    assert [(str(each.secret), each.name) for each in model.provider.keys.all()] == [("sk-new", "team")]


def test_the_whole_shape_with_another_provider_moves_there(key: Api) -> None:
    model, other = factories.model(factories.provider()), factories.provider(requester="openai-chat-completions")
    path = f"provider/models/llm/{model.uuid}"
    whole = {**shown(key, path), "provider_uuid": str(other.uuid)}
    assert key("put", path, whole).status_code == 200
    assert AIModel.objects.get().provider == other
    assert Provider.objects.count() == 2


@pytest.mark.parametrize(("noted", "upstream"), [({}, "new"), ({"model": "old"}, "old")])
def test_a_rename_in_the_whole_shape_keeps_only_an_upstream_name_that_was_given(
    key: Api, noted: dict[str, str], upstream: str
) -> None:
    body = {"name": "old", "requester": "openai-compatible", "requester_config": {"base_url": HOME, **noted}}
    uuid = key("post", "provider/models/llm", body).json()["data"]["uuid"]
    path = f"provider/models/llm/{uuid}"
    assert key("put", path, {**shown(key, path), "name": "new"}).status_code == 200
    model = AIModel.objects.get()
    assert (model.name, model.upstream_name) == ("new", upstream)


def test_an_upstream_name_can_be_taken_back(key: Api) -> None:
    model = factories.model(factories.provider(), "ours", upstream_name="theirs")
    path = f"provider/models/llm/{model.uuid}"
    assert key("put", path, {"requester_config": {"model": ""}}).status_code == 200
    assert AIModel.objects.get().upstream_name == "ours"


def test_abilities_that_only_repeat_do_not_bind(key: Api) -> None:
    model = factories.model(factories.provider(), abilities=["chat"])
    path = f"provider/models/llm/{model.uuid}"
    key("put", path, {"abilities": ["chat"]})
    assert not AIModel.objects.get().keeps_to_abilities
    key("put", path, {"abilities": ["chat", "vision"]})
    after = AIModel.objects.get()
    assert (after.keeps_to_abilities, after.is_multimodal, after.abilities) == (True, True, ["chat", "vision"])
    key("put", path, {"abilities": []})
    assert (AIModel.objects.get().keeps_to_abilities, AIModel.objects.get().is_multimodal) == (True, False)


def test_a_model_that_is_made_without_abilities_is_bound_to_none(key: Api) -> None:
    body = {"name": "m", "provider_uuid": str(factories.provider().uuid)}
    assert key("post", "provider/models/llm", body).status_code == 200
    assert (AIModel.objects.get().abilities, AIModel.objects.get().keeps_to_abilities) == ([], False)
    key("post", "provider/models/llm", {**body, "name": "n", "abilities": []})
    assert AIModel.objects.get(name="n").keeps_to_abilities


def test_a_level_of_thinking_stays_until_its_ability_goes(key: Api) -> None:
    body = {"name": "m", "provider_uuid": str(factories.provider().uuid), "abilities": ["reasoning"]}
    thinks = {"level": "enabled", "budget_tokens": 20_000}
    uuid = key("post", "provider/models/llm", {**body, "reasoning_config": thinks}).json()["data"]["uuid"]
    path = f"provider/models/llm/{uuid}"
    assert AIModel.objects.get().reasoning_effort == "high"
    assert shown(key, path)["reasoning_config"] == thinks
    assert key("put", path, {"abilities": ["vision"]}).status_code == 400
    for args in ({"extra_args": {"thinking": {}}}, {"requester_config": {"args": {"extra_body": {"reasoning": 1}}}}):
        assert "conflicts with advanced parameters" in key("put", path, args).json()["msg"]
    gone = {"abilities": ["vision"], "reasoning_config": {"level": "provider_default"}}
    assert key("put", path, gone).status_code == 200
    assert AIModel.objects.get().reasoning_effort == ""
    AIModel.objects.update(reasoning_effort="low")  # in the console
    assert shown(key, path)["reasoning_config"] == {"level": "low"}


def test_arguments_that_the_console_has_edited_are_one_again(key: Api) -> None:
    body = {
        "name": "m",
        "provider_uuid": str(factories.provider().uuid),
        "requester_config": {"args": {"top_p": 1, "seed": 1}},
        "extra_args": {"seed": 2},
    }
    uuid = key("post", "provider/models/llm", body).json()["data"]["uuid"]
    path = f"provider/models/llm/{uuid}"
    assert AIModel.objects.get().extra_args == {"top_p": 1, "seed": 2}
    assert (shown(key, path)["requester_config"]["args"], shown(key, path)["extra_args"]) == (
        {"top_p": 1, "seed": 1},
        {"seed": 2},
    )
    AIModel.objects.update(extra_args={"user": "me"})
    assert (shown(key, path)["requester_config"]["args"], shown(key, path)["extra_args"]) == ({}, {"user": "me"})


def test_settings_are_laid_over_what_there_is_and_null_removes_one(key: Api) -> None:
    of = factories.provider(config={"headers": {"X-A": "1"}, "api_version": "v1"}, base_url=HOME)
    path = f"{PROVIDERS}/{of.uuid}"
    assert key("put", path, {"requester_config": {"timeout": 60}}).status_code == 200
    of.refresh_from_db()
    assert (of.config, of.first_byte_timeout, of.idle_timeout) == (
        {"headers": {"X-A": "1"}, "api_version": "v1"},
        60,
        60,
    )
    key("put", path, {"requester_config": {"headers": {"X-A": "***", "X-B": "2"}, "api_version": None}})
    of.refresh_from_db()
    assert of.config == {"headers": {"X-A": "1", "X-B": "2"}}


def test_keys_are_named_after_their_group(key: Api) -> None:
    groups = [{"name": "team", "keys": ["sk-1", "sk-2"]}, {"keys": ["sk-3", "sk-1"]}, {"name": "", "keys": ["sk-4"]}]
    body = {"name": "m", "requester": "openai-compatible", "requester_config": {"base_url": HOME}, "api_keys": groups}
    assert key("post", "provider/models/llm", body).status_code == 200
    rows = ProviderKey.objects.order_by("id")
    assert [(row.name, str(row.secret)) for row in rows] == [
        ("team", "sk-1"),
        ("team 2", "sk-2"),
        ("default", "sk-3"),
        ("default 2", "sk-4"),
    ]


def test_a_whole_model_can_be_made_again_elsewhere(key: Api) -> None:
    model = factories.model(factories.provider(), "ours", upstream_name="theirs", abilities=["vision"])
    other = factories.provider()
    whole = shown(key, f"provider/models/llm/{model.uuid}")
    answer = key("post", "provider/models/llm", {**whole, "provider_uuid": str(other.uuid)})
    made = AIModel.objects.get(uuid=answer.json()["data"]["uuid"])
    assert made.uuid != model.uuid
    assert (made.provider, made.name, made.upstream_name) == (other, "ours", "theirs")
