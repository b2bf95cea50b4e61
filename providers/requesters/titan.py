"""Amazon Titan's text embeddings on Bedrock, behind OpenAI's form.

Facts from docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html: InvokeModel takes one
text per call; only version 2 takes dimensions (256, 512, 1024) and normalize.
"""

import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar

from providers.requesters.anthropic import malformed
from providers.requesters.aws import AwsRequester
from providers.requesters.base import JSON, Answer, RemoteModel
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import BadAnswer, BadRequest

ANSWER_FORM = "upstream's answer has not the form of Titan's embeddings"
NAMES = frozenset({"model", "input", "dimensions", "normalize", "encoding_format"})
OF_SECOND_VERSION = ("dimensions", "normalize")
# It refuses whatever stands beside the text.
FIRST_VERSION = "titan-embed-text-v1"


class TitanEmbeddingRequester(BedrockRequester):
    """`config`, beside what AwsRequester reads: dimensions and normalize, for calls that say nothing of these."""

    paths: ClassVar[Mapping[str, str]] = {"embedding": "/invoke", "models": "/foundation-models"}

    def exchange(self, operation: str, body: JSON, token: CancelToken | None) -> Answer:
        """A request for each text, one after the other."""
        payloads = []
        for text in _texts(body):
            if token is not None:
                token.check()
            payloads.append(AwsRequester.exchange(self, operation, {**body, "input": text}, token).json)
        return Answer(_joined(payloads, body), None)

    def build_embedding(self, body: JSON) -> JSON:
        """One text's. Its numbers come as numbers, and are packed here if the caller wants them so."""
        if _is_first(body):
            return {"inputText": body["input"]}
        given = {name: _said(name, body, self.endpoint.config) for name in OF_SECOND_VERSION}
        return {"inputText": body["input"]} | {name: value for name, value in given.items() if value is not None}

    def unsupported(self, body: JSON) -> list[str]:
        names = NAMES - set(OF_SECOND_VERSION) if _is_first(body) else NAMES
        return [name for name, value in body.items() if value and name not in names]

    def list_models(self) -> list[RemoteModel]:
        return [model for model in super().list_models() if "titan-embed-text" in model.id]


def _is_first(body: JSON) -> bool:
    return FIRST_VERSION in str(body.get("model"))


def _said(name: str, body: JSON, config: Mapping[str, Any]) -> Any:
    # A form leaves "" where nothing was said.
    return next((value for value in (body.get(name), config.get(name)) if value not in (None, "")), None)


def _texts(body: JSON) -> list[str]:
    given = body.get("input")
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
        raise BadRequest(
            "input must be a non-empty text or a list of them: the model's provider takes no tokens", param="input"
        )
    return found


def _joined(payloads: list[JSON], body: JSON) -> JSON:
    with malformed(BadAnswer, ANSWER_FORM):
        count = sum(payload["inputTextTokenCount"] for payload in payloads)
        data = [
            {"object": "embedding", "index": index, "embedding": _shape(payload["embedding"], body)}
            for index, payload in enumerate(payloads)
        ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def _shape(vector: list[float], body: JSON) -> list[float] | str:
    if body.get("encoding_format") != "base64":
        return vector
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except struct.error as error:
        raise BadAnswer(ANSWER_FORM) from error
