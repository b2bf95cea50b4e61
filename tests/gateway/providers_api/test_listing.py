"""The list of providers: searched, sorted, in pages; and that it asks as little of the database as it can."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from providers.models import Provider
from tests import factories
from tests.gateway.providers_api.conftest import Api


@pytest.fixture
def rows(database: None) -> list[Provider]:
    """Made in this order; the first's label is the catalog's, the second's its own."""
    second = {"providers_api": {"displayName": "Aardvark"}}
    return [
        factories.provider(name="openai", base_url="https://api.openai.com/v1"),
        factories.provider(name="zebra", base_url="http://zoo.example.com/v1", metadata=second),
        factories.provider(name="Mole", base_url="http://hill.example.com/v1"),
    ]


def names(api: Api, **query: Any) -> list[str]:
    status, content = api.get("/providers", **query)
    assert status == 200
    return [each["name"] for each in content["providers"]]


def test_the_newest_come_first(api: Api, rows: list[Provider]) -> None:
    assert names(api) == ["Mole", "zebra", "openai"]


@pytest.mark.parametrize(
    ("column", "order", "expected"),
    [
        ("name", "asc", ["Mole", "openai", "zebra"]),
        ("name", "desc", ["zebra", "openai", "Mole"]),
        ("displayName", "asc", ["zebra", "Mole", "openai"]),
        ("baseUrl", "asc", ["Mole", "zebra", "openai"]),
        ("createdAt", "ASC", ["openai", "zebra", "Mole"]),
        ("updatedAt", "desc", ["Mole", "zebra", "openai"]),
        ("name", "sideways", ["Mole", "zebra", "openai"]),
        ("name", "", ["Mole", "zebra", "openai"]),
        ("secret", "asc", ["Mole", "zebra", "openai"]),
        ("__class__", "asc", ["Mole", "zebra", "openai"]),
    ],
)
def test_it_is_sorted_by_known_words_alone(
    api: Api, rows: list[Provider], column: str, order: str, expected: list[str]
) -> None:
    assert names(api, sortBy=column, sortOrder=order) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ZOO", ["zebra"]),
        ("aard", ["zebra"]),
        ("OpenAI", ["openai"]),
        ("example.com", ["Mole", "zebra"]),
        ("%", []),
        ("zebra\nMole", []),
        ("", ["Mole", "zebra", "openai"]),
    ],
)
def test_a_search_looks_in_name_label_and_address(
    api: Api, rows: list[Provider], text: str, expected: list[str]
) -> None:
    assert names(api, search=text) == expected


def test_a_search_is_sorted_too_and_counts_all_that_match(api: Api, rows: list[Provider]) -> None:
    _, content = api.get("/providers", search="example.com", sortBy="name", sortOrder="desc", limit=1, offset=1)
    assert [each["name"] for each in content["providers"]] == ["Mole"]
    assert content["total"] == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"limit": 2}, 2),
        ({"limit": "2.9"}, 2),
        ({"limit": 0}, 3),
        ({"limit": -1}, 3),
        ({"limit": "NaN"}, 3),
        ({"limit": ""}, 3),
        ({"limit": "many"}, 3),
        ({"limit": "9" * 5000}, 3),
        ({"offset": 1}, 2),
        ({"offset": -1}, 3),
        ({"offset": "x"}, 3),
        ({"offset": "inf"}, 0),
        ({"offset": 5, "limit": 5}, 0),
    ],
)
def test_a_page_is_what_its_numbers_say(api: Api, rows: list[Provider], query: dict[str, Any], count: int) -> None:
    content = api.get("/providers", **query)[1]
    assert (len(content["providers"]), content["total"]) == (count, 3)


def test_a_hundred_come_unless_told_and_a_thousand_at_most(api: Api) -> None:
    Provider.objects.bulk_create(Provider(name=f"row {number}", base_url="http://x/v1") for number in range(1001))
    assert len(names(api)) == 100
    assert len(names(api, limit=5000)) == 1000


@pytest.mark.parametrize("query", [{"search": "a\0b"}, {"search": "x" * 256}, {"sortBy": "\0"}])
def test_a_query_that_can_not_be_is_refused(api: Api, query: dict[str, str]) -> None:
    status, content = api.get("/providers", **query)
    assert (status, content["code"]) == (400, "INVALID_REQUEST")


def test_the_list_takes_as_many_queries_for_many_as_for_one(api: Api) -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            factories.model(factories.provider())
        with CaptureQueriesContext(
            connection,
        ) as captured:
            names(api)
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert not any("secret" in query["sql"] for query in captured)
