"""Embeddings on Bedrock, whose models have a body each: Amazon's Titan, one text a call, and Cohere's.

Facts from docs.aws.amazon.com/bedrock/latest/userguide: InvokeModel, and model-parameters-titan-embed-text,
-titan-embed-mm (the multimodal model, of which OpenAI's form reaches the text), -embed and -embed-v4. Cohere's answers
count no tokens; the runtime does, in X-Amzn-Bedrock-Input-Token-Count.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from providers.requesters.base import JSON, Answer, RemoteModel
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer
from providers.requesters.inner import embedding_data, embedding_texts, malformed

ANSWER_FORM = "upstream's answer has not the form of its embeddings"
NAMES = frozenset({"model", "input", "encoding_format"})
TOKENS_HEADER = "x-amzn-bedrock-input-token-count"
# Cohere's models insist on one; most embeddings are of what will be searched.
INPUT_TYPE = "search_document"


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of model is asked: what its names hold, what builds the body, how many texts fit into a call, and
    which settings it takes."""

    mark: str
    build: Callable[[list[str], JSON], JSON]
    batch: int = 1
    settings: tuple[str, ...] = ()


def _text(texts: list[str], settings: JSON) -> JSON:
    return {"inputText": texts[0], **settings}


def _multimodal(texts: list[str], settings: JSON) -> JSON:
    length = settings.get("dimensions")
    return {"inputText": texts[0]} | ({"embeddingConfig": {"outputEmbeddingLength": length}} if length else {})


def _cohere(texts: list[str], settings: JSON) -> JSON:
    length = {"output_dimension": settings["dimensions"]} if "dimensions" in settings else {}
    return {"texts": texts, "input_type": settings.get("input_type", INPUT_TYPE), **length}


# First match wins, so the narrow come before the broad. The last is for names that say nothing, such as an ARN's.
FAMILIES = (
    # It refuses whatever stands beside the text.
    Family("titan-embed-text-v1", _text),
    Family("titan-embed-image", _multimodal, settings=("dimensions",)),
    Family("cohere.embed-v4", _cohere, 96, ("dimensions", "input_type")),
    Family("cohere.embed", _cohere, 96, ("input_type",)),
    Family("", _text, settings=("dimensions", "normalize")),
)
LISTED = ("titan-embed", "cohere.embed")


class TitanEmbeddingRequester(BedrockRequester):
    """`config`, beside what AwsRequester reads: dimensions, normalize and (Cohere's) input_type, for calls that say
    nothing of these."""

    paths: ClassVar[Mapping[str, str]] = {"embedding": "/invoke", "models": "/foundation-models"}

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        """As many requests as the model needs for all texts, one after the other."""
        vectors: list[Any] = []
        count = 0
        for texts in _batches(body):
            if token is not None:
                token.check()
            found, tokens = self._invoke(operation, {**body, "input": texts}, token)
            vectors += found
            count += tokens
        return Answer(_joined(vectors, count, body), None)

    def build_embedding(self, body: JSON) -> JSON:
        """One batch's. Its numbers come as numbers, and are packed here if the caller wants them so."""
        family = _family(body)
        said = {name: _said(name, body, self.endpoint.config) for name in family.settings}
        return family.build(body["input"], {name: value for name, value in said.items() if value is not None})

    def unsupported(self, body: JSON) -> list[str]:
        names = NAMES | set(_family(body).settings)
        return [name for name, value in body.items() if value and name not in names]

    def list_models(self) -> list[RemoteModel]:
        return [model for model in super().list_models() if any(mark in model.id for mark in LISTED)]

    def _invoke(self, operation: str, body: JSON, token: CancelToken | None) -> tuple[list[Any], int]:
        url, built = self.url(operation, body), self.build(operation, body)
        upstream = self._post(operation, url, self._plain_headers, built, token)
        try:
            payload = self.parse(operation, orjson.loads(upstream.read()))
        except orjson.JSONDecodeError as error:
            raise BadAnswer("upstream's answer is not JSON") from error
        with malformed(BadAnswer, ANSWER_FORM):
            vectors = _vectors(payload)
            tokens = payload["inputTextTokenCount"] if "embedding" in payload else _counted(upstream.headers)
        if len(vectors) != len(body["input"]):
            raise BadAnswer(ANSWER_FORM)
        return vectors, tokens


def _family(body: JSON) -> Family:
    return next(family for family in FAMILIES if family.mark in str(body.get("model")))


def _said(name: str, body: JSON, config: Mapping[str, Any]) -> Any:
    # A form leaves "" where nothing was said.
    return next((value for value in (body.get(name), config.get(name)) if value not in (None, "")), None)


def _batches(body: JSON) -> Iterator[list[str]]:
    texts, size = embedding_texts(body), _family(body).batch
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _vectors(payload: JSON) -> list[Any]:
    """Titan's {embedding}, or Cohere's {embeddings}: a list, or an object of lists by their type."""
    if "embedding" in payload:
        return [payload["embedding"]]
    found = payload["embeddings"]
    return list(found["float"] if isinstance(found, dict) else found)


def _counted(headers: Mapping[str, str]) -> int:
    given = headers.get(TOKENS_HEADER, "")
    return int(given) if given.isdecimal() else 0


def _joined(vectors: list[Any], count: int, body: JSON) -> JSON:
    with malformed(BadAnswer, ANSWER_FORM):
        data = embedding_data(vectors, is_base64=body.get("encoding_format") == "base64")
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}
