"""LangBot's list of requesters: its shape, its filter, its refusals."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client

from accounts.services import keys
from providers import catalog
from tests import factories
from tests.providers.contract import FIELDS, NAMES, ROWS

pytestmark = pytest.mark.django_db

URL = "/api/v1/provider/requesters"
SUPPORT = {"L": "llm", "E": "text-embedding", "R": "rerank"}


@pytest.fixture
def secret() -> str:
    return factories.key().secret


@pytest.fixture
def api(secret: str) -> Client:
    return Client(headers={"X-API-Key": secret})


def listed(api: Client, query: str = "") -> dict[str, Any]:
    return {each["name"]: each for each in api.get(URL + query).json()["data"]["requesters"]}


def test_the_list_has_every_requester_of_the_contract(api: Client) -> None:
    assert set(listed(api)) >= NAMES


def test_beyond_them_it_has_the_catalog_s_own_and_no_alias(api: Client) -> None:
    usual = {"llm", "embedding", "rerank"}
    assert set(listed(api)) == {name for name, vendor in catalog.VENDORS.items() if vendor.kinds & usual}


@pytest.mark.parametrize(("name", "base_url", "types", "protocol", "category", "fields"), ROWS)
def test_each_has_the_contract_s_shape(
    api: Client, name: str, base_url: str, types: str, protocol: str, category: str, fields: str
) -> None:
    content = api.get(f"{URL}/{name}").json()
    requester = content["data"]["requester"]
    assert (content["code"], content["msg"]) == (0, "ok")
    assert set(requester) == {"name", "label", "description", "icon", "spec"}
    assert set(requester["label"]) >= {"en_US", "zh_Hans"}
    spec = requester["spec"]
    assert spec["support_type"] == [SUPPORT[letter] for letter in types]
    assert (spec["provider_category"], spec.get("litellm_provider", "")) == (category, protocol)
    assert [field["name"] for field in spec["config"]] == FIELDS[fields]
    assert [field["default"] for field in spec["config"] if field["name"] == "base_url"] in ([], [base_url])
    assert all(set(field) == {"name", "label", "type", "required", "default"} for field in spec["config"])


@pytest.mark.parametrize(
    ("word", "letter"), [("llm", "L"), ("text-embedding", "E"), ("rerank", "R"), ("embedding", "-"), ("odd", "-")]
)
def test_the_list_is_filtered_by_type(api: Client, word: str, letter: str) -> None:
    found = set(listed(api, f"?type={word}"))
    assert found & NAMES == {row[0] for row in ROWS if letter in row[2]}
    assert letter != "-" or not found


def test_an_empty_type_is_none(api: Client) -> None:
    assert listed(api, "?type=") == listed(api)


def test_an_alias_is_answered_with_its_row(api: Client) -> None:
    answer = api.get(f"{URL}/openai-embeddings").json()
    assert answer["data"]["requester"]["name"] == "openai-chat-completions"


def test_keys_are_sorted_and_the_body_is_compact(api: Client) -> None:
    answer = api.get(f"{URL}/jina-rerank" if catalog.find("jina-rerank") else f"{URL}/local")
    tight = json.dumps(answer.json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert answer.content.decode() == f"{tight}\n"
    assert answer["content-type"] == "application/json"


def test_an_icon_is_a_picture_that_needs_no_key() -> None:
    answer = Client().get(f"{URL}/anthropic-messages/icon", headers={"Accept": "image/svg+xml"})
    assert (answer.status_code, answer["content-type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(answer.content).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("path", ["/none", "/none/icon", "/painter"])
def test_one_that_is_not_there_is_404(api: Client, path: str) -> None:
    answer = api.get(URL + path)
    assert (answer.status_code, answer.json()) == (404, {"code": -1, "msg": "requester not found"})


MISSING = {"code": -1, "msg": "No valid authentication provided (user token or API key required)"}
WRONG = {"code": "invalid_authentication", "msg": "Invalid authentication credentials"}


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, MISSING),
        ({"Authorization": "Bearer "}, MISSING),
        ({"X-API-Key": ""}, MISSING),
        ({"X-API-Key": "wb-wrong"}, WRONG),
        ({"Authorization": "Bearer wb-wrong"}, WRONG),
        ({"Authorization": "wb-wrong"}, WRONG),
    ],
)
@pytest.mark.parametrize("path", ["", "/anthropic-messages"])
def test_it_takes_a_key(headers: dict[str, str], content: dict[str, Any], path: str) -> None:
    answer = Client().get(URL + path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, content)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}"])
def test_a_key_is_taken_as_a_bearer_too(secret: str, form: str) -> None:
    assert Client().get(URL, headers={"Authorization": form.format(secret)}).status_code == 200


def test_a_wrong_header_key_decides_beside_a_right_bearer(secret: str) -> None:
    headers = {"X-API-Key": "wb-wrong", "Authorization": f"Bearer {secret}"}
    assert Client().get(URL, headers=headers).status_code == 401


def test_a_revoked_key_is_refused_at_once() -> None:
    issued = factories.key()
    headers = {"X-API-Key": issued.secret}
    assert Client().get(URL, headers=headers).status_code == 200
    keys.revoke(key=issued.key)
    assert Client().get(URL, headers=headers).json() == WRONG


def test_another_method_is_refused_in_the_envelope(api: Client) -> None:
    answer = api.post(URL)
    assert (answer.status_code, answer.json()["code"]) == (405, -1)
