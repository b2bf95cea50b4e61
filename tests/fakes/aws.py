"""A strict fake of Bedrock and SageMaker: what it refuses, the real ones refuse (see `aws_grammar`). It recomputes each
signature with botocore.

The model's name (in the path) says how it behaves; a real name echoes. With tools and "use tool" in the last user turn
it calls the first two tools, with thinking on it thinks first (DeepSeek always does), with cachePoints it reports a
cache. SageMaker's endpoints are called the same, and hold a container that speaks as tests.fakes.openai does.

Of REFUSALS, an HTTP error.  cut (no messageStop)  cut-inside (half a frame)  cut-metadata (no usage)  bad-crc
exception  throttled-in-stream  error-in-stream  filtered  guarded  max-tokens  no-arguments (a bare tool call)
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes import openai
from tests.fakes.aws_frames import damaged, error, event, exception, union
from tests.fakes.aws_grammar import (
    check,
    check_cohere,
    check_converse,
    check_multimodal,
    check_shape,
    check_titan,
    service,
)
from tests.fakes.server import JSON, FakeVendor, Handler, Seen, Violation, serve_alone

KEY_ID, SECRET = "AKIAFAKEUPSTREAM0000", "fakeSecret/fakeSecret+fakeSecretfakeSecr"
EVENT_STREAM = "application/vnd.amazon.eventstream"
MODEL_PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke)")
ENDPOINT_PATH = re.compile(r"/endpoints/([A-Za-z0-9-]{1,63})/(invocations|invocations-response-stream)")
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([a-z0-9-]+)/(\w+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
CLAUDE, NOVA, DEEPSEEK = "anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "deepseek.r1-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
MODELS = (CLAUDE, NOVA, DEEPSEEK, TITAN)
VENDORS = ("anthropic.", "amazon.", "deepseek.", "meta.", "mistral.", "openai.")
# An application inference profile, whose name says nothing of the model behind it.
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
SPECIAL = frozenset(
    {
        "bad-crc",
        "cut",
        "cut-inside",
        "cut-metadata",
        "error-in-stream",
        "exception",
        "filtered",
        "guarded",
        "max-tokens",
        "no-arguments",
        "throttled-in-stream",
    }
)
STOPS = {"filtered": "content_filtered", "guarded": "guardrail_intervened", "max-tokens": "max_tokens"}
REFUSALS = {
    "throttled": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "quota": (400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."),
    "not-ready": (429, "ModelNotReadyException", "Model is not ready for inference."),
    "model-timeout": (408, "ModelTimeoutException", "Model has timed out in processing the request."),
    "model-error": (424, "ModelErrorException", "The system encountered an unexpected error."),
    "unavailable": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "500": (500, "InternalServerException", "The system encountered an unexpected error during processing."),
    "denied": (403, "AccessDeniedException", "User is not authorized to perform: bedrock:InvokeModel"),
    "no-access": (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
    "missing": (404, "ResourceNotFoundException", "Could not resolve the foundation model."),
    "invalid-model": (400, "ValidationException", "The provided model identifier is invalid."),
    "too-long": (400, "ValidationException", "Input is too long for requested model."),
    "invalid": (400, "ValidationException", "Malformed input request, please reformat your input and try again."),
}
MODEL_ERROR = {
    "message": "Received client error (400) from primary with message",
    "OriginalStatusCode": 400,
    "OriginalMessage": json.dumps({"object": "error", "message": "the container says no", "code": 400}),
}
TEXT = ("Hello", " from", " the", " fake")
THOUGHT = ("Let me ", "think.")
SIGNATURE, HIDDEN = "c2lnbmF0dXJl", "ZW5jcnlwdGVk"


class AwsHandler(Handler):
    fake: "FakeAws"  # type: ignore[misc]  # the one that FakeAws binds
    raw = b""

    def _serve(self, raw: bytes | None) -> None:
        self.raw = raw or b""
        super()._serve(raw)

    def _note(self, raw: bytes | None) -> Any:
        """SageMaker's own API, at the root, is of AWS's older JSON protocol."""
        if self.path != "/":
            return super()._note(raw)
        body = json.loads(raw or b"null")
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        return body

    def respond(self, body: Any) -> None:
        url = urlsplit(self.path)
        self._authorize("sagemaker" if ENDPOINT_PATH.fullmatch(url.path) or url.path == "/" else "bedrock")
        if self.command == "GET" and url.path == "/foundation-models":
            self.send_json(200, {"modelSummaries": [summary(name) for name in MODELS]})
        elif self.command == "POST" and (found := MODEL_PATH.fullmatch(url.path)):
            self._invoke(unquote(found[1]), found[2], body)
        elif self.command == "POST" and (found := ENDPOINT_PATH.fullmatch(url.path)):
            self._invoke_endpoint(found[1], body, is_stream=found[2].endswith("stream"))
        elif (self.command, url.path) == ("POST", "/"):
            self._list_endpoints(body)
        else:
            raise Violation(f"UnknownOperationException: {self.command} {self.path}", status=404)

    def error_body(self, violation: Violation) -> JSON:
        kinds = {403: "AccessDeniedException", 404: "ResourceNotFoundException"}
        return refusal(kinds.get(violation.status, "ValidationException"), violation.message)

    def send_json(self, status: int, payload: Any, **headers: str) -> None:
        """The kind of an error goes into a header, with a link behind it, as many of AWS's services do."""
        kind = payload.pop("__type", None)
        named = {"x_amzn_ErrorType": f"{kind}:http://internal.amazon.com/coral/"} if kind else {}
        super().send_json(status, payload, **named, **headers)

    # Who calls

    def _authorize(self, service: str) -> None:
        given = self.headers.get("Authorization", "")
        if given.startswith("Bearer "):
            check(service == "bedrock", "SageMaker takes no bearer tokens")
            if given.removeprefix("Bearer ") != self.fake.key:
                raise Violation("Authentication failed: Please make sure your API Key is valid.", status=403)
            return
        found = AUTHORIZATION.fullmatch(given)
        if found is None:
            raise Violation("IncompleteSignatureException", status=403)
        key_id, day, region, signed_service, names, signature = found.groups()
        stamp = self.headers.get("X-Amz-Date", "")
        self._check_scope(day == stamp[:8] and region in self.fake.regions and signed_service == service)
        self._check_covered(names.split(";"))
        credentials = Credentials(key_id, self.fake.secrets.get(key_id, "unknown"))
        if signature != self._signature(credentials, names.split(";"), region, service, stamp):
            self._refuse("InvalidSignatureException", "The request signature we calculated does not match.")
        if self.headers.get("X-Amz-Security-Token", "") != self.fake.session_token:
            self._refuse("UnrecognizedClientException", "The security token included in the request is invalid.")

    def _check_scope(self, holds: bool) -> None:
        if not holds:
            self._refuse("InvalidSignatureException", "Credential should be scoped to a valid region and service.")

    def _check_covered(self, names: list[str]) -> None:
        wanted = {"host"} | {name.lower() for name in self.headers if name.lower().startswith("x-amz-")}
        if not wanted <= set(names):
            self._refuse("InvalidSignatureException", "All x-amz headers must be signed.")

    def _signature(self, credentials: Credentials, names: list[str], region: str, service: str, stamp: str) -> str:
        headers = {name: self.headers.get(name, "") for name in names}
        request = AWSRequest(self.command, f"http://{headers['host']}{self.path}", headers=headers, data=self.raw)
        request.context["timestamp"] = stamp
        signer = SigV4Auth(credentials, service, region)
        return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))

    def _refuse(self, kind: str, message: str) -> None:
        raise Violation(f"{kind}: {message}", status=403)

    # Bedrock

    def _invoke(self, model: str, verb: str, body: JSON) -> None:
        if scripted := self.fake.replies.get(model):
            self._send_reply(scripted)
        elif model in REFUSALS:
            status, kind, message = REFUSALS[model]
            self.send_json(status, refusal(kind, message))
        elif verb == "invoke":
            self._embed(model, body)
        else:
            check_converse(body, model)
            known = model in SPECIAL or any(vendor in model for vendor in VENDORS) or model.startswith("arn:")
            check(known, f"The provided model identifier is invalid: {model}")
            self._stream(model, body) if verb.endswith("stream") else self.send_json(200, answer(model, body))

    def _embed(self, model: str, body: JSON) -> None:
        if "cohere" in model:
            check_cohere(body, model)
            texts = body["texts"]
            found: Any = [vector(text, body.get("output_dimension", 8)) for text in texts]
            tokens = str(sum(len(text.split()) for text in texts))
            # The fourth generation answers by type.
            shaped = {"embeddings": {"float": found} if "embed-v4" in model else found, "texts": texts}
            self.send_json(200, shaped, X_Amzn_Bedrock_Input_Token_Count=tokens)
            return
        is_multimodal = "embed-image" in model
        check_multimodal(body) if is_multimodal else check_titan(body, model)
        text = body["inputText"]
        size = body.get("embeddingConfig", {}).get("outputEmbeddingLength") or body.get("dimensions", 8)
        self.send_json(200, {"embedding": vector(text, size), "inputTextTokenCount": len(text.split())})

    def _stream(self, model: str, body: JSON) -> None:
        self.start_event_stream()
        for frame in frames(model, body):
            self.send_chunk(frame)
        self.end_stream()

    def start_event_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", EVENT_STREAM)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    # SageMaker

    def _list_endpoints(self, body: JSON) -> None:
        check(self.headers.get("Content-Type") == "application/x-amz-json-1.1", "UnknownOperationException")
        check(self.headers.get("X-Amz-Target") == "SageMaker.ListEndpoints", "UnknownOperationException")
        check_shape(service("sagemaker").shape_for("ListEndpointsInput"), body, "$")
        entries = [{"EndpointName": name, "EndpointStatus": "InService"} for name in sorted(self.fake.endpoints)]
        self.send_json(200, {"Endpoints": entries})

    def _invoke_endpoint(self, name: str, body: JSON, *, is_stream: bool) -> None:
        if name in REFUSALS:
            status, kind, message = REFUSALS[name]
            self.send_json(status, refusal(kind, message))
        elif name == "container-error":
            self.send_json(424, {"__type": "ModelError", **MODEL_ERROR})
        elif name not in self.fake.endpoints:
            message = f"Endpoint {name} of account 123456789012 not found."
            self.send_json(400, refusal("ValidationError", message))
        else:
            openai.check_messages(body.get("messages"))
            openai.check_options(body)
            check(bool(body.get("stream")) == is_stream, "the container streams where it should not, or the reverse")
            asked = {"model": name, **body}
            self._stream_parts(name, asked) if is_stream else self.send_json(
                200, openai.whole(asked, openai._chat_shape)
            )

    def _stream_parts(self, name: str, body: JSON) -> None:
        """Pieces of server-sent events, cut where it pleases the container."""
        self.start_event_stream()
        parts = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in openai.chunks(body, openai._chat_shape)]
        text = b"".join([*parts[: 2 if name in BROKEN_PARTS else None], *([] if name in BROKEN_PARTS else [DONE])])
        for start in range(0, len(text), 37):
            self.send_chunk(event("PayloadPart", text[start : start + 37]))
        for frame in BROKEN_PARTS.get(name, ()):
            self.send_chunk(frame)
        self.end_stream()


DONE = b"data: [DONE]\n\n"
BROKEN_PARTS: dict[str, tuple[bytes, ...]] = {
    "cut": (),
    "exception": (exception("ModelStreamError", {"Message": "the container broke", "ErrorCode": "StreamBroken"}),),
    "internal": (exception("InternalStreamFailure", {"Message": "an internal failure"}),),
}


class FakeAws(FakeVendor):
    """`key` is a key's text, as operators write it: a pair, a pair with a session token, or a Bedrock API key."""

    handler = AwsHandler

    def __init__(self, key: str = f"{KEY_ID}:{SECRET}", port: int = 0) -> None:
        super().__init__(key, port)
        key_id, _, rest = key.partition(":")
        secret, _, self.session_token = rest.partition(":")
        self.secrets = {key_id: secret}
        self.regions = {"us-east-1", "eu-west-1"}
        self.endpoints = {"my-endpoint", *BROKEN_PARTS}

    @property
    def base_url(self) -> str:
        return self.origin


# Answers


def refusal(kind: str, message: str) -> JSON:
    return {"__type": kind, "message": message}


def summary(name: str) -> JSON:
    output = "EMBEDDING" if "embed" in name else "TEXT"
    return {
        "modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{name}",
        "modelId": name,
        "modelName": name.partition(".")[2].partition("-v")[0].title(),
        "providerName": name.partition(".")[0].title(),
        "inputModalities": ["TEXT"],
        "outputModalities": [output],
        "responseStreamingSupported": output == "TEXT",
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    }


def vector(text: str, size: int) -> list[float]:
    return [((len(text) * 31 + index * 7) % 64) / 64 - 0.5 for index in range(size)]


def content(model: str, body: JSON) -> list[JSON]:
    blocks: list[JSON] = []
    if body.get("additionalModelRequestFields", {}).get("thinking", {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"reasoningContent": {"reasoningText": {"text": "".join(THOUGHT), "signature": SIGNATURE}}})
        blocks.append({"reasoningContent": {"redactedContent": HIDDEN}})
    elif "deepseek" in model:
        blocks.append({"reasoningContent": {"reasoningText": {"text": "".join(THOUGHT)}}})
    blocks.append({"text": "".join(TEXT)})
    if any(block.get("text") == "use tool" for block in body["messages"][-1]["content"]):
        names = [tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", []) if "toolSpec" in tool]
        blocks += [use(model, index, name) for index, name in enumerate(names[:2])]
    return blocks


def use(model: str, index: int, name: str) -> JSON:
    arguments: JSON = {} if model == "no-arguments" else {"query": "tok", "limit": 3 + index}
    return {"toolUse": {"toolUseId": f"tooluse_{index}", "name": name, "input": arguments}}


def answer(model: str, body: JSON) -> JSON:
    blocks = content(model, body)
    natural = "tool_use" if "toolUse" in blocks[-1] else "end_turn"
    return {
        "metrics": {"latencyMs": 9},
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": STOPS.get(model, natural),
        "usage": usage(body),
    }


def usage(body: JSON) -> JSON:
    has_cache = "cachePoint" in json.dumps(body)
    cache = {"cacheReadInputTokens": 5, "cacheWriteInputTokens": 7} if has_cache else {}
    return {"inputTokens": 11, "outputTokens": 23, "totalTokens": 46 if has_cache else 34, **cache}


# Streams


def frames(model: str, body: JSON) -> Iterator[bytes]:
    every = [union(each) for each in events(model, body)]
    if model not in ENDINGS:
        yield from every
        return
    kept, last = ENDINGS[model]
    yield from every[:kept]
    yield from last(every)


# How a broken stream ends: how many of its frames are whole, and what comes after them.
ENDINGS: dict[str, tuple[int, Any]] = {
    "cut": (-2, lambda every: ()),
    "cut-metadata": (-1, lambda every: ()),
    "cut-inside": (2, lambda every: (every[2][:20],)),
    "bad-crc": (2, lambda every: (damaged(every[2]), *every[3:])),
    "exception": (2, lambda every: (exception("modelStreamErrorException", {"message": "it broke"}),)),
    "throttled-in-stream": (2, lambda every: (exception("throttlingException", {"message": "slow down"}),)),
    "error-in-stream": (2, lambda every: (error("InternalError", "an error that no model describes"),)),
}


def events(model: str, body: JSON) -> Iterator[JSON]:
    whole = answer(model, body)
    yield {"messageStart": {"role": "assistant", "p": "abcdef"}}  # padding, against those who measure lengths
    for index, block in enumerate(whole["output"]["message"]["content"]):
        [(kind, inner)] = block.items()
        if kind == "toolUse":
            start = {"toolUse": {"toolUseId": inner["toolUseId"], "name": inner["name"]}}
            yield {"contentBlockStart": {"start": start, "contentBlockIndex": index}}
        for delta in deltas(kind, inner):
            yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index, "p": "abc"}}
        yield {"contentBlockStop": {"contentBlockIndex": index}}
    yield {"messageStop": {"stopReason": whole["stopReason"]}}
    yield {"metadata": {"usage": whole["usage"], "metrics": {"latencyMs": 9}}}


def deltas(kind: str, inner: Any) -> list[JSON]:
    if kind == "text":
        return [{"text": piece} for piece in TEXT]
    if kind == "toolUse":
        text = json.dumps(inner["input"]) if inner["input"] else ""
        pieces = ["", *(text[start : start + 5] for start in range(0, len(text), 5))]
        return [{"toolUse": {"input": piece}} for piece in pieces]
    if "redactedContent" in inner:
        return [{"reasoningContent": inner}]
    signature = inner["reasoningText"].get("signature")
    thoughts: list[JSON] = [{"reasoningContent": {"text": piece}} for piece in THOUGHT]
    return thoughts + ([{"reasoningContent": {"signature": signature}}] if signature else [])


if __name__ == "__main__":
    serve_alone(FakeAws, __doc__)
