"""MiniLM gives the torch original's numbers, and its server OpenAI's shapes."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from providers.local import embeddings
from providers.local.minilm import MOST_TOKENS, InputTooLong, MiniLM

pytestmark = pytest.mark.embedded

SENTENCES = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
# The model card's example, to the fourth digit; and the first numbers of the first vector.
SIMILARITIES = [1.0, 0.694577, 0.942915, 0.256876]
FIRST_NUMBERS = [-0.033877, 0.091942, 0.048701, -0.034884, -0.064829, -0.026686]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="module")
def port(model: MiniLM) -> Iterator[int]:
    server = embeddings.EmbeddingServer(0, model)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_known_similarities(model: MiniLM) -> None:
    vectors = model.embed(SENTENCES).vectors
    assert vectors[0] @ vectors.T == pytest.approx(SIMILARITIES, abs=1e-5)
    assert vectors[0, :6] == pytest.approx(FIRST_NUMBERS, abs=1e-5)


def test_a_text_is_embedded_alike_in_any_company(model: MiniLM) -> None:
    texts = [*SENTENCES, "word " * 100, "another " * 300]
    together = model.embed(texts)
    alone = [model.embed([text]) for text in texts]
    assert together.vectors == pytest.approx(np.concatenate([each.vectors for each in alone]), abs=1e-5)
    assert together.tokens == sum(each.tokens for each in alone)


def test_vectors_have_length_one(model: MiniLM) -> None:
    vectors = model.embed(SENTENCES).vectors
    assert vectors.shape == (4, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_too_much_is_refused_and_not_cut(model: MiniLM) -> None:
    with pytest.raises(InputTooLong, match="input 1 has 602 tokens"):
        model.embed(["short", "word " * 600])
    with pytest.raises(InputTooLong, match=str(MOST_TOKENS)):
        model.embed(["word " * 500] * 80)


def test_openais_own_client_gets_its_vectors(port: int, model: MiniLM) -> None:
    with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client:
        for encoding in ({}, {"encoding_format": "float"}):
            answer = client.embeddings.create(model="all-minilm-l6-v2", input=SENTENCES, **encoding)
            assert np.array([each.embedding for each in answer.data]) == pytest.approx(
                model.embed(SENTENCES).vectors, abs=1e-6
            )
            assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (29, 29)
        assert [each.id for each in client.models.list()] == ["all-minilm-l6-v2"]


def ask(port: int, body: Any, path: str = "/v1/embeddings") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        ([], 400, None),
        ({"input": "x"}, 404, "model"),
        ({"model": "other", "input": "x"}, 404, "model"),
        ({"model": "all-minilm-l6-v2"}, 400, "input"),
        *(
            ({"model": "all-minilm-l6-v2", "input": value}, 400, "input")
            for value in ("", [], [""], [1, 2], [[1], [2]], ["a", 1], {}, 7, ["x"] * 257, "word " * 600)
        ),
        ({"model": "all-minilm-l6-v2", "input": "x", "dimensions": 100}, 400, "dimensions"),
        ({"model": "all-minilm-l6-v2", "input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
        (b" " * (embeddings.MOST_BYTES + 1), 413, None),
    ],
)
def test_a_wrong_request_gets_openais_error(port: int, body: Any, status: int, param: str | None) -> None:
    answered, answer = ask(port, body)
    assert (answered, answer["error"]["param"]) == (status, param)
    assert answer["error"]["type"] == "invalid_request_error" and answer["error"]["message"]


def test_an_unknown_path_is_404(port: int) -> None:
    assert ask(port, {}, "/v1/nothing")[0] == 404


def test_a_connection_serves_several_requests(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    for body in ({"input": "x"}, {"model": "all-minilm-l6-v2", "input": "x"}):
        connection.request("POST", "/v1/embeddings", json.dumps(body))
        response = connection.getresponse()
        response.read()
        assert not response.will_close
    connection.close()
