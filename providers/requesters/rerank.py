"""Rerankers that have a form of their own. The inner form is Jina's, which Cohere's grew close to:

request {model, query, documents (texts, or objects with a text), top_n?, return_documents?}
answer  {id?, model, results: [{index, relevance_score, document?: {text}}], usage}

Who speaks it (Jina, vLLM, SiliconFlow, Xinference and others at {base}/rerank) needs nothing of this file.
Facts from docs.cohere.com/reference/rerank (v2, and v1 for return_documents) and reference/list-models,
jina.ai/reranker and api.jina.ai, docs.voyageai.com/reference/reranker-api, and the SDKs of Cohere and Voyage.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from providers.requesters.base import JSON, Answer, RemoteModel, Requester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest
from providers.requesters.inner import malformed

FORM = "upstream's answer has not the form of a reranking"
# Cohere's first version had these; its second left them out.
COHERE_V1_ONLY = frozenset({"rank_fields", "max_chunks_per_doc"})


class CohereRerankRequester(Requester):
    """`base_url` ends in /v2. Documents are never sent back: whoever asks for them gets the request's own."""

    paths: ClassVar[Mapping[str, str]] = {"rerank": "/rerank", "models": "/v1/models?endpoint=rerank&page_size=1000"}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        if operation != "models":
            return super().url(operation, body, is_stream=is_stream)
        return self.endpoint.base_url.rstrip("/").removesuffix("/v2") + self.paths[operation]

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        answer = super().exchange(operation, body, token).json
        if body.get("return_documents"):
            answer = _with_documents(answer, body["documents"])
        return Answer({"model": body.get("model"), **answer}, None)

    def build_rerank(self, body: JSON) -> JSON:
        left_out = COHERE_V1_ONLY | {"return_documents"}
        return {name: body[name] for name in body if name not in left_out} | {"documents": _texts(body)}

    def parse_rerank(self, payload: JSON) -> JSON:
        """Cohere charges by search units and tells tokens for some models only; then they are the usage, too."""
        with malformed(BadAnswer, FORM):
            meta = payload.get("meta") or {}
            tokens = (meta.get("tokens") or {}).get("input_tokens")
            units = (meta.get("billed_units") or {}).get("search_units")
            return {**payload, "results": list(payload["results"]), "usage": _usage(tokens, units)}

    def unsupported(self, body: JSON) -> list[str]:
        return [*super().unsupported(body), *(name for name in body if name in COHERE_V1_ONLY)]

    def list_models(self) -> list[RemoteModel]:
        entries = self._get(self.url("models", {})).get("models")
        if not isinstance(entries, list):
            raise BadAnswer("upstream's list of models has no models")
        return [
            RemoteModel(str(entry["name"]), "", entry)
            for entry in entries
            if isinstance(entry, dict) and entry.get("name")
        ]


class UnlistedRerankRequester(Requester):
    """For vendors that have no list of models, which would show that address and key are right."""

    paths: ClassVar[Mapping[str, str]] = {"rerank": "/rerank"}
    # The smallest that the vendor has.
    check_model: ClassVar[str]

    def check(self) -> None:
        """Ranks one word: a handful of tokens. A model that is no longer there is refused as a bad request, by a vendor
        that was reached and took the key: nothing is wrong with those."""
        with suppress(BadRequest):
            self.ask("rerank", {"model": self.check_model, "query": "a", "documents": ["a"]})

    def parse_rerank(self, payload: JSON) -> JSON:
        """A reranker reads and writes nothing, so all of its tokens are the prompt's."""
        usage = payload.get("usage")
        if not isinstance(usage, dict) or "prompt_tokens" in usage or "total_tokens" not in usage:
            return payload
        return {**payload, "usage": {"prompt_tokens": usage["total_tokens"], **usage}}


class JinaRerankRequester(UnlistedRerankRequester):
    check_model = "jina-reranker-v2-base-multilingual"


class VoyageRerankRequester(UnlistedRerankRequester):
    """Other names for top_n and results, and texts only, as documents and as what comes back."""

    check_model = "rerank-2.5-lite"

    def build_rerank(self, body: JSON) -> JSON:
        built = {name: body[name] for name in body if name != "top_n"}
        limit = {"top_k": body["top_n"]} if body.get("top_n") is not None else {}
        return {**built, **limit, "documents": _texts(body)}

    def parse_rerank(self, payload: JSON) -> JSON:
        with malformed(BadAnswer, FORM):
            results = [_result(entry) for entry in payload["data"]]
        rest = {name: payload[name] for name in payload if name not in ("object", "data")}
        return super().parse_rerank({**rest, "results": results})


def _texts(body: JSON) -> list[str]:
    """An object's text, which every object of Jina's and of Cohere's first version has."""
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise BadRequest("documents must be a list that is not empty", param="documents")
    return [_text(document) for document in documents]


def _text(document: Any) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise BadRequest("each document must be a text, or an object with a text", param="documents")
    return text


def _with_documents(answer: JSON, documents: list[Any]) -> JSON:
    with malformed(BadAnswer, FORM):
        results = [{**result, "document": _document(documents[result["index"]])} for result in answer["results"]]
    return {**answer, "results": results}


def _document(document: Any) -> JSON:
    return document if isinstance(document, dict) else {"text": document}


def _result(entry: JSON) -> JSON:
    return {**entry, "document": _document(entry["document"])} if "document" in entry else {**entry}


def _usage(tokens: Any, units: Any) -> JSON:
    counted = {"prompt_tokens": int(tokens), "total_tokens": int(tokens)} if isinstance(tokens, int | float) else {}
    return counted if units is None else {**counted, "search_units": units}
