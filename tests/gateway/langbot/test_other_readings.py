"""Addresses that one parser reads otherwise than another: what counts is where calls go."""

from typing import Any

import pytest

from providers.models import Kind, Provider
from tests import factories
from tests.gateway.langbot.conftest import Api

pytestmark = pytest.mark.django_db

PROVIDERS = "provider/providers"
RERANK = "provider/models/rerank"
HOME = "https://llm.example.com/v1"
# Of elsewhere.example.net to the transport, of llm.example.com to urllib.parse.
DISGUISED = "https://elsewhere.example.net\\@llm.example.com/"


@pytest.mark.parametrize("name", ["allow_rerank_origin", "authority"])
@pytest.mark.parametrize("wrap", [str, lambda text: [text], lambda text: {"at": text}])
def test_a_place_in_disguise_is_another_place(key: Api, name: str, wrap: Any) -> None:
    row = factories.provider(base_url=HOME, secret="sk-one")
    answer = key("put", f"{PROVIDERS}/{row.uuid}", {"requester_config": {name: wrap(DISGUISED)}})
    assert (answer.status_code, "enter the keys again" in answer.json()["msg"]) == (400, True)
    assert Provider.objects.get().config == {}


def test_a_reranker_s_key_does_not_follow_a_place_in_disguise(key: Api) -> None:
    row = factories.provider(base_url=HOME, secret="sk-one")
    model = factories.model(row, kind=Kind.RERANK)
    key("put", f"{PROVIDERS}/{row.uuid}", {"requester_config": {"allow_rerank_origin": DISGUISED}})
    for arguments in ({"rerank_url": "https://elsewhere.example.net/"}, {"rerank_url": DISGUISED}):
        assert key("put", f"{RERANK}/{model.uuid}", {"extra_args": arguments}).status_code == 400
        assert key("post", f"{RERANK}/{model.uuid}/test", {"extra_args": arguments}).status_code == 400


@pytest.mark.parametrize("url", ["http://127.0.0.1\\.example.com/v1", "http://[::1]\\.example.com/v1"])
def test_a_private_address_in_disguise_is_refused_where_the_rule_says_so(key: Api, settings: Any, url: str) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    answer = key("post", PROVIDERS, {"name": "x", "requester": "openai-compatible", "base_url": url})
    assert (answer.status_code, Provider.objects.count()) == (400, 0)


@pytest.mark.parametrize("name", ["Host", "host", "HOST "])
def test_another_host_behind_the_same_address_is_another_place(key: Api, name: str) -> None:
    row = factories.provider(base_url=HOME, secret="sk-one")
    settings = {"requester_config": {"headers": {name: "elsewhere.example.net", "X-Team": "a"}}}
    answer = key("put", f"{PROVIDERS}/{row.uuid}", settings)
    assert (answer.status_code, "enter the keys again" in answer.json()["msg"]) == (400, True)
    assert Provider.objects.get().config == {}
    assert key("put", f"{PROVIDERS}/{row.uuid}", {**settings, "api_keys": ["sk-one"]}).status_code == 200
    again = {"requester_config": {"headers": {name: "***", "X-Team": "b"}}}
    assert key("put", f"{PROVIDERS}/{row.uuid}", again).status_code == 200
    removed = {"requester_config": {"headers": {}}}
    assert key("put", f"{PROVIDERS}/{row.uuid}", removed).status_code == 400
