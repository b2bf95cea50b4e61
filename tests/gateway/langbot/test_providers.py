"""Providers over LangBot's API: what is stored, what is told, and what a mask means."""

import json
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Charge
from providers.models import AIModel, Provider
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.langbot.conftest import Api

pytestmark = pytest.mark.django_db

BODY = {
    "name": "OpenAI",
    "requester": "openai-chat-completions",
    "base_url": "https://llm.example.com/v1",
    "api_keys": ["sk-one", "sk-two"],
}
PATH = "provider/providers"


def made(key: Api, **changes: Any) -> str:
    answer = key("post", PATH, {**BODY, **changes})
    assert answer.status_code == 200, answer.content
    return str(answer.json()["data"]["uuid"])


def secrets_of(uuid: str) -> list[str]:
    return [str(key.secret) for key in Provider.objects.get(uuid=uuid).keys.order_by("id")]


def read(key: Api, uuid: str) -> Any:
    return key("get", f"{PATH}/{uuid}").json()["data"]["provider"]


def test_a_provider_is_stored_and_told_with_masks(key: Api) -> None:
    uuid = made(key)
    assert secrets_of(uuid) == ["sk-one", "sk-two"]
    provider = read(key, uuid)
    assert provider["api_keys"] == ["***", "***"]
    assert {name: provider[name] for name in ("name", "requester", "base_url")} == {
        name: BODY[name] for name in ("name", "requester", "base_url")
    }
    assert (provider["llm_count"], provider["embedding_count"], provider["rerank_count"]) == (0, 0, 0)


@pytest.mark.parametrize("sent", ["include_secret=true", "include_secret=false", ""])
def test_no_reader_is_told_a_secret(key: Api, sent: str) -> None:
    uuid = made(key)
    for path in (f"{PATH}?{sent}", f"{PATH}/{uuid}?{sent}"):
        assert b"sk-" not in key("get", path).content


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ([" sk-a ", "", "sk-a", "sk-b"], ["sk-a", "sk-b"]),
        ("sk-alone", ["sk-alone"]),
        (None, []),
        ([], []),
        ([{"name": "team", "keys": ["sk-a", "sk-b"]}], ["sk-a", "sk-b"]),
    ],
)
def test_keys_come_in_several_shapes(key: Api, sent: Any, stored: list[str]) -> None:
    assert secrets_of(made(key, api_keys=sent)) == stored


def test_what_a_get_shows_can_be_put_back(key: Api) -> None:
    uuid = made(key)
    before = read(key, uuid)
    rows = list(Provider.objects.get(uuid=uuid).keys.values_list("pk", flat=True))
    assert key("put", f"{PATH}/{uuid}", before).json() == {"code": 0, "data": {}, "msg": "ok"}
    assert {**read(key, uuid), "updated_at": ""} == {**before, "updated_at": ""}
    assert secrets_of(uuid) == ["sk-one", "sk-two"]
    assert list(Provider.objects.get(uuid=uuid).keys.values_list("pk", flat=True)) == rows


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (["***", "sk-new"], ["sk-one", "sk-new"]),
        (["sk-new", "***"], ["sk-two", "sk-new"]),
        (["***"], ["sk-one"]),
        ([], []),
        (["sk-two"], ["sk-two"]),
    ],
)
def test_a_mask_keeps_the_key_at_its_place(key: Api, sent: list[str], stored: list[str]) -> None:
    uuid = made(key)
    assert key("put", f"{PATH}/{uuid}", {"api_keys": sent}).status_code == 200
    assert sorted(secrets_of(uuid)) == sorted(stored)


def test_a_key_that_stays_keeps_its_row(key: Api) -> None:
    uuid = made(key)
    row = Provider.objects.get(uuid=uuid).keys.order_by("id")[1]
    row.name, row.weight = "second", 7
    row.save()
    key("put", f"{PATH}/{uuid}", {"api_keys": ["sk-two", "sk-three"]})
    kept = Provider.objects.get(uuid=uuid).keys.get(pk=row.pk)
    assert (kept.name, kept.weight, str(kept.secret)) == ("second", 7, "sk-two")


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_mask_without_a_stored_value_is_refused(key: Api, method: str) -> None:
    uuid = made(key)
    path = PATH if method == "post" else f"{PATH}/{uuid}"
    answer = key(method, path, {**BODY, "name": "other", "api_keys": ["***", "***", "***"]})
    assert (answer.status_code, answer.json()) == (400, {"code": -1, "msg": "Masked secret has no existing value"})
    assert Provider.objects.get().name == "OpenAI"
    assert secrets_of(uuid) == ["sk-one", "sk-two"]


def test_stored_keys_do_not_move_to_another_address(key: Api) -> None:
    uuid = made(key)
    for keys in ({}, {"api_keys": ["***", "***"]}):
        answer = key("put", f"{PATH}/{uuid}", {"base_url": "https://evil.example.com/v1", **keys})
        assert answer.status_code == 400
        assert "enter the keys again" in answer.json()["msg"]
    assert Provider.objects.get().base_url == BODY["base_url"]


def test_keys_entered_with_a_new_address_are_used_there(key: Api) -> None:
    uuid = made(key)
    moved = {"base_url": "https://new.example.com/v1", "api_keys": ["sk-one", "sk-new"]}
    assert key("put", f"{PATH}/{uuid}", moved).status_code == 200
    rows = Provider.objects.get(uuid=uuid).keys.order_by("id")
    assert [(str(row.secret), row.is_enabled) for row in rows] == [("sk-one", True), ("sk-new", True)]


def test_another_path_on_the_same_host_keeps_the_keys(key: Api) -> None:
    uuid = made(key)
    assert key("put", f"{PATH}/{uuid}", {"base_url": "https://llm.example.com/v2"}).status_code == 200
    assert Provider.objects.get().keys.filter(is_enabled=True).count() == 2


def test_settings_of_a_kind_of_provider_are_taken_and_masked(key: Api) -> None:
    config = {"headers": {"X-Team": "blue"}}
    uuid = made(key, requester_config=config)
    shown = read(key, uuid)
    assert shown["requester_config"] == {"headers": {"X-Team": "***"}}
    assert key("put", f"{PATH}/{uuid}", shown).status_code == 200
    assert Provider.objects.get().config == config


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"requester": "nobody-has-this"}, "requester"),
        ({"requester": ""}, "requester"),
        ({"base_url": "ftp://example.com"}, "base_url"),
        ({"base_url": "not a url"}, "base_url"),
        ({"base_url": "https://user:pw@example.com"}, "base_url"),
        ({"base_url": "http://169.254.169.254/latest"}, "base_url"),
        ({"base_url": 7}, "base_url"),
        ({"api_keys": 5}, "api_keys"),
        ({"api_keys": [5]}, "api_keys"),
        ({"api_keys": [{"keys": "sk"}]}, "api_keys"),
        ({"api_keys": ["a\0b"]}, "api_keys"),
        ({"requester_config": []}, "requester_config"),
        ({"requester_config": {"timeout": "long"}}, "timeout"),
        ({"requester_config": {"headers": 5}}, "config"),
    ],
)
def test_bad_fields_are_refused_and_change_nothing(key: Api, changes: dict[str, Any], told: str) -> None:
    uuid = made(key)
    before = read(key, uuid)
    for method, path in (("post", PATH), ("put", f"{PATH}/{uuid}")):
        answer = key(method, path, {**BODY, "name": "other", **changes})
        assert answer.status_code == 400, answer.content
        assert answer.json()["code"] == -1
        assert told in answer.json()["msg"]
    assert read(key, uuid) == before
    assert Provider.objects.count() == 1


@pytest.mark.parametrize("missing", ["name", "requester", "base_url"])
def test_a_field_that_is_missing_is_named(key: Api, missing: str) -> None:
    answer = key("post", PATH, {name: value for name, value in BODY.items() if name != missing})
    assert (answer.status_code, answer.json()["msg"]) == (400, f"{missing}: This field is required.")
    assert not Provider.objects.exists()


def test_a_name_that_is_taken_is_refused(key: Api) -> None:
    made(key)
    other = made(key, name="other")
    for method, path in (("post", PATH), ("put", f"{PATH}/{other}")):
        answer = key(method, path, BODY)
        assert (answer.status_code, answer.json()["msg"]) == (400, "name: A provider of this name exists already.")
    assert Provider.objects.count() == 2


@pytest.mark.parametrize("name", ["'; DROP TABLE x; --", "<script>alert(1)</script>", "../../etc", "日本"])
def test_names_are_only_names(key: Api, name: str) -> None:
    assert read(key, made(key, name=name))["name"] == name


def test_a_private_address_is_refused_where_the_rule_says_so(key: Api, settings: Any) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    answer = key("post", PATH, {**BODY, "base_url": "http://127.0.0.1:8080/v1"})
    assert (answer.status_code, answer.json()["msg"]) == (400, "base_url: This address may not be called: loopback.")


def test_fields_that_are_read_only_or_unknown_are_passed_over(key: Api) -> None:
    chosen = str(uuid4())
    uuid = made(key, uuid=chosen, llm_count=9, created_at="yesterday", nonsense=[1])
    assert uuid != chosen


@pytest.mark.parametrize("uuid", [str(uuid4()), "nonsense", "%00", "'"])
def test_unknown_uuids(key: Api, uuid: str) -> None:
    gone = {"code": "resource_not_found", "msg": "Resource not found"}
    got = key("get", f"{PATH}/{uuid}")
    assert (got.status_code, got.json()) == (404, {"code": -1, "msg": "provider not found"})
    for method, path in (("put", uuid), ("delete", uuid), ("get", f"{uuid}/scan-models")):
        answer = key(method, f"{PATH}/{path}", {} if method == "put" else None)
        assert (answer.status_code, answer.json()) == (404, gone)


@pytest.mark.parametrize(("kind", "label"), [("llm", "LLM"), ("embedding", "Embedding"), ("rerank", "Rerank")])
def test_a_provider_with_models_is_not_removed(key: Api, kind: str, label: str) -> None:
    uuid = made(key)
    factories.model(Provider.objects.get(uuid=uuid), kind=kind)
    answer = key("delete", f"{PATH}/{uuid}")
    assert answer.status_code == 400
    assert answer.json()["msg"] == f"Cannot delete provider: {label} models still reference it"
    assert AIModel.objects.count() == 1


def test_a_cascade_removes_its_models_too(key: Api) -> None:
    uuid = made(key)
    factories.model(Provider.objects.get(uuid=uuid))
    assert key("delete", f"{PATH}/{uuid}?cascade=true").json()["data"] == {}
    assert not (Provider.objects.exists() or AIModel.objects.exists() or Charge.objects.exists())


@pytest.mark.parametrize("query", ["cascade=maybe", "cascade=true&cascade=true", "cascade="])
def test_a_cascade_is_a_plain_yes_or_no(key: Api, query: str) -> None:
    uuid = made(key)
    answer = key("delete", f"{PATH}/{uuid}?{query}")
    assert (answer.status_code, answer.json()["msg"]) == (400, "cascade must be a single true or false value")
    assert Provider.objects.exists()


def test_the_list_takes_as_many_queries_for_one_as_for_many(
    key: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        factories.model(Provider.objects.get(uuid=made(key, name=f"provider {number}")))
    with django_assert_max_num_queries(6):
        listed = key("get", PATH).json()["data"]["providers"]
    assert [each["llm_count"] for each in listed] == [1] * 12


def test_a_scan_tells_what_the_upstream_has(key: Api, upstream: FakeOpenAI) -> None:
    provider = factories.provider(upstream)
    factories.model(provider, "echo")
    answer = key("get", f"{PATH}/{provider.uuid}/scan-models?type=llm").json()["data"]
    assert answer["debug"] is None
    entry = next(each for each in answer["models"] if each["id"] == "echo")
    assert (entry["type"], entry["already_added"]) == ("llm", True)
    assert {each["type"] for each in answer["models"]} == {"llm"}


def test_a_scan_with_a_wrong_key_says_so(key: Api, upstream: FakeOpenAI) -> None:
    provider = factories.provider(upstream, secret="sk-wrong")
    answer = key("get", f"{PATH}/{provider.uuid}/scan-models")
    assert (answer.status_code, answer.json()["msg"]) == (400, "Model request failed: Model scan failed: 401")


def test_large_bodies_are_answered(key: Api) -> None:
    answer = key("post", PATH, json.dumps({**BODY, "name": "x" * 1_000_000}))
    assert (answer.status_code, answer.json()["code"]) == (400, -1)
