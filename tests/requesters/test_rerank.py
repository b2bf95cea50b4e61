"""Rerankers: one form inside, three outside, and an address that only the operator chooses."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import Transport
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    EgressRefused,
    ProviderError,
    RateLimited,
    Unavailable,
)
from providers.requesters.extras import ArgsRequester
from providers.requesters.rerank import CohereRerankRequester, JinaRerankRequester, VoyageRerankRequester
from providers.requesters.usage import Usage
from tests.fakes.rerankers import COHERE_MODELS, FakeCohere, FakeJina, FakeReranker, FakeVoyage
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay

KINDS: dict[str, tuple[type[FakeReranker], type[Requester]]] = {
    "cohere": (FakeCohere, CohereRerankRequester),
    "jina": (FakeJina, JinaRerankRequester),
    "voyage": (FakeVoyage, VoyageRerankRequester),
    # Whoever speaks Jina's form needs no class of its own.
    "plain": (FakeJina, Requester),
}
UNLISTED = ("jina", "voyage")
TEXTS = ["Paris is in France.", {"text": "Berlin is in Germany."}, "A bridge."]
BODY: JSON = {"model": "m", "query": "Where is Paris?", "documents": TEXTS}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, FakeReranker]]:
    with FakeCohere() as cohere, FakeJina() as jina, FakeVoyage() as voyage:
        yield {"cohere": cohere, "jina": jina, "voyage": voyage, "plain": jina}


@pytest.fixture
def fakes(servers: dict[str, FakeReranker]) -> dict[str, FakeReranker]:
    for fake in servers.values():
        fake.forget()
    return servers


@pytest.fixture
def reranker(fakes: dict[str, FakeReranker], transport: Transport, vendor: str) -> Requester:
    fake = fakes[vendor]
    return KINDS[vendor][1](Endpoint(fake.base_url, fake.key, PATIENT), transport)


@pytest.fixture
def fake(fakes: dict[str, FakeReranker], vendor: str) -> Iterator[FakeReranker]:
    yield fakes[vendor]
    assert fakes[vendor].violations == []


every = pytest.mark.parametrize("vendor", list(KINDS))


@pytest.mark.parametrize(
    ("vendor", "exchange"),
    [
        pytest.param(name, *each.values, id=f"{name}-{each.id}")
        for name in ("cohere", "jina", "voyage")
        for each in load(name)
    ],
)
def test_recorded_exchanges(transport: Transport, vendor: str, exchange: JSON) -> None:
    version = KINDS[vendor][0].version

    def requester_at(origin: str, config: JSON) -> Requester:
        return KINDS[vendor][1](Endpoint(origin + version, "sk-recorded", PATIENT, config=config), transport)

    assert replay(exchange, requester_at) == []


# The one form


@every
def test_results_come_out_in_one_form(reranker: Requester, fake: FakeReranker, vendor: str) -> None:
    body = {**BODY, "top_n": 2, "return_documents": True}
    answer = reranker.ask("rerank", body).json
    assert answer["model"] == "m"
    assert answer["results"] == [
        {"index": 0, "relevance_score": 0.9, "document": {"text": "Paris is in France."}},
        {"index": 1, "relevance_score": 0.45, "document": {"text": "Berlin is in Germany."}},
    ]
    assert Usage.from_openai(answer["usage"]) == Usage(31)
    assert body == {**BODY, "top_n": 2, "return_documents": True}


@every
def test_documents_come_back_only_when_asked_for(reranker: Requester, fake: FakeReranker, vendor: str) -> None:
    silence = {} if vendor in ("cohere", "voyage") else {"return_documents": False}  # Jina's own default is to send
    for wish in ({"return_documents": False}, silence):
        results = reranker.ask("rerank", {**BODY, **wish}).json["results"]
        assert [each.keys() for each in results] == [{"index", "relevance_score"}] * 3


@pytest.mark.parametrize("vendor", UNLISTED)
def test_tokens_are_the_prompt_s(reranker: Requester, fake: FakeReranker) -> None:
    assert reranker.ask("rerank", BODY).json["usage"] == {"prompt_tokens": 31, "total_tokens": 31}


@pytest.mark.parametrize("vendor", ["cohere"])
def test_search_units_are_kept_and_claim_no_tokens(reranker: Requester, fake: FakeReranker) -> None:
    usage = reranker.ask("rerank", BODY).json["usage"]
    assert usage == {"prompt_tokens": 31, "total_tokens": 31, "search_units": 1}
    usage = reranker.ask("rerank", {**BODY, "model": "no-tokens"}).json["usage"]
    assert usage == {"search_units": 1} and Usage.from_openai(usage) is None


@pytest.mark.parametrize("vendor", ["plain"])
def test_whoever_speaks_the_form_is_passed_on_byte_for_byte(reranker: Requester, fake: FakeReranker) -> None:
    assert reranker.ask("rerank", BODY).raw is not None
    assert fake.seen[0].body == BODY


@pytest.mark.parametrize("vendor", ["jina"])
def test_pictures_reach_a_vendor_that_ranks_them(reranker: Requester, fake: FakeReranker) -> None:
    documents = [{"image": "https://example.com/a.png"}, "text"]
    assert reranker.ask("rerank", {**BODY, "documents": documents}).json["results"][0]["document"] == documents[0]


@pytest.mark.parametrize("vendor", ["cohere", "voyage"])
@pytest.mark.parametrize("documents", [None, [], "text", [1], [{"image": "x"}], [None]])
def test_documents_without_text_are_the_caller_s_mistake(
    reranker: Requester, fake: FakeReranker, documents: Any
) -> None:
    with pytest.raises(BadRequest) as caught:
        reranker.ask("rerank", {**BODY, "documents": documents})
    assert (caught.value.param, fake.seen) == ("documents", [])


@pytest.mark.parametrize("vendor", ["cohere"])
def test_names_of_the_first_version_are_left_out_and_named(reranker: Requester, fake: FakeReranker) -> None:
    body = {**BODY, "rank_fields": ["text"], "max_chunks_per_doc": 3, "max_tokens_per_doc": 100, "return_documents": 1}
    assert reranker.unsupported(body) == ["rank_fields", "max_chunks_per_doc"]
    reranker.ask("rerank", body)
    assert fake.seen[0].body.keys() == {*BODY, "max_tokens_per_doc"}


# Refusals


@every
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("401", AuthFailed),
        ("400", BadRequest),
        ("422", BadRequest),
        ("429", RateLimited),
        ("500", Unavailable),
    ],
)
def test_refusals(reranker: Requester, fake: FakeReranker, model: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        reranker.ask("rerank", {**BODY, "model": model})
    assert type(caught.value) is kind and caught.value.upstream_status == int(model)
    assert fake.key not in repr(vars(caught.value))


@pytest.mark.parametrize(
    ("vendor", "payload"),
    [
        ("cohere", {"id": "x"}),
        ("cohere", {"results": 5}),
        ("cohere", {"results": [{"index": 9}]}),
        ("cohere", {"results": [], "meta": [1]}),
        ("voyage", {"results": []}),
        ("voyage", {"data": [1]}),
    ],
)
def test_an_answer_of_another_form_is_a_bad_answer(reranker: Requester, fake: FakeReranker, payload: JSON) -> None:
    fake.reply_json("m", payload)
    with pytest.raises(BadAnswer):
        reranker.ask("rerank", {**BODY, "return_documents": True})


# Whether it is well


@pytest.mark.parametrize("vendor", ["cohere"])
def test_cohere_s_list_has_its_rerankers(reranker: Requester, fake: FakeReranker) -> None:
    models = reranker.list_models()
    assert [each.id for each in models] == list(COHERE_MODELS)
    assert models[0].raw["context_length"] == 4096
    reranker.check()


@pytest.mark.parametrize("vendor", UNLISTED)
def test_a_vendor_without_a_list_says_so(reranker: Requester, fake: FakeReranker) -> None:
    with pytest.raises(BadRequest, match="no list of models"):
        reranker.list_models()
    assert fake.seen == []


@pytest.mark.parametrize("vendor", UNLISTED)
def test_a_check_ranks_one_word(reranker: Requester, fake: FakeReranker) -> None:
    reranker.check()
    [seen] = fake.seen
    assert (seen.method, seen.body["documents"]) == ("POST", ["a"])


@pytest.mark.parametrize("vendor", ["cohere", *UNLISTED])
def test_a_check_finds_a_wrong_key_and_a_failing_vendor(fake: FakeReranker, transport: Transport, vendor: str) -> None:
    kind = KINDS[vendor][1]
    with pytest.raises(AuthFailed):
        kind(Endpoint(fake.base_url, "sk-wrong", PATIENT), transport).check()
    with pytest.raises(Unavailable):
        kind(Endpoint("http://127.0.0.1:1/v1", fake.key, PATIENT), transport).check()


@pytest.mark.parametrize("vendor", UNLISTED)
def test_a_check_outlives_the_model_that_it_asks_for(reranker: Requester, fake: FakeReranker) -> None:
    fake.mishap(422)
    reranker.check()
    fake.mishap(503)
    with pytest.raises(Unavailable):
        reranker.check()


# Elsewhere


@every
def test_a_whole_url_or_a_path_leads_elsewhere_and_goes_no_further(
    reranker: Requester, fake: FakeReranker, vendor: str
) -> None:
    reranker.ask("rerank", {**BODY, "rerank_url": fake.origin + fake.other_path})
    path = "../elsewhere/reranks"
    reranker.ask("rerank", {**BODY, "rerank_path": path})
    assert [each.path for each in fake.seen] == [fake.other_path] * 2
    assert not any(name.startswith("rerank") for each in fake.seen for name in each.body)


@every
def test_the_usual_path_may_be_named(reranker: Requester, fake: FakeReranker) -> None:
    reranker.ask("rerank", {**BODY, "rerank_path": "/rerank", "rerank_url": None})
    assert fake.seen[0].path == fake.rerank_path


@every
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/rerank",
        "https://127.0.0.1:{port}/rerank",
        "http://127.0.0.1:1/rerank",
        "http://127.0.0.1:{port}@evil.test/rerank",
        "http://evil.test\\@127.0.0.1:{port}/rerank",
        "http://127.0.0.1:{port}.evil.test/rerank",
        "//evil.test/rerank",
        "/rerank",
        "not a url",
        5,
    ],
)
def test_the_key_goes_to_the_provider_s_own_origin_only(reranker: Requester, fake: FakeReranker, url: Any) -> None:
    if isinstance(url, str):
        url = url.replace("{port}", str(fake.port))
    with pytest.raises(EgressRefused) as caught:
        reranker.ask("rerank", {**BODY, "rerank_url": url})
    assert caught.value.retryable  # by another deployment: the address is none of the caller's
    assert fake.seen == []


@every
@pytest.mark.parametrize("as_list", [False, True])
def test_another_origin_is_called_when_the_provider_s_settings_name_it(
    fakes: dict[str, FakeReranker], fake: FakeReranker, transport: Transport, vendor: str, as_list: bool
) -> None:
    allowed = ["https://spare.test", f"{fake.origin}/any/path"] if as_list else fake.origin
    endpoint = Endpoint("https://r.test/v1", fake.key, PATIENT, config={"allow_rerank_origin": allowed})
    reranker = KINDS[vendor][1](endpoint, transport)
    assert reranker.ask("rerank", {**BODY, "rerank_url": fake.origin + fake.other_path}).json["results"]
    with pytest.raises(EgressRefused):
        reranker.ask("rerank", {**BODY, "rerank_url": f"http://127.0.0.1:{fake.port + 1}/rerank"})


@pytest.mark.parametrize("allowed", [True, 5, "*", "https://", {"a": "b"}, [None]])
def test_a_setting_that_names_no_origin_allows_none(transport: Transport, allowed: Any) -> None:
    reranker = Requester(Endpoint("https://r.test/v1", "k", config={"allow_rerank_origin": allowed}), transport)
    with pytest.raises(EgressRefused):
        reranker.url("rerank", {**BODY, "rerank_url": "https://elsewhere.test/rerank"})


@every
def test_a_path_is_a_text_and_stays_at_the_origin(reranker: Requester, fake: FakeReranker) -> None:
    with pytest.raises(EgressRefused):
        reranker.ask("rerank", {**BODY, "rerank_path": ["x"]})
    for path in ("//evil.test/x", "@evil.test/x", "https://evil.test/x"):
        url = reranker.url("rerank", {**BODY, "rerank_path": path})
        assert url.startswith(fake.base_url + "/")


def test_a_requester_with_extras_consumes_them_too(transport: Transport) -> None:
    reranker = ArgsRequester(Endpoint("https://r.test/v1", "k", config={"args": {"top_k": 1}}), transport)
    body = {**BODY, "rerank_url": "https://R.test:443/compatible-api/v1/reranks", "rerank_path": "x"}
    assert reranker.url("rerank", body) == body["rerank_url"]
    assert reranker.build("rerank", body) == BODY


def test_other_operations_know_no_such_names(transport: Transport) -> None:
    requester = Requester(Endpoint("https://r.test/v1", "k"), transport)
    body = {"model": "m", "rerank_url": "https://evil.test"}
    assert requester.url("chat", body) == "https://r.test/v1/chat/completions"
    assert requester.build("chat", body) is body
