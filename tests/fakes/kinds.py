"""A strict fake of the endpoints beside chat: rerank (as Jina and Cohere have it), images, speech, transcriptions and
moderations (as OpenAI has them). Any model answers, but one whose name is a number: that is the status it gets.

Shapes from platform.openai.com/docs/api-reference (images, audio, moderations) and api.jina.ai (rerank).
"""

import base64
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tests.fakes.openai import FakeOpenAI, OpenAIHandler
from tests.fakes.server import JSON, Seen, Violation

VOICES = frozenset({"alloy", "echo", "fable", "onyx", "nova", "shimmer"})
IMAGE = b"\x89PNG\r\n\x1a\n" + b"0" * 92
SOUND = b"ID3" + b"\x00" * 997


class KindsHandler(OpenAIHandler):
    def respond(self, body: Any) -> None:
        routes: dict[str, Callable[[JSON], None]] = {
            "/v1/rerank": self._rerank,
            "/v1/images/generations": self._image,
            "/v1/audio/speech": self._speech,
            "/v1/audio/transcriptions": self._transcription,
            "/v1/moderations": self._moderation,
        }
        if self.command != "POST" or self.path not in routes:
            super().respond(body)
            return
        self._authorize()
        if not self._refuses(body):
            routes[self.path](body)

    def _note(self, raw: bytes | None) -> Any:
        """A form's fields as an object, with each file's bytes."""
        content_type = self.headers.get("Content-Type", "")
        if raw is None or not content_type.startswith("multipart/form-data"):
            return super()._note(raw)
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
        form = {
            str(part.get_param("name", header="content-disposition")): _value(part) for part in message.iter_parts()
        }
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), form))
        return form

    def _refuses(self, body: JSON) -> bool:
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise Violation("you must provide a model parameter", "model")
        if model.isdecimal():
            self.send_json(int(model), {"error": {"message": f"fake {model} for {self.fake.key}", "type": "fake"}})
        return model.isdecimal()

    def _rerank(self, body: JSON) -> None:
        documents = body.get("documents")
        if not isinstance(body.get("query"), str) or not isinstance(documents, list) or not documents:
            raise Violation("query and documents are required", "documents")
        count = min(body.get("top_n") or len(documents), len(documents))
        results = [{"index": index, "relevance_score": 0.9 / (index + 1)} for index in range(count)]
        self.send_json(200, {"model": body["model"], "results": results, "usage": {"total_tokens": 7}})

    def _image(self, body: JSON) -> None:
        if not isinstance(body.get("prompt"), str) or type(body.get("n", 1)) is not int:
            raise Violation("prompt is a text and n a whole number", "prompt")
        encoded = base64.b64encode(IMAGE).decode()
        self.send_json(200, {"created": 1, "data": [{"b64_json": encoded}] * body.get("n", 1)})

    def _speech(self, body: JSON) -> None:
        if not isinstance(body.get("input"), str) or body.get("voice") not in VOICES:
            raise Violation(f"voice must be one of {', '.join(sorted(VOICES))}", "voice")
        self.send_bytes(200, SOUND, "audio/mpeg")

    def _transcription(self, form: JSON) -> None:
        data = form.get("file")
        if not isinstance(data, bytes) or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
            raise Violation("Invalid file format. Supported formats: wav", "file")
        self.send_json(200, {"text": f"{len(data)} bytes of sound"})

    def _moderation(self, body: JSON) -> None:
        if not isinstance(body.get("input"), str | list):
            raise Violation("input is a text or a list", "input")
        self.send_json(200, {"id": "modr-1", "model": body["model"], "results": [{"flagged": "bad" in body["input"]}]})


def _value(part: Message) -> str | bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data if part.get_filename() else data.decode()


class FakeKinds(FakeOpenAI):
    handler = KindsHandler
