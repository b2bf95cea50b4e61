"""Provider configurations by name: made, changed, listed, deleted."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from providers.models import AIModel, Provider, ProviderKey
from tests import factories
from tests.gateway.providers_api.conftest import Api

KEY = "sk-proj-0123456789abcdef"
OPENAI = "https://api.openai.com/v1"
SIX = {"id", "name", "displayName", "baseUrl", "createdAt", "updatedAt"}


def posted(api: Api, name: str = "openai", key: str = KEY, **metadata: Any) -> dict[str, Any]:
    status, content = api.post("/providers", {"name": name, "apiKey": key, "metadata": metadata})
    assert status == 200, content
    shown: dict[str, Any] = content["provider"]
    return shown


def secrets_of(name: str) -> list[tuple[str, bool]]:
    rows = ProviderKey.objects.filter(provider__name=name).order_by("id")
    return [(row.secret, row.is_enabled) for row in rows]


def test_a_known_name_brings_its_label_address_and_requester(api: Api) -> None:
    shown = posted(api)
    assert set(shown) >= SIX
    assert (shown["name"], shown["displayName"], shown["baseUrl"]) == ("openai", "OpenAI", OPENAI)
    assert isinstance(shown["id"], int)
    assert (shown["models"], shown["defaultModel"], shown["hasCredentials"]) == ([], "", True)
    assert Provider.objects.get().requester == "openai-chat-completions"


def test_another_name_speaks_openai_s_protocol_at_its_address(api: Api) -> None:
    shown = posted(api, "my-server", baseUrl="http://llm.example.com/v1")
    assert (shown["displayName"], shown["baseUrl"]) == ("my-server", "http://llm.example.com/v1")
    assert Provider.objects.get().requester == "openai-compatible"


def test_the_metadata_may_name_another_requester(api: Api) -> None:
    posted(api, "fast", key="gsk_0123456789", requester="groq-chat-completions")
    assert Provider.objects.get().requester == "groq-chat-completions"


@pytest.mark.parametrize("sent", ["openai", "OpenAI", "  OPENAI "])
def test_a_name_is_kept_in_small_letters(api: Api, sent: str) -> None:
    assert posted(api, sent)["name"] == "openai"


def test_a_second_post_updates_the_same_row(api: Api) -> None:
    first = posted(api, displayName="Ours", note="kept")
    second = posted(api, key="sk-another-0123456789")
    assert (second["id"], second["createdAt"]) == (first["id"], first["createdAt"])
    assert (second["displayName"], second["metadata"]) == ("OpenAI", {})  # replaced, not merged
    assert secrets_of("openai") == [("sk-another-0123456789", True)]


def test_an_update_keeps_the_row_of_the_key_and_the_other_keys(api: Api) -> None:
    posted(api)
    row = ProviderKey.objects.get()
    other = ProviderKey.objects.create(provider=row.provider, name="other", secret="sk-other")
    posted(api, key="sk-new-0123456789")
    assert ProviderKey.objects.order_by("id").first() == row
    other.refresh_from_db()
    assert (other.secret, other.is_enabled) == ("sk-other", True)


def test_other_keys_are_switched_off_when_the_address_moves_to_another_host(api: Api) -> None:
    posted(api)
    ProviderKey.objects.create(provider=Provider.objects.get(), name="other", secret="sk-other")
    posted(api, key="sk-new-0123456789", baseUrl="https://elsewhere.example.com/v1")
    assert secrets_of("openai") == [("sk-new-0123456789", True), ("sk-other", False)]


def test_an_update_without_an_address_falls_back_to_the_name_s_own(api: Api) -> None:
    posted(api, baseUrl="https://elsewhere.example.com/v1")
    assert posted(api)["baseUrl"] == OPENAI


def test_a_row_made_elsewhere_keeps_what_the_update_does_not_name(api: Api) -> None:
    factories.provider(name="OpenAI", base_url="http://127.0.0.1:4000/v1", config={"headers": {"x": "y"}})
    shown = posted(api)
    row = Provider.objects.get()
    assert (shown["name"], shown["baseUrl"]) == ("OpenAI", "http://127.0.0.1:4000/v1")
    assert (row.requester, row.config) == ("openai-compatible", {"headers": {"x": "y"}})


def test_models_are_made_and_none_is_removed(api: Api) -> None:
    posted(api, models=["gpt-4o", "text-embedding-3-small"], defaultModel="gpt-4o")
    shown = posted(api, models=["gpt-4o", "gpt-4o-mini"])
    assert shown["models"] == ["gpt-4o", "text-embedding-3-small", "gpt-4o-mini"]
    kinds = dict(AIModel.objects.values_list("name", "kind"))
    assert kinds == {"gpt-4o": "llm", "text-embedding-3-small": "embedding", "gpt-4o-mini": "llm"}
    assert AIModel.objects.get(name="gpt-4o").price_in == Decimal("2.5")


def test_models_that_are_switched_off_are_not_listed(api: Api) -> None:
    posted(api, models=["gpt-4o", "gpt-4o-mini"])
    AIModel.objects.filter(name="gpt-4o").update(is_enabled=False)
    assert api.get("/providers/openai")[1]["provider"]["models"] == ["gpt-4o-mini"]


def test_unknown_metadata_is_kept_and_secrets_in_it_are_not_shown(api: Api) -> None:
    shown = posted(api, region="eu", nested={"apiToken": "hidden", "maxTokens": 5}, keys=["hidden"])
    assert shown["metadata"] == {"region": "eu", "nested": {"apiToken": "***", "maxTokens": 5}, "keys": ["***"]}


@pytest.mark.parametrize("sent", ["openai", "OpenAI", "OPENAI"])
def test_one_is_found_however_its_name_is_written(api: Api, sent: str) -> None:
    made = posted(api)
    assert api.get(f"/providers/{sent}") == (200, {"provider": made})


def test_the_exact_name_comes_before_one_that_is_alike(api: Api) -> None:
    for name in ("Mine", "MINE", "mine"):
        factories.provider(name=name)
    for name in ("Mine", "MINE", "mine"):
        assert api.get(f"/providers/{name}")[1]["provider"]["name"] == name
    assert api.get("/providers/mINE")[1]["provider"]["name"] == "mine"
    Provider.objects.filter(name="mine").delete()
    assert api.get("/providers/mINE")[0] == 404  # two are alike


@pytest.mark.parametrize("name", ["my / own server", "größe", "a b", "x%y"])
def test_rows_of_the_console_are_found_by_any_name(api: Api, name: str) -> None:
    factories.provider(name=name)
    assert api.get(f"/providers/{quote(name)}")[1]["provider"]["name"] == name
    assert api.delete(f"/providers/{quote(name)}") == (200, {"success": True})


def test_a_deleted_one_is_gone_with_its_models_and_keys(api: Api) -> None:
    posted(api, models=["gpt-4o"])
    assert api.delete("/providers/openai") == (200, {"success": True})
    assert not Provider.objects.exists()
    assert not AIModel.objects.exists()
    assert not ProviderKey.objects.exists()
    assert api.delete("/providers/openai") == (404, {"error": "Provider not found", "code": "PROVIDER_NOT_FOUND"})


def test_a_put_changes_only_what_it_names(api: Api) -> None:
    posted(api, region="eu")
    shown = api.put("/providers/openai", {"displayName": "Ours"})[1]["provider"]
    assert (shown["displayName"], shown["metadata"]) == ("Ours", {"region": "eu", "displayName": "Ours"})
    assert secrets_of("openai") == [(KEY, True)]
    assert api.put("/providers/OpenAI", {"apiKey": "sk-new-0123456789"})[0] == 200
    assert secrets_of("openai") == [("sk-new-0123456789", True)]


MISSING = (400, {"error": "name and apiKey are required", "code": "MISSING_FIELDS"})
INVALID_KEY = (400, {"error": "Invalid API key format", "code": "INVALID_API_KEY"})
INVALID_NAME = (400, {"error": "Invalid provider name", "code": "INVALID_NAME"})


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, MISSING),
        ({"name": "openai"}, MISSING),
        ({"apiKey": KEY}, MISSING),
        ({"name": "", "apiKey": KEY}, MISSING),
        ({"name": None, "apiKey": KEY}, MISSING),
        ({"name": "openai", "apiKey": ""}, MISSING),
        ({"name": "openai", "apiKey": "  \t "}, INVALID_KEY),
        ({"name": "openai", "apiKey": "pk-0123456789"}, INVALID_KEY),
        ({"name": "mistral", "apiKey": "short"}, INVALID_KEY),
        ({"name": "mistral", "apiKey": "0123456789\r\nX-Other: 1"}, INVALID_KEY),
        ({"name": "mistral", "apiKey": "ключ-0123456789"}, INVALID_KEY),
        ({"name": "  ", "apiKey": KEY}, INVALID_NAME),
        ({"name": "a/b", "apiKey": KEY}, INVALID_NAME),
        ({"name": "-a", "apiKey": KEY}, INVALID_NAME),
        ({"name": "a" * 65, "apiKey": KEY}, INVALID_NAME),
        ({"name": "é", "apiKey": KEY}, INVALID_NAME),
    ],
)
def test_a_body_that_lacks_something_is_refused(api: Api, body: dict[str, Any], refusal: tuple[int, Any]) -> None:
    assert api.post("/providers", body) == refusal
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '"openai"',
        "\x00",
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": []}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"displayName": 5}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"models": "gpt-4o"}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"models": [""]}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"x": "\\u0000"}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"x": "\\ud800"}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"baseUrl": "ftp://example.com"}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"baseUrl": "http://a:b@example.com"}}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"requester": "unheard-of"}}',
        '{"name": "unheard-of", "apiKey": "sk-0123456789"}',
        '{"name": 5, "apiKey": "sk-0123456789"}',
        '{"name": "openai", "apiKey": ["sk-0123456789"]}',
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": ' + "[" * 200 + "]" * 200 + "}",
        '{"name": "openai", "apiKey": "sk-0123456789", "metadata": {"x": "' + "x" * 70_000 + '"}}',
    ],
)
def test_a_body_that_can_not_be_is_refused_and_changes_nothing(api: Api, body: str) -> None:
    status, content = api.post("/providers", body)
    assert (status, set(content)) == (400, {"error", "code"})
    assert content["code"] == ("MISSING_FIELDS" if body == "" else "INVALID_REQUEST")
    assert not Provider.objects.exists()


def test_a_refused_update_changes_nothing(api: Api) -> None:
    before = posted(api, displayName="Ours")
    status, _ = api.post("/providers", {"name": "openai", "apiKey": KEY + "x", "metadata": {"baseUrl": "nowhere"}})
    assert status == 400
    assert api.get("/providers/openai")[1]["provider"] == before
    assert secrets_of("openai") == [(KEY, True)]


@pytest.mark.parametrize("body", [{}, {"other": 1}])
def test_a_put_of_nothing_is_refused(api: Api, body: dict[str, Any]) -> None:
    posted(api)
    assert api.put("/providers/openai", body) == (400, {"error": "Nothing to update", "code": "MISSING_FIELDS"})


def test_a_put_takes_no_key_of_a_wrong_form(api: Api) -> None:
    posted(api)
    assert api.put("/providers/openai", {"apiKey": "pk-0123456789"}) == INVALID_KEY


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("name", ["nothing", "%00", "a%00b", "%FF"])
def test_one_that_is_not_there_is_404(api: Api, method: str, name: str) -> None:
    body = {"displayName": "x"} if method == "PUT" else None
    assert api(method, f"/providers/{name}", body) == (
        404,
        {"error": "Provider not found", "code": "PROVIDER_NOT_FOUND"},
    )


def test_two_posts_of_a_new_name_at_once_make_one_row(api: Api) -> None:
    barrier, answers = threading.Barrier(2), []

    def run(key: str) -> None:
        barrier.wait()
        answers.append(api.post("/providers", {"name": "openai", "apiKey": key})[0])
        connection.close()

    threads = [threading.Thread(target=run, args=(f"sk-number-{number}-0123456789",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    assert Provider.objects.count() == ProviderKey.objects.count() == 1


@pytest.mark.parametrize("number", ["1e30", "-9223372036854775809", "18446744073709551616", "1e300"])
def test_numbers_that_no_64_bits_hold_close_nothing(api: Api, number: str) -> None:
    body = f'{{"name": "openai", "apiKey": "{KEY}", "metadata": {{"x": {number}}}}}'
    assert api.post("/providers", body)[0] == 200
    status, content = api.get("/providers")
    assert (status, content["providers"][0]["metadata"]) == (200, {"x": float(number)})


def test_writes_of_one_name_at_once_come_one_after_the_other(api: Api) -> None:
    """Made, changed and deleted by several at once: whoever comes too late finds nothing, and nothing fails."""
    requests: list[Callable[[], tuple[int, Any]]] = [
        lambda: api.post("/providers", {"name": "openai", "apiKey": KEY, "metadata": {"models": ["gpt-4o"]}}),
        lambda: api.put("/providers/openai", {"apiKey": KEY, "displayName": "x"}),
        lambda: api.delete("/providers/openai"),
    ]
    answers: list[tuple[int, Any]] = []

    def run(first: int) -> None:
        answers.extend(requests[(first + place) % len(requests)]() for place in range(12))
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 72
    assert {content.get("code") for _, content in answers} <= {None, "PROVIDER_NOT_FOUND"}


def test_secrets_in_settings_stay_behind_when_the_address_moves(api: Api) -> None:
    """They can't be read or sent here, so nobody who only may move an address gets them."""
    elsewhere = {"name": "openai", "apiKey": KEY, "metadata": {"baseUrl": "https://elsewhere.example.com/v1"}}
    provider = factories.provider(name="openai", base_url=OPENAI, config={"headers": {"X-Team": "secret"}})
    status, content = api.post("/providers", elsewhere)
    assert (status, content["code"]) == (400, "INVALID_REQUEST")
    assert secrets_of("openai") == [("sk-some-provider-key", True)]
    Provider.objects.update(config={})
    model = factories.model(provider, extra_args={"auth": {"token": "secret"}})
    assert api.post("/providers", elsewhere)[0] == 400
    AIModel.objects.filter(pk=model.pk).update(extra_args={"temperature": 1})
    assert api.post("/providers", elsewhere)[0] == 200


def test_secrets_in_settings_stay_where_the_address_stays(api: Api) -> None:
    factories.provider(name="openai", base_url=OPENAI, config={"headers": {"X-Team": "secret"}})
    posted(api, baseUrl=f"{OPENAI}/")
    assert Provider.objects.get().config == {"headers": {"X-Team": "secret"}}


def test_nothing_under_a_secret_name_is_shown_however_deep(api: Api) -> None:
    shown = posted(api, credentials={"aws": {"id": "hidden", "parts": ["hidden", {"x": "hidden"}]}, "region": 5})
    assert "hidden" not in str(shown)
    assert shown["metadata"]["credentials"]["region"] == 5


def test_the_key_itself_is_nowhere_in_clear_though_the_metadata_repeats_it(api: Api) -> None:
    shown = posted(api, apiKey=KEY, note=f"mine is {KEY}", nested=[{"x": KEY}, {KEY: 1}])
    assert shown["metadata"] == {"apiKey": "***", "note": "mine is ***", "nested": [{"x": "***"}, {"***": 1}]}
    api.put("/providers/openai", {"apiKey": "sk-another-0123456789", "displayName": "sk-another-0123456789"})
    assert KEY not in str(Provider.objects.get().metadata)
    assert Provider.objects.get().metadata["providers_api"]["displayName"] == "***"
