"""Secrets belong to the place they were entered for: what moves along with an address, a model or a copy."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from providers.models import AIModel, Provider, ProviderKey
from providers.services import providers
from tests import factories
from tests.gateway.langbot.conftest import Api

pytestmark = pytest.mark.django_db

LLM = "provider/models/llm"
PROVIDERS = "provider/providers"
HOME, ELSEWHERE = "https://llm.example.com/v1", "https://elsewhere.example.net/v1"
AGAIN = "enter the keys again"


def provider(**fields: Any) -> Provider:
    """With the keys sk-one and sk-two."""
    row = factories.provider(**{"base_url": HOME, "secret": "sk-one", **fields})
    ProviderKey.objects.create(provider=row, name="second", secret="sk-two", weight=5)
    return row


def keys_of(row: Provider) -> dict[str, bool]:
    return {str(key.secret): key.is_enabled for key in row.keys.order_by("id")}


def refused(answer: Any) -> str:
    assert answer.status_code == 400, answer.content
    return str(answer.json()["msg"])


def test_a_key_in_clear_goes_along_and_a_masked_one_stays_off(key: Api) -> None:
    row = provider()
    body = {"base_url": ELSEWHERE, "api_keys": ["***", "sk-new"]}
    assert key("put", f"{PROVIDERS}/{row.uuid}", body).status_code == 200
    assert keys_of(row) == {"sk-one": False, "sk-new": True}
    assert key("put", f"{PROVIDERS}/{row.uuid}", {"api_keys": ["***", "***"]}).status_code == 200
    assert keys_of(row) == {"sk-one": False, "sk-new": True}
    assert key("put", f"{PROVIDERS}/{row.uuid}", {"api_keys": [" sk-one ", "***"]}).status_code == 200
    assert keys_of(row) == {"sk-one": True, "sk-new": True}


@pytest.mark.parametrize("keys", [{}, {"api_keys": ["***", "***"]}, {"api_keys": None}])
def test_masks_alone_are_refused_at_another_address(key: Api, keys: Any) -> None:
    row = provider()
    assert AGAIN in refused(key("put", f"{PROVIDERS}/{row.uuid}", {"base_url": ELSEWHERE, "name": "x", **keys}))
    after = Provider.objects.get()
    assert (after.base_url, after.name, after.updated_at) == (HOME, row.name, row.updated_at)
    assert keys_of(row) == {"sk-one": True, "sk-two": True}


def test_an_empty_list_removes_the_keys_wherever_the_address_leads(key: Api) -> None:
    row = provider()
    assert key("put", f"{PROVIDERS}/{row.uuid}", {"base_url": ELSEWHERE, "api_keys": []}).status_code == 200
    assert keys_of(row) == {}


def test_headers_do_not_go_along_unless_they_are_entered_again(key: Api) -> None:
    row = provider(config={"headers": {"X-Pass": "s3cret"}})
    moved = {"base_url": ELSEWHERE, "api_keys": ["sk-new"]}
    for settings in ({}, {"requester_config": {"headers": {"X-Pass": "***"}}}, {"requester_config": {"timeout": 5}}):
        assert "again" in refused(key("put", f"{PROVIDERS}/{row.uuid}", {**moved, **settings}))
    assert Provider.objects.get().base_url == HOME
    again = {"requester_config": {"headers": {"X-Pass": "s3cret"}}}
    assert key("put", f"{PROVIDERS}/{row.uuid}", {**moved, **again}).status_code == 200
    assert Provider.objects.get().config == {"headers": {"X-Pass": "s3cret"}}


def test_headers_do_not_go_along_with_a_model_of_a_shared_provider(key: Api) -> None:
    row = provider(config={"headers": {"X-Pass": "s3cret"}})
    model = factories.model(row)
    body = {"requester_config": {"base_url": ELSEWHERE}, "api_keys": ["sk-new"]}
    assert "again" in refused(key("put", f"{LLM}/{model.uuid}", body))
    assert Provider.objects.count() == 1
    body["requester_config"] = {"base_url": ELSEWHERE, "headers": {}}
    assert key("put", f"{LLM}/{model.uuid}", body).status_code == 200
    assert AIModel.objects.get().provider.config == {"headers": {}}


def test_secrets_in_a_model_s_arguments_do_not_go_along(key: Api) -> None:
    row, other = provider(), factories.provider(base_url=ELSEWHERE)
    model = factories.model(row, extra_args={"api_key": "s3cret", "seed": 1})
    path = f"{LLM}/{model.uuid}"
    inline = {"requester": row.requester, "base_url": ELSEWHERE, "api_keys": ["sk-new"]}
    for move in (
        {"provider_uuid": str(other.uuid)},
        {"provider": inline},
        {"requester_config": {"base_url": ELSEWHERE}, "api_keys": ["sk-new"]},
        {"provider_uuid": str(other.uuid), "extra_args": {"api_key": "***"}},
    ):
        assert "entered again" in refused(key("put", path, move))
    assert "entered again" in refused(
        key("put", f"{PROVIDERS}/{row.uuid}", {"base_url": ELSEWHERE, "api_keys": ["sk-new"]})
    )
    assert (AIModel.objects.get().provider, Provider.objects.get(pk=row.pk).base_url) == (row, HOME)
    assert Provider.objects.count() == 2
    again = {"provider_uuid": str(other.uuid), "extra_args": {"api_key": "s3cret"}}
    assert key("put", path, again).status_code == 200
    assert AIModel.objects.get().provider == other


def test_arguments_without_secrets_go_along(key: Api) -> None:
    row, other = provider(), factories.provider(base_url=ELSEWHERE)
    model = factories.model(row, extra_args={"seed": 1, "max_tokens": 5})
    assert key("put", f"{LLM}/{model.uuid}", {"provider_uuid": str(other.uuid)}).status_code == 200
    assert AIModel.objects.get().extra_args == {"seed": 1, "max_tokens": 5}


@pytest.mark.parametrize("name", ["allow_rerank_origin", "authority"])
def test_a_setting_that_names_another_place_is_a_move_too(key: Api, name: str) -> None:
    row = provider()
    settings = {"requester_config": {name: "https://elsewhere.example.net"}}
    assert AGAIN in refused(key("put", f"{PROVIDERS}/{row.uuid}", settings))
    assert key("put", f"{PROVIDERS}/{row.uuid}", {**settings, "api_keys": ["sk-one"]}).status_code == 200
    assert keys_of(row) == {"sk-one": True}


def test_a_copy_for_one_model_never_revives_a_key_that_is_off(key: Api) -> None:
    row = provider()
    model = factories.model(row)
    row.base_url = ELSEWHERE
    assert providers.change(provider=row)
    assert key("put", f"{LLM}/{model.uuid}", {"requester_config": {"timeout": 60}}).status_code == 200
    after = AIModel.objects.get().provider
    assert after.pk != row.pk
    assert keys_of(after) == {}
    assert keys_of(row) == {"sk-one": False, "sk-two": False}


def test_a_provider_whose_keys_are_off_is_not_found(key: Api) -> None:
    row = provider()
    row.keys.update(is_enabled=False)
    body = {"name": "m", "provider": {"requester": row.requester, "base_url": HOME, "api_keys": ["sk-two", "sk-one"]}}
    assert key("post", LLM, body).status_code == 200
    assert AIModel.objects.get().provider != row
    assert keys_of(AIModel.objects.get().provider) == {"sk-two": True, "sk-one": True}


def test_a_copy_at_the_same_address_takes_the_keys_along(key: Api) -> None:
    row = provider()
    model = factories.model(row)
    assert key("put", f"{LLM}/{model.uuid}", {"requester_config": {"timeout": 60}}).status_code == 200
    after = AIModel.objects.get().provider
    assert (after.pk != row.pk, after.first_byte_timeout, keys_of(after)) == (True, 60, keys_of(row))


def test_a_copy_elsewhere_takes_what_is_entered_and_no_mask(key: Api) -> None:
    row = provider()
    model = factories.model(row)
    body = {"requester_config": {"base_url": ELSEWHERE}, "api_keys": ["***", "sk-new"]}
    assert key("put", f"{LLM}/{model.uuid}", body).status_code == 200
    after = AIModel.objects.get().provider
    assert (after.base_url, keys_of(after)) == (ELSEWHERE, {"sk-new": True})
    assert keys_of(row) == {"sk-one": True, "sk-two": True}


def test_a_vendor_s_own_address_that_is_another_is_a_move(key: Api) -> None:
    row = provider(requester="openai-chat-completions", base_url="")
    assert AGAIN in refused(key("put", f"{PROVIDERS}/{row.uuid}", {"requester": "deepseek-chat-completions"}))


# A list's places


def test_a_mask_means_the_place_that_the_sender_counted(key: Api) -> None:
    for sent in (["", "***"], [" ", "***"], ["sk-two", "***"]):
        row = provider()
        assert key("put", f"{PROVIDERS}/{row.uuid}", {"api_keys": sent}).status_code == 200
        assert keys_of(row) == {"sk-two": True}, sent


def test_places_are_those_of_the_list_as_it_was_sent_last(key: Api) -> None:
    row = provider()
    path = f"{PROVIDERS}/{row.uuid}"
    for sent, stored in (
        (["sk-two", "sk-one"], {"sk-one", "sk-two"}),
        (["***", "sk-three"], {"sk-two", "sk-three"}),
        (["sk-zero", "***"], {"sk-zero", "sk-three"}),
        (["***"], {"sk-zero"}),
    ):
        assert key("put", path, {"api_keys": sent}).status_code == 200
        assert set(keys_of(row)) == stored


def test_the_documentation_s_sample_of_keys_says_nothing_of_them(key: Api) -> None:
    row = provider()
    model = factories.model(row)
    sample = {"name": "string", "description": "string", "requester_config": {}, "api_keys": [{}], "extra_args": {}}
    assert key("put", f"{LLM}/{model.uuid}", sample).status_code == 200
    after = AIModel.objects.get()
    assert (after.name, after.provider, keys_of(row)) == ("string", row, {"sk-one": True, "sk-two": True})


def test_an_unreadable_key_is_in_nobody_s_way(key: Api, settings: Any) -> None:
    row = provider()
    model = factories.model(row)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    ProviderKey.objects.create(provider=row, name="third", secret="sk-three")
    path = f"{PROVIDERS}/{row.uuid}"
    assert key("get", path).json()["data"]["provider"]["api_keys"] == ["***"] * 3
    assert key("put", path, {"api_keys": ["***", "***", "***"], "name": "renamed"}).status_code == 200
    assert key("put", f"{LLM}/{model.uuid}", {"requester_config": {"timeout": 60}}).status_code == 400
    body = {"name": "m", "provider": {"requester": row.requester, "base_url": HOME, "api_keys": ["sk-three"]}}
    assert key("post", LLM, body).status_code == 200
    assert AIModel.objects.get(name="m").provider != row
    assert key("put", path, {"api_keys": ["***", "sk-new"]}).status_code == 200
    assert key("delete", f"{PROVIDERS}/{row.uuid}?cascade=true").status_code == 200
    assert not Provider.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "http://h:99999/v1", "http://h:port", "http://", "//h/v1", "http://a b/v1"]
)
def test_what_is_no_address_is_refused(key: Api, url: str) -> None:
    row = provider()
    model = factories.model(row)
    for method, path, body in (
        ("post", PROVIDERS, {"name": "x", "requester": "openai-compatible", "base_url": url}),
        ("put", f"{PROVIDERS}/{row.uuid}", {"base_url": url}),
        ("put", f"{LLM}/{model.uuid}", {"requester_config": {"base_url": url}, "api_keys": ["sk"]}),
        ("post", LLM, {"name": "x", "requester": "openai-compatible", "requester_config": {"base_url": url}}),
        ("post", f"{LLM}/_/test", {"name": "x", "provider": {"requester": "openai-compatible", "base_url": url}}),
    ):
        assert refused(key(method, path, body)), (method, path)
    assert Provider.objects.get().base_url == HOME


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "x.localhost", "localhost.", "[::1]", "10.0.0.1"],
)
def test_private_addresses_are_refused_in_every_spelling_where_the_rule_says_so(
    key: Api, settings: Any, host: str
) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    row = provider()
    model = factories.model(row)
    url = f"http://{host}:8080/v1"
    for method, path, body in (
        ("post", PROVIDERS, {"name": "x", "requester": "openai-compatible", "base_url": url}),
        ("put", f"{PROVIDERS}/{row.uuid}", {"base_url": url, "api_keys": ["sk"]}),
        ("put", f"{LLM}/{model.uuid}", {"requester_config": {"base_url": url}, "api_keys": ["sk"]}),
        ("post", LLM, {"name": "x", "requester": "openai-compatible", "requester_config": {"base_url": url}}),
    ):
        assert "may not be called" in refused(key(method, path, body)), (method, path)
    assert Provider.objects.get().base_url == HOME


def test_a_vendor_that_lives_on_this_machine_is_refused_where_the_rule_says_so(key: Api, settings: Any) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    body = {"name": "x", "requester": "ollama-chat", "base_url": ""}
    assert "may not be called" in refused(key("post", PROVIDERS, body))


def test_what_stands_at_a_private_address_can_still_be_renamed(key: Api, settings: Any) -> None:
    row = provider(base_url="http://127.0.0.1:8080/v1")
    settings.EGRESS_ALLOW_PRIVATE = False
    assert key("put", f"{PROVIDERS}/{row.uuid}", {"name": "renamed"}).status_code == 200
