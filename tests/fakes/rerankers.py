"""Strict fakes of Cohere's (v2), Jina's and Voyage's rerankers. Each takes the names that its vendor's reference has,
and no others; a model that is a number is the status it gets, "no-tokens" is a Cohere model that counts search units
only. The first document is the most relevant, and so on.

Shapes from docs.cohere.com/reference/rerank and /reference/list-models, api.jina.ai (docs) and
docs.voyageai.com/reference/reranker-api.
"""

from typing import Any, ClassVar

from tests.fakes.server import JSON, FakeVendor, Handler, Violation

NAMES: dict[str, frozenset[str]] = {
    "cohere": frozenset({"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"}),
    "jina": frozenset({"model", "query", "documents", "top_n", "return_documents", "truncation"}),
    "voyage": frozenset({"model", "query", "documents", "top_k", "return_documents", "truncation"}),
}
COHERE_MODELS = ("rerank-v3.5", "rerank-english-v3.0")


class RerankHandler(Handler):
    vendor: ClassVar[str]
    fake: "FakeReranker"  # type: ignore[misc]  # the one that FakeReranker binds

    def respond(self, body: Any) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.fake.key}":
            self.send_json(401, self.told("no valid key: " + self.headers.get("Authorization", "")))
        elif self.command == "POST" and self.path in {self.fake.rerank_path, self.fake.other_path}:
            self._rerank(body)
        else:
            self.other()

    def other(self) -> None:
        raise Violation(f"Not Found: {self.command} {self.path}", status=404)

    def told(self, message: str) -> JSON:
        """An error, in the vendor's words."""
        return {"detail": message}

    def error_body(self, violation: Violation) -> JSON:
        return self.told(violation.message)

    def answer(self, body: JSON, results: list[JSON]) -> JSON:
        raise NotImplementedError

    def check_document(self, document: Any) -> None:
        if not isinstance(document, str):
            raise Violation("documents must be texts", status=422)

    def _rerank(self, body: JSON) -> None:
        documents, model = body.get("documents"), body.get("model")
        if unknown := body.keys() - NAMES[self.vendor]:
            raise Violation(f"unknown field: {', '.join(sorted(unknown))}", status=422)
        if not isinstance(model, str) or not isinstance(body.get("query"), str):
            raise Violation("model and query are texts", status=422)
        if not isinstance(documents, list) or not documents:
            raise Violation("documents is a list that is not empty", status=422)
        for document in documents:
            self.check_document(document)
        if model.isdecimal():
            self.send_json(int(model), self.told(f"fake {model} for {self.fake.key}"))
        else:
            self.send_json(200, self.answer(body, self._results(body, documents)))

    def _results(self, body: JSON, documents: list[Any]) -> list[JSON]:
        limit = body.get("top_n", body.get("top_k"))
        if limit is not None and (type(limit) is not int or limit < 1):
            raise Violation("the limit is a whole number above 0", status=422)
        count = min(limit or len(documents), len(documents))
        return [{"index": index, "relevance_score": round(0.9 / (index + 1), 3)} for index in range(count)]


class CohereHandler(RerankHandler):
    vendor = "cohere"

    def other(self) -> None:
        if (self.command, self.path) != ("GET", "/v1/models?endpoint=rerank&page_size=1000"):
            super().other()
            return
        models = [{"name": name, "endpoints": ["rerank"], "context_length": 4096} for name in COHERE_MODELS]
        self.send_json(200, {"models": models})

    def told(self, message: str) -> JSON:
        return {"id": "c0ffee", "message": message}

    def answer(self, body: JSON, results: list[JSON]) -> JSON:
        meta: JSON = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        if body["model"] != "no-tokens":
            meta["tokens"] = {"input_tokens": 31, "output_tokens": 0}
        return {"id": "rr-1", "results": results, "meta": meta}


class JinaHandler(RerankHandler):
    vendor = "jina"

    def check_document(self, document: Any) -> None:
        is_object = isinstance(document, dict) and len({"text", "image"} & document.keys()) == 1
        if not is_object and not isinstance(document, str):
            raise Violation("a document is a text or an object with a text or an image", status=422)

    def answer(self, body: JSON, results: list[JSON]) -> JSON:
        """Sends the documents along unless told not to."""
        if body.get("return_documents", True):
            documents = body["documents"]
            results = [{**each, "document": _object(documents[each["index"]])} for each in results]
        return {"model": body["model"], "object": "list", "usage": {"total_tokens": 31}, "results": results}


class VoyageHandler(RerankHandler):
    vendor = "voyage"

    def answer(self, body: JSON, results: list[JSON]) -> JSON:
        if body.get("return_documents"):
            results = [{**each, "document": body["documents"][each["index"]]} for each in results]
        return {"object": "list", "data": results, "model": body["model"], "usage": {"total_tokens": 31}}


def _object(document: Any) -> JSON:
    return document if isinstance(document, dict) else {"text": document}


class FakeReranker(FakeVendor):
    """`other_path` is a second place at which the same is served."""

    version: ClassVar[str] = "/v1"
    other_path = "/elsewhere/reranks"

    @property
    def base_url(self) -> str:
        return self.origin + self.version

    @property
    def rerank_path(self) -> str:
        return f"{self.version}/rerank"


class FakeCohere(FakeReranker):
    handler = CohereHandler
    version = "/v2"


class FakeJina(FakeReranker):
    handler = JinaHandler


class FakeVoyage(FakeReranker):
    handler = VoyageHandler
