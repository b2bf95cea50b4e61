"""Titan's embeddings: one call for each text, one answer for all."""

import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import CancelToken, Transport
from providers.requesters.errors import BadAnswer, BadRequest, Cancelled, ContextTooLong, ProviderError, RateLimited
from providers.requesters.titan import TitanEmbeddingRequester
from tests.fakes.aws import TITAN, FakeAws, vector
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay

FIRST = "amazon.titan-embed-text-v1"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeAws) -> FakeAws:
    server.forget()
    return server


def titan(fake: FakeAws, transport: Transport, **config: Any) -> TitanEmbeddingRequester:
    return TitanEmbeddingRequester(Endpoint(fake.base_url, fake.key, PATIENT, config=config), transport)


def body(given: Any, model: str = TITAN, **options: Any) -> JSON:
    return {"model": model, "input": given, **options}


@pytest.mark.parametrize("exchange", load("titan"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> TitanEmbeddingRequester:
        return TitanEmbeddingRequester(Endpoint(origin, "AKIAX:recorded-secret", PATIENT, config=config), transport)

    assert replay(exchange, requester_at) == []


def test_each_text_is_a_call_and_their_usage_is_summed(fake: FakeAws, transport: Transport) -> None:
    answer = titan(fake, transport).embed(body(["one", "two words", "and three words"])).json
    assert fake.violations == []
    assert [seen.body for seen in fake.seen] == [
        {"inputText": text} for text in ("one", "two words", "and three words")
    ]
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2]
    assert [entry["embedding"] for entry in answer["data"]] == [
        vector(text, 8) for text in ("one", "two words", "and three words")
    ]
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert answer["model"] == TITAN


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        ({}, {}, {}),
        ({"dimensions": 256, "normalize": False}, {}, {"dimensions": 256, "normalize": False}),
        ({"dimensions": 256}, {"dimensions": 1024}, {"dimensions": 1024}),
        ({"normalize": True}, {"normalize": False}, {"normalize": False}),
        ({"dimensions": "", "normalize": ""}, {}, {}),
    ],
)
def test_what_the_call_says_wins_over_the_settings(
    fake: FakeAws, transport: Transport, config: JSON, options: JSON, expected: JSON
) -> None:
    titan(fake, transport, **config).embed(body("x", **options))
    assert fake.violations == []
    assert fake.seen[-1].body == {"inputText": "x", **expected}


def test_the_first_version_takes_the_text_alone(fake: FakeAws, transport: Transport) -> None:
    requester = titan(fake, transport, dimensions=256, normalize=True)
    asked = body("x", FIRST, dimensions=512, encoding_format="float")
    requester.embed(asked)
    assert fake.violations == []
    assert fake.seen[-1].body == {"inputText": "x"}
    assert requester.unsupported(asked) == ["dimensions"]
    assert requester.unsupported(body("x", dimensions=512, user="somebody")) == ["user"]


def test_the_multimodal_model_embeds_texts(fake: FakeAws, transport: Transport) -> None:
    asked = body(["a", "b"], "amazon.titan-embed-image-v1", dimensions=384)
    answer = titan(fake, transport, normalize=True).embed(asked).json
    assert fake.violations == []
    assert fake.seen[-1].body == {"inputText": "b", "embeddingConfig": {"outputEmbeddingLength": 384}}
    assert [len(entry["embedding"]) for entry in answer["data"]] == [384, 384]


@pytest.mark.parametrize("model", ["cohere.embed-multilingual-v3", "us.cohere.embed-v4:0"])
def test_cohere_s_models_take_many_texts_in_a_call(fake: FakeAws, transport: Transport, model: str) -> None:
    texts = [f"text {'x' * number}" for number in range(1, 101)]
    answer = titan(fake, transport, input_type="search_query").embed(body(texts, model)).json
    assert fake.violations == []
    assert [len(seen.body["texts"]) for seen in fake.seen] == [96, 4]
    assert fake.seen[0].body["input_type"] == "search_query"
    assert [entry["embedding"] for entry in answer["data"]] == [vector(text, 8) for text in texts]
    assert answer["usage"] == {"prompt_tokens": 200, "total_tokens": 200}


def test_cohere_s_fourth_generation_alone_takes_dimensions(fake: FakeAws, transport: Transport) -> None:
    requester = titan(fake, transport, dimensions=512)
    requester.embed(body("x", "cohere.embed-v4:0"))
    assert fake.seen[-1].body == {"texts": ["x"], "input_type": "search_document", "output_dimension": 512}
    requester.embed(body("x", "cohere.embed-english-v3"))
    assert fake.seen[-1].body == {"texts": ["x"], "input_type": "search_document"}
    assert fake.violations == []
    assert requester.unsupported(body("x", "cohere.embed-english-v3", dimensions=512)) == ["dimensions"]


def test_fewer_vectors_than_texts_are_a_bad_answer(fake: FakeAws, transport: Transport) -> None:
    fake.reply_json("cohere.embed-english-v3", {"embeddings": [[0.5]]})
    with pytest.raises(BadAnswer):
        titan(fake, transport).embed(body(["a", "b"], "cohere.embed-english-v3"))


def test_base64_holds_little_endian_floats(fake: FakeAws, transport: Transport) -> None:
    [entry] = titan(fake, transport).embed(body("x", encoding_format="base64")).json["data"]
    assert list(struct.unpack("<8f", b64decode(entry["embedding"]))) == vector("x", 8)


@pytest.mark.parametrize("given", [None, "", [], ["a", ""], [1, 2], [[1, 2]], {"text": "x"}, ["a", None]])
def test_what_is_no_text_is_refused_before_anything_is_sent(fake: FakeAws, transport: Transport, given: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        titan(fake, transport).embed(body(given))
    assert caught.value.param == "input"
    assert fake.seen == []


def test_a_cancelled_token_stops_between_two_texts(fake: FakeAws, transport: Transport) -> None:
    token = CancelToken()

    class Leaving(TitanEmbeddingRequester):
        def parse_embedding(self, payload: JSON) -> JSON:
            token.cancel()
            return payload

    requester = Leaving(Endpoint(fake.base_url, fake.key, PATIENT), transport)
    with pytest.raises(Cancelled):
        requester.embed(body(["a", "b", "c"]), token)
    assert [seen.body for seen in fake.seen] == [{"inputText": "a"}]


@pytest.mark.parametrize(("model", "kind"), [("throttled", RateLimited), ("too-long", ContextTooLong)])
def test_refusals_are_the_project_s_errors(
    fake: FakeAws, transport: Transport, model: str, kind: type[ProviderError]
) -> None:
    with pytest.raises(kind):
        titan(fake, transport).embed(body("x", model))
    assert fake.violations == []


@pytest.mark.parametrize(
    "payload", [{}, {"embedding": None, "inputTextTokenCount": 1}, {"embedding": ["a"], "inputTextTokenCount": 1}]
)
def test_an_answer_without_numbers_is_bad(fake: FakeAws, transport: Transport, payload: JSON) -> None:
    fake.reply_json(TITAN, payload)
    with pytest.raises(BadAnswer):
        titan(fake, transport).embed(body("x", encoding_format="base64"))


def test_only_its_own_models_are_listed(fake: FakeAws, transport: Transport) -> None:
    assert [model.id for model in titan(fake, transport).list_models()] == [TITAN]
    assert fake.violations == []


def test_it_has_no_chat(fake: FakeAws, transport: Transport) -> None:
    with pytest.raises(BadRequest, match="no chat endpoint"):
        titan(fake, transport).chat({"model": TITAN, "messages": [{"role": "user", "content": "x"}]})
