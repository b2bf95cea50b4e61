"""Azure and the rerankers through the whole gateway: rows of the catalog, settings, keys of several parts, charges."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Charge
from accounts.services.ledger.audit import audit
from chat.models import Thread
from providers.services import providers
from tests import factories
from tests.fakes.azure import FakeAzure
from tests.fakes.kinds import SOUND
from tests.fakes.rerankers import FakeCohere, FakeJina, FakeReranker, FakeVoyage
from tests.gateway.openai.conftest import Api, last_charge
from tests.gateway.openai.test_kinds import WAVE

KINDS = {"chat": "llm", "vectors": "embedding", "pictures": "image", "voice": "speech", "ears": "transcription"}


@pytest.fixture
def azure(database: None) -> Iterator[FakeAzure]:
    with FakeAzure() as fake:
        yield fake
        assert fake.violations == []


def add(azure: FakeAzure, path: str = "", requester: str = "azure-openai", key: str = "", **config: Any) -> None:
    provider = providers.add(
        name="azure", requester=requester, base_url=azure.origin + path, secrets=[key or azure.key], config=config
    )
    for name, kind in KINDS.items():
        factories.model(provider, name, kind=kind, upstream_name="my-gpt")


def every_kind(api: Api) -> list[Any]:
    file = SimpleUploadedFile("speech.wav", WAVE, "audio/wav")
    headers = {"authorization": f"Bearer {api.alice.secret}"}
    return [
        api.chat("chat"),
        api.post("embeddings", {"model": "vectors", "input": "hello"}),
        api.post("images/generations", {"model": "pictures", "prompt": "a bridge"}),
        api.post("audio/speech", {"model": "voice", "input": "hello", "voice": "alloy"}),
        api.client.post("/v1/audio/transcriptions", {"model": "ears", "file": file}, headers=headers),
    ]


@pytest.mark.parametrize(
    ("path", "config"),
    [
        ("", {}),
        ("/openai/deployments/my-gpt", {"apiVersion": "2025-01-01-preview"}),
        ("/openai/v1", {}),
        ("/openai", {"deployment": "my-gpt", "auth": "key"}),
    ],
)
def test_azure_serves_each_of_its_kinds_at_each_form_of_address(
    api: Api, azure: FakeAzure, path: str, config: dict[str, Any]
) -> None:
    add(azure, path, **config)
    answers = every_kind(api)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[3].content == SOUND
    assert [each.state for each in Charge.objects.all()] == ["settled"] * 5
    assert audit() == []


def test_azure_streams_and_its_filters_verdict_comes_first(api: Api, azure: FakeAzure) -> None:
    add(azure)
    first, *_, done = api.stream("chat", max_tokens=3)
    assert (json.loads(first)["choices"], "prompt_filter_results" in json.loads(first), done) == ([], True, "[DONE]")
    charge = last_charge()
    assert (charge.output_tokens, charge.usage_source, charge.outcome) == (3, "reported", "ok")
    assert Thread.objects.get().completion.split() == ["tok0", "tok1", "tok2"]


def test_what_azures_filter_refuses_another_model_may_take(api: Api, azure: FakeAzure) -> None:
    add(azure)
    provider = providers.add(name="strict", requester="azure-openai", base_url=azure.origin, secrets=[azure.key])
    factories.model(provider, "filtered", filter_fallbacks=["echo"])
    factories.model(provider, "alone", upstream_name="filtered")
    assert api.chat("filtered").status_code == 200
    answer = api.chat("alone")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert (last_charge().state, last_charge().fee) == ("released", 0)


def test_an_entra_principal_is_one_key_and_one_token_serves_all_kinds(
    api: Api, azure: FakeAzure, caplog: pytest.LogCaptureFixture
) -> None:
    parts = dict(zip(("tenant_id", "client_id", "client_secret"), azure.principal, strict=True))
    add(azure, key=json.dumps(parts), auth="entra", authority=azure.origin)
    assert [answer.status_code for answer in every_kind(api)] == [200] * 5
    assert azure.issued == 1
    azure.tokens.clear()  # all withdrawn
    assert api.chat("chat").status_code == 200
    assert azure.issued == 2
    assert not any(part in caplog.text for part in azure.principal)


def test_a_refused_principal_shows_in_no_answer_and_no_row(
    api: Api, azure: FakeAzure, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {"tenant_id": "tenant-0000", "client_id": "client-1111", "client_secret": "mistaken~3333"}
    add(azure, key=json.dumps(wrong), auth="entra", authority=azure.origin)
    answer = api.chat("chat")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_auth_failed")
    told = answer.content.decode() + caplog.text + str(Charge.objects.values_list("error", "route"))
    assert not any(part in told for part in wrong.values())


# Rerankers

RERANKERS: dict[str, type[FakeReranker]] = {
    "cohere-rerank": FakeCohere,
    "jina-rerank": FakeJina,
    "voyageai-rerank": FakeVoyage,
}
BODY = {"query": "a greeting", "documents": ["hello", {"text": "a bridge"}], "top_n": 1, "return_documents": True}


@pytest.fixture(params=RERANKERS)
def reranker(request: pytest.FixtureRequest, database: None) -> Iterator[FakeReranker]:
    with RERANKERS[request.param]() as fake:
        provider = providers.add(name="r", requester=request.param, base_url=fake.base_url, secrets=[fake.key])
        factories.model(provider, "ranks", kind="rerank", upstream_name="m")
        factories.model(provider, "silent", kind="rerank", upstream_name="no-tokens")
        yield fake
        assert fake.violations == []


def test_rerankers_answer_in_one_form_and_are_charged_by_their_tokens(api: Api, reranker: FakeReranker) -> None:
    answer = api.post("rerank", {"model": "ranks", **BODY})
    assert answer.status_code == 200, answer.content
    [result] = answer.json()["results"]
    assert result == {"index": 0, "relevance_score": 0.9, "document": {"text": "hello"}}
    assert (last_charge().input_tokens, last_charge().usage_source) == (31, "reported")
    assert last_charge().fee == Decimal("0.000031")
    assert Thread.objects.get().prompt == "a greeting"


@pytest.mark.parametrize("reranker", ["cohere-rerank"], indirect=True)
def test_a_model_that_counts_searches_only_is_charged_by_an_estimate(api: Api, reranker: FakeReranker) -> None:
    assert api.post("rerank", {"model": "silent", **BODY}).json()["usage"] == {"search_units": 1}
    assert (last_charge().usage_source, last_charge().input_tokens > 0) == ("estimated", True)


def test_a_wrong_key_of_a_reranker_is_none_of_the_callers(api: Api, reranker: FakeReranker) -> None:
    reranker.key = "sk-changed"
    error = api.post("rerank", {"model": "ranks", **BODY}).json()["error"]
    assert error["code"] == "upstream_auth_failed"
    assert "sk-" not in error["message"]
