"""Models over LangBot's API in both of its shapes: stored, told, put back, copied on write."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from providers.models import AIModel, Provider
from tests import factories
from tests.gateway.langbot.conftest import Api

pytestmark = pytest.mark.django_db

LLM = "provider/models/llm"
URL = "https://llm.example.com/v1"
# As the seed's page has it.
ONE_LAYER: dict[str, Any] = {
    "name": "GPT-4",
    "description": "OpenAI GPT-4 model",
    "requester": "openai-chat-completions",
    "requester_config": {"base_url": URL, "model": "gpt-4", "args": {"temperature": 0.5}},
    "api_keys": [{"name": "team", "keys": ["sk-one", "sk-two"]}],
    "abilities": ["chat", "vision"],
    "extra_args": {"top_p": 0.9},
}
INLINE: dict[str, Any] = {"requester": "openai-chat-completions", "base_url": URL, "api_keys": ["sk-one", "sk-two"]}
BODIES = {"one-layer": ONE_LAYER, "two-layer": {"name": "gpt-4o", "provider": INLINE, "abilities": ["func_call"]}}


def made(key: Api, body: dict[str, Any] | None = None, path: str = LLM, **changes: Any) -> str:
    answer = key("post", path, {**(body or ONE_LAYER), **changes})
    assert answer.status_code == 200, answer.content
    return str(answer.json()["data"]["uuid"])


def read(key: Api, uuid: str, path: str = LLM) -> Any:
    return key("get", f"{path}/{uuid}").json()["data"]["model"]


def put(key: Api, uuid: str, body: Any, path: str = LLM) -> Any:
    return key("put", f"{path}/{uuid}", body)


def row(uuid: str) -> AIModel:
    return AIModel.objects.select_related("provider").get(uuid=uuid)


def test_the_one_layer_shape_comes_back_as_it_was_sent(key: Api) -> None:
    shown = read(key, made(key))
    assert {name: shown[name] for name in ONE_LAYER} == {
        **ONE_LAYER,
        "requester_config": {**ONE_LAYER["requester_config"], "timeout": 120},
        "api_keys": [{"name": "team", "keys": ["***", "***"]}],
    }
    assert shown["provider"]["name"] == "llm.example.com"


def test_the_one_layer_shape_is_stored_in_two(key: Api) -> None:
    model = row(made(key))
    assert (model.name, model.upstream_name, model.description) == ("GPT-4", "gpt-4", "OpenAI GPT-4 model")
    assert model.extra_args == {"temperature": 0.5, "top_p": 0.9}
    assert (model.is_multimodal, model.keeps_to_abilities) == (True, True)
    assert model.provider.base_url == URL
    assert [str(each.secret) for each in model.provider.keys.order_by("id")] == ["sk-one", "sk-two"]


def test_flat_keys_the_old_spelling_and_no_config_are_known(key: Api) -> None:
    flat = row(made(key, requester_config={"base-url": URL, "timeout": 60}, api_keys=["sk-flat"]))
    assert (flat.provider.base_url, flat.upstream_name) == (URL, "GPT-4")
    assert (flat.provider.first_byte_timeout, flat.provider.idle_timeout) == (60, 60)
    bare = row(made(key, name="bare", requester_config={}, api_keys=[]))
    assert bare.provider.address == "https://api.openai.com/v1"


@pytest.mark.parametrize("shape", BODIES)
def test_what_a_get_shows_can_be_put_back(key: Api, shape: str) -> None:
    uuid = made(key, BODIES[shape])
    before, stored = read(key, uuid), row(uuid)
    keys = list(stored.provider.keys.values_list("pk", "secret"))
    answer = put(key, uuid, before)
    assert answer.json() == {"code": 0, "data": {}, "msg": "ok"}
    after = row(uuid)
    assert {**read(key, uuid), "updated_at": ""} == {**before, "updated_at": ""}
    assert after.provider == stored.provider
    assert list(after.provider.keys.values_list("pk", "secret")) == keys
    assert Provider.objects.count() == 1
    for name in ("upstream_name", "extra_args", "keeps_to_abilities", "reasoning_effort"):
        assert getattr(after, name) == getattr(stored, name)


def test_a_model_made_elsewhere_is_not_changed_by_being_put_back(key: Api) -> None:
    model = factories.model(factories.provider(), abilities=["vision"], extra_args={"seed": 1})
    put(key, str(model.uuid), read(key, str(model.uuid)))
    after = row(str(model.uuid))
    assert (after.keeps_to_abilities, after.extra_args, after.provider) == (False, {"seed": 1}, model.provider)


def test_models_with_the_same_connection_share_a_provider(key: Api) -> None:
    first = row(made(key))
    second = row(made(key, name="other", api_keys=["sk-two", "sk-one"]))
    third = row(made(key, BODIES["two-layer"]))
    assert first.provider == second.provider == third.provider
    assert row(made(key, name="x", api_keys=["sk-one"])).provider.name == "llm.example.com 2"


def test_an_edit_through_one_model_never_changes_its_siblings(key: Api) -> None:
    first, second = made(key), made(key, name="other")
    assert put(key, first, {"api_keys": ["***", "sk-three"]}).status_code == 200
    assert row(first).provider != row(second).provider
    assert {str(each.secret) for each in row(first).provider.keys.all()} == {"sk-one", "sk-three"}
    assert {str(each.secret) for each in row(second).provider.keys.all()} == {"sk-one", "sk-two"}


def test_a_model_s_own_provider_is_edited_in_place(key: Api) -> None:
    uuid = made(key)
    provider = row(uuid).provider
    moved = {"requester_config": {"base_url": "https://new.example.com/v1"}, "api_keys": ["sk-new"]}
    assert put(key, uuid, moved).status_code == 200
    after = row(uuid)
    assert (after.provider.pk, after.provider.base_url) == (provider.pk, "https://new.example.com/v1")
    assert [(str(each.secret), each.is_enabled) for each in after.provider.keys.all()] == [("sk-new", True)]
    assert after.upstream_name == "gpt-4"


def test_a_provider_that_somebody_made_is_not_edited_through_a_model(key: Api) -> None:
    provider = factories.provider(base_url=URL, secret="sk-one")
    model = factories.model(provider)
    assert put(key, str(model.uuid), {"api_keys": ["sk-mine"]}).status_code == 200
    assert row(str(model.uuid)).provider != provider
    assert str(provider.keys.get().secret) == "sk-one"


def test_stored_keys_do_not_move_to_another_address(key: Api) -> None:
    uuid = made(key)
    evil = {"base_url": "https://evil.example.com/v1"}
    for keys in ({}, {"api_keys": [{"name": "team", "keys": ["***", "***"]}]}):
        answer = put(key, uuid, {"requester_config": evil, **keys})
        assert (answer.status_code, "enter the keys again" in answer.json()["msg"]) == (400, True)
    assert [each.base_url for each in Provider.objects.all()] == [URL]


def test_settings_that_a_body_does_not_name_stay(key: Api) -> None:
    uuid = made(key, requester_config={"base_url": URL, "headers": {"X-Team": "blue"}})
    assert read(key, uuid)["requester_config"]["headers"] == {"X-Team": "***"}
    assert put(key, uuid, {"requester_config": {"model": "gpt-5"}}).status_code == 200
    assert row(uuid).provider.config == {"headers": {"X-Team": "blue"}}
    assert row(uuid).upstream_name == "gpt-5"


def test_a_model_moves_to_another_provider(key: Api) -> None:
    uuid, other = made(key), factories.provider()
    assert put(key, uuid, {"provider_uuid": str(other.uuid)}).status_code == 200
    assert row(uuid).provider == other
    assert put(key, uuid, {"provider": INLINE}).status_code == 200
    assert row(uuid).provider.base_url == URL


def test_a_provider_is_named_by_uuid_in_two_ways(key: Api) -> None:
    provider = factories.provider()
    assert row(made(key, {"name": "a", "provider_uuid": str(provider.uuid)})).provider == provider
    assert row(made(key, {"name": "b", "provider": {"uuid": str(provider.uuid)}})).provider == provider
    assert Provider.objects.count() == 1


def test_a_requester_that_contradicts_the_named_provider_is_refused(key: Api) -> None:
    body = {"name": "a", "provider_uuid": str(factories.provider().uuid), "requester": "anthropic-messages"}
    assert key("post", LLM, body).status_code == 400


@pytest.mark.parametrize(("kind", "path"), [("embedding", "embedding"), ("rerank", "rerank")])
def test_other_kinds_lack_what_language_models_have(key: Api, kind: str, path: str) -> None:
    path = f"provider/models/{path}"
    uuid = made(key, path=path, requester="openai-compatible")
    shown = read(key, uuid, path)
    assert row(uuid).kind == kind
    assert not {"abilities", "context_length", "reasoning_config", "reasoning_capabilities"} & set(shown)
    assert key("get", f"{LLM}/{uuid}").status_code == 404


def test_a_kind_that_the_vendor_lacks_is_refused_before_anything_is_stored(key: Api) -> None:
    body = {"name": "x", "requester": "anthropic-messages", "api_keys": ["sk-ant-x"]}
    answer = key("post", "provider/models/embedding", body)
    told = "Provider anthropic-messages does not support text-embedding models"
    assert (answer.status_code, answer.json()) == (400, {"code": -1, "msg": told})
    assert not (Provider.objects.exists() or AIModel.objects.exists())


def test_an_alias_of_a_requester_is_accepted(key: Api) -> None:
    uuid = made(key, path="provider/models/embedding", requester="openai-embeddings")
    assert row(uuid).provider.requester == "openai-chat-completions"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"requester": "nobody-has-this"}, "requester"),
        ({"requester_config": "x"}, "requester_config"),
        ({"requester_config": {"base_url": 5}}, "base_url"),
        ({"requester_config": {"base_url": "gopher://x"}}, "base_url"),
        ({"requester_config": {"base_url": URL, "model": 5}}, "model"),
        ({"requester_config": {"base_url": URL, "args": []}}, "args"),
        ({"requester_config": {"base_url": URL, "timeout": -1}}, "timeout"),
        ({"api_keys": {"a": 1}}, "api_keys"),
        ({"api_keys": ["***"]}, "Masked secret has no existing value"),
        ({"abilities": "chat"}, "abilities"),
        ({"abilities": [5]}, "abilities"),
        ({"extra_args": []}, "extra_args"),
        ({"extra_args": {"model": "other"}}, "extra_args"),
        ({"extra_args": {"api_key": "***"}}, "Masked secret has no existing value"),
        ({"prefered_ranking": "high"}, "prefered_ranking"),
        ({"prefered_ranking": 2**40}, "prefered_ranking"),
        ({"context_length": 0}, "context_length"),
        ({"extra_args": {"x": "y" * 70_000}}, "extra_args: It has more than 65536 bytes."),
        ({"abilities": ["x"] * 101}, "abilities: Give no more than 100."),
        ({"abilities": ["x" * 256]}, "abilities"),
        ({"api_keys": ["x" * 20_001]}, "api_keys: Give no more than 1000 keys"),
        ({"api_keys": [{"keys": [f"sk-{number}" for number in range(1001)]}]}, "api_keys: Give no more than 1000 keys"),
        ({"requester_config": {"base_url": URL, "model": "x" * 256}}, "upstream_name"),
        ({"requester_config": {"base_url": f"{URL}/{'x' * 500}"}}, "base_url"),
        ({"reasoning_config": {"level": "hardest"}}, "Unsupported reasoning level: hardest"),
        ({"reasoning_config": {"effort": 1}}, "Unsupported reasoning_config fields: effort"),
        ({"reasoning_config": {"level": "low"}}, "The reasoning ability must be enabled"),
        ({"description": "a\0b"}, "description"),
    ],
)
def test_bad_fields_are_refused_and_store_nothing(key: Api, changes: dict[str, Any], told: str) -> None:
    answer = key("post", LLM, {**ONE_LAYER, **changes})
    assert answer.status_code == 400, answer.content
    assert (answer.json()["code"], told in answer.json()["msg"]) == (-1, True), answer.json()
    assert not (Provider.objects.exists() or AIModel.objects.exists())


def test_a_refused_change_changes_nothing(key: Api) -> None:
    uuid = made(key)
    before = read(key, uuid)
    body = {"description": "new", "api_keys": ["sk-new"], "extra_args": {"messages": []}}
    assert put(key, uuid, body).status_code == 400
    assert read(key, uuid) == before
    assert Provider.objects.count() == 1


def test_no_source_is_refused(key: Api) -> None:
    for body in ({"name": "x"}, {"name": "x", "provider": {}}, {"name": "x", "provider": {"base_url": URL}}):
        assert key("post", LLM, body).status_code == 400
    assert not Provider.objects.exists()


def test_the_same_name_twice_on_a_provider_is_refused(key: Api) -> None:
    made(key)
    answer = key("post", LLM, ONE_LAYER)
    told = "name: A model of this name and kind exists on this provider already."
    assert (answer.status_code, answer.json()["msg"]) == (400, told)
    made(key, api_keys=["sk-of-another"])  # elsewhere it is another deployment of the same route
    assert AIModel.objects.filter(name="GPT-4").count() == 2


def test_a_rename_takes_the_upstream_s_name_along_where_they_were_one(key: Api) -> None:
    uuid = made(key, BODIES["two-layer"])
    put(key, uuid, {"name": "gpt-5"})
    assert (row(uuid).name, row(uuid).upstream_name) == ("gpt-5", "gpt-5")
    other = made(key)
    put(key, other, {"name": "ours"})
    assert (row(other).name, row(other).upstream_name) == ("ours", "gpt-4")


def test_secrets_in_extra_args_are_masked_and_kept(key: Api) -> None:
    uuid = made(key, extra_args={"my_api_key": "s3cret", "max_tokens": 5, "deep": {"accessToken": "t0ken"}})
    shown = read(key, uuid)
    assert shown["extra_args"] == {"my_api_key": "***", "max_tokens": 5, "deep": {"accessToken": "***"}}
    assert put(key, uuid, {"extra_args": {**shown["extra_args"], "max_tokens": 6}}).status_code == 200
    assert row(uuid).extra_args["my_api_key"] == "s3cret"
    assert row(uuid).extra_args["deep"] == {"accessToken": "t0ken"}
    assert row(uuid).extra_args["max_tokens"] == 6


def test_extra_args_are_replaced_whole(key: Api) -> None:
    uuid = made(key)
    put(key, uuid, {"extra_args": {"seed": 1}})
    assert row(uuid).extra_args == {"temperature": 0.5, "seed": 1}
    put(key, uuid, {"requester_config": {"args": {}}})
    assert row(uuid).extra_args == {"seed": 1}


def test_the_documentation_s_nested_abilities_are_read_as_words(key: Api) -> None:
    assert read(key, made(key, abilities=[["chat", "vision"]]))["abilities"] == ["chat", "vision"]


@pytest.mark.parametrize(("level", "effort"), [("high", "high"), ("disabled", "none"), ("max", "xhigh")])
def test_a_reasoning_level_has_an_effect(key: Api, level: str, effort: str) -> None:
    uuid = made(key, abilities=["reasoning"], reasoning_config={"level": level})
    assert row(uuid).reasoning_effort == effort
    shown = read(key, uuid)
    assert shown["reasoning_config"] == {"level": level}
    assert shown["reasoning_capabilities"]["supported"]


def test_a_reasoning_level_beside_an_argument_for_the_same_is_refused(key: Api) -> None:
    body = {
        **ONE_LAYER,
        "abilities": ["reasoning"],
        "reasoning_config": {"level": "low"},
        "extra_args": {"thinking": {}},
    }
    answer = key("post", LLM, body)
    assert "conflicts with advanced parameters: thinking" in answer.json()["msg"]


@pytest.mark.parametrize("uuid", [str(uuid4()), "nonsense"])
def test_unknown_uuids(key: Api, uuid: str) -> None:
    got = key("get", f"{LLM}/{uuid}")
    assert (got.status_code, got.json()) == (404, {"code": -1, "msg": "model not found"})
    for method, path in (("put", uuid), ("delete", uuid), ("post", f"{uuid}/test")):
        answer = key(method, f"{LLM}/{path}", {} if method != "delete" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found")
    assert key("get", f"{LLM}?provider_uuid={uuid}").status_code == 404
    for body in ({"name": "x", "provider_uuid": uuid}, {"name": "x", "provider": {"uuid": uuid}}):
        assert key("post", LLM, body).status_code == 404


def test_models_of_one_provider_are_listed_without_it(key: Api) -> None:
    uuid = made(key)
    provider = row(uuid).provider
    factories.model(factories.provider())
    listed = key("get", f"{LLM}?provider_uuid={provider.uuid}").json()["data"]["models"]
    assert [(each["uuid"], "provider" in each) for each in listed] == [(uuid, False)]
    assert all("provider" in each for each in key("get", LLM).json()["data"]["models"])


def test_the_list_takes_as_many_queries_for_one_as_for_many(
    key: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(10):
        made(key, name=f"m{number}", api_keys=[f"sk-{number}"])
    with django_assert_max_num_queries(6):
        assert len(key("get", LLM).json()["data"]["models"]) == 10


def test_a_removed_model_leaves_its_provider(key: Api) -> None:
    uuid = made(key)
    assert key("delete", f"{LLM}/{uuid}").json() == {"code": 0, "data": {}, "msg": "ok"}
    assert not AIModel.objects.exists()
    assert Provider.objects.count() == 1


def test_a_star_is_kept_and_goes_with_its_model(user: Api, key: Api) -> None:
    first, second = made(key), made(key, name="second")
    assert user("get", f"{LLM}/_/starred").json()["data"] == {"uuid": None}
    assert user("get", f"{LLM}/_/default").json()["data"] == {"uuid": first}
    assert user("put", f"{LLM}/_/starred", {"uuid": second}).json()["data"] == {"uuid": second}
    assert user("get", f"{LLM}/_/default").json()["data"] == {"uuid": second}
    key("delete", f"{LLM}/{second}")
    assert user("get", f"{LLM}/_/starred").json()["data"] == {"uuid": None}
    assert user("put", f"{LLM}/_/starred", {"uuid": str(uuid4())}).status_code == 400
    assert user("put", f"{LLM}/_/starred", {"uuid": None}).status_code == 200
    assert key("get", f"{LLM}/_/starred").status_code == 401
