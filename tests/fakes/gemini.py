"""A strict fake of Gemini's own API: what it refuses, the real one refuses (see `gemini_grammar`).

The model's name (in the path) says how it behaves; any name that begins with "gemini" echoes. With tools and "use tool"
in the last user turn it calls the first two tools, with thoughts included it thinks first, with cachedContent
it reports a cache, and with several candidates it answers several times.

echo  429 (with a retryDelay) 500 503 504 403 404  too-long  no-quota-here (FAILED_PRECONDITION)
cut (no finishReason)  error-in-stream  blocked (the prompt)  safety (stopped after two pieces)  max-tokens
malformed (MALFORMED_FUNCTION_CALL)  no-usage  no-ids (calls without ids)  painter (a picture)
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.fakes.gemini_grammar import check_embed, check_generate
from tests.fakes.server import JSON, FakeVendor, Handler, Violation, serve_alone

PATH = re.compile(r"/v1beta/models/([^/:?]+):(\w+)(\?alt=sse)?")
STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
MODELS = ("echo", "gemini-2.5-flash", "gemini-3-pro-preview")
SPECIAL = frozenset(
    {
        "blocked",
        "cut",
        "echo",
        "error-in-stream",
        "malformed",
        "max-tokens",
        "no-ids",
        "no-usage",
        "painter",
        "safety",
    }
)
TEXT = ("Hello", " from", " the", " fake")
THOUGHT = ("Let me ", "think.")
SIGNATURE = "c2lnbmF0dXJl"
TEXT_SIGNATURE = "dGV4dA=="
PICTURE = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
FINISHES = {"safety": "SAFETY", "max-tokens": "MAX_TOKENS", "malformed": "MALFORMED_FUNCTION_CALL"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


def error(status: int, message: str, *details: JSON, name: str | None = None) -> JSON:
    inner: JSON = {"code": status, "message": message, "status": name or STATUSES[status]}
    return {"error": inner | ({"details": list(details)} if details else {})}


class GeminiHandler(Handler):
    def respond(self, body: Any) -> None:
        if "key=" in self.path:
            raise Violation("the key must not stand in the URL")
        if self.headers.get("x-goog-api-key") != self.fake.key:
            self.send_json(400, error(400, "API key not valid. Please pass a valid API key.", INVALID_KEY))
        elif (self.command, self.path) == ("GET", "/v1beta/models?pageSize=1000"):
            self.send_json(200, {"models": [model_entry(name) for name in MODELS]})
        elif self.command == "POST" and (found := PATH.fullmatch(self.path)):
            self._call(found[1], found[2], body)
        else:
            raise Violation(f"Not found: {self.command} {self.path}", status=404)

    def error_body(self, violation: Violation) -> JSON:
        return error(violation.status, violation.message)

    def _call(self, model: str, verb: str, body: JSON) -> None:
        if scripted := self.fake.replies.get(model):
            self._send_reply(scripted)
        elif verb == "batchEmbedContents":
            check_embed(body, model)
            self.send_json(200, {"embeddings": [{"values": vector(request)} for request in body["requests"]]})
        elif verb in ("generateContent", "streamGenerateContent"):
            if (verb == "streamGenerateContent") != self.path.endswith("?alt=sse"):
                raise Violation("a stream is asked for with alt=sse, a whole answer without")
            check_generate(body, model)
            self._generate(model, body, is_stream=verb == "streamGenerateContent")
        else:
            raise Violation(f"Method not found: {verb}", status=404)

    def _generate(self, model: str, body: JSON, *, is_stream: bool) -> None:
        if model in REFUSALS:
            status, payload = REFUSALS[model]
            self.send_json(status, payload)
        elif model not in SPECIAL and not model.startswith("gemini"):
            raise Violation(f"models/{model} is not found for API version v1beta", status=404)
        elif is_stream:
            self._stream(model, body)
        else:
            self.send_json(200, answer(model, body))

    def _stream(self, model: str, body: JSON) -> None:
        self.start_stream()
        for event in events(model, body):
            self.send_event(event)
        if model == "error-in-stream":
            self.send_event(error(503, "The model is overloaded. Please try again later."))
        self.end_stream()


class FakeGemini(FakeVendor):
    handler = GeminiHandler

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1beta"


# What the model's name asks for
REFUSALS: dict[str, tuple[int, JSON]] = {
    "429": (429, error(429, "You exceeded your current quota. Please retry in 37.8s.", RETRY)),
    "403": (403, error(403, "fake 403")),
    "404": (404, error(404, "fake 404")),
    "500": (500, error(500, "An internal error has occurred.")),
    "503": (503, error(503, "The model is overloaded. Please try again later.")),
    "504": (504, error(504, "The request timed out.")),
    "too-long": (400, error(400, "The input token count (9) exceeds the maximum number of tokens allowed (8).")),
    "no-quota-here": (400, error(400, "Free tier is not available in your country.", name="FAILED_PRECONDITION")),
}


def model_entry(name: str) -> JSON:
    return {
        "name": f"models/{name}",
        "displayName": name.title(),
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def vector(request: JSON) -> list[float]:
    """Tells one text from another, and is exact in 32 bits."""
    size = request.get("outputDimensionality", 3)
    return [float(len(request["content"]["parts"][0]["text"])), *([0.5] * (size - 1))]


def parts(model: str, body: JSON) -> list[JSON]:
    said: list[JSON] = []
    if body.get("generationConfig", {}).get("thinkingConfig", {}).get("includeThoughts"):
        said += [{"text": piece, "thought": True} for piece in THOUGHT]
    said += [{"text": piece} for piece in TEXT]
    if model == "painter":
        said.append({"inlineData": PICTURE})
    last = body["contents"][-1]
    if any(part.get("text") == "use tool" for part in last["parts"]):
        calls = [call(model, index, function) for index, function in enumerate(functions(body)[:2])]
        # Of parallel calls only the first one is signed.
        return said + [{**part, "thoughtSignature": SIGNATURE} if not i else part for i, part in enumerate(calls)]
    # The signature of a text comes last, on a part that may say nothing.
    return said + ([{"text": "", "thoughtSignature": TEXT_SIGNATURE}] if model.startswith("gemini-3") else [])


def functions(body: JSON) -> list[JSON]:
    return [function for tool in body.get("tools", []) for function in tool.get("functionDeclarations", [])]


def call(model: str, index: int, function: JSON) -> JSON:
    made: JSON = {"name": function["name"], "args": {"query": "tok", "limit": 3 + index}}
    return {"functionCall": made if model == "no-ids" else {"id": f"fc_{index}", **made}}


def usage(body: JSON) -> JSON:
    thinks = body.get("generationConfig", {}).get("thinkingConfig", {}).get("includeThoughts")
    return {
        "promptTokenCount": 11,
        "candidatesTokenCount": 14,
        "totalTokenCount": 34 if thinks else 25,
        **({"thoughtsTokenCount": 9} if thinks else {}),
        **({"cachedContentTokenCount": 5} if "cachedContent" in body else {}),
    }


def head(model: str) -> JSON:
    return {"modelVersion": model, "responseId": "resp_fake"}


def blocked(model: str) -> JSON:
    return {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 11}, **head(model)}


def logprobs(body: JSON) -> JSON:
    if not body.get("generationConfig", {}).get("responseLogprobs"):
        return {}
    chosen = [{"token": "Hello", "tokenId": 9, "logProbability": -0.25}]
    top = [{"candidates": [*chosen, {"token": "Hi", "tokenId": 8, "logProbability": -2.5}]}]
    return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}


def answer(model: str, body: JSON) -> JSON:
    if model == "blocked":
        return blocked(model)
    count = body.get("generationConfig", {}).get("candidateCount", 1)
    said = parts(model, body)[: 2 if model == "safety" else None]
    candidate = {"finishReason": FINISHES.get(model, "STOP"), **logprobs(body)}
    if model != "malformed":
        candidate["content"] = {"role": "model", "parts": said}
    candidates = [{**candidate, "index": index} for index in range(count)]
    counted = {} if model == "no-usage" else {"usageMetadata": usage(body)}
    return {"candidates": candidates, **counted, **head(model)}


def events(model: str, body: JSON) -> Iterator[JSON]:
    """One part an event. The counts grow; the reason stands in the last event of each candidate, with its last part."""
    whole = answer(model, body)
    if model == "blocked":
        yield whole
        return
    counted = {"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 1}} if model != "no-usage" else {}
    for candidate in whole["candidates"]:
        pieces = candidate.get("content", {}).get("parts", [])
        for number, part in enumerate(pieces[:-1]):
            piece = {"index": candidate["index"], "content": {"role": "model", "parts": [part]}}
            extra = logprobs(body) if not number else {}
            yield {"candidates": [piece | extra], **counted, **head(model)}
        last = {name: value for name, value in candidate.items() if name != "logprobsResult"}
        if pieces:
            last["content"] = {"role": "model", "parts": pieces[-1:]}
        if model not in ("cut", "error-in-stream"):
            rest = {"usageMetadata": whole["usageMetadata"]} if "usageMetadata" in whole else {}
            yield {"candidates": [last], **rest, **head(model)}


if __name__ == "__main__":
    serve_alone(FakeGemini, __doc__)
