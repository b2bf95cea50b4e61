"""A strict fake of the endpoints beside chat: rerank (as Jina and Cohere have it), images, speech, transcriptions and
moderations (as OpenAI has them). Any model answers, but one whose name is a number: that is the status it gets.

Shapes and limits from platform.openai.com/docs/api-reference (images, audio, moderations) and api.jina.ai (rerank).
"""

import base64
import re
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tests.fakes.openai import FakeOpenAI, OpenAIHandler
from tests.fakes.server import JSON, Seen, Violation

VOICES = frozenset({"alloy", "echo", "fable", "onyx", "nova", "shimmer"})
SOUNDS = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
TRANSCRIPTS = ("json", "verbose_json", "text", "srt", "vtt")
GRANULARITIES = "timestamp_granularities[]"
CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")
PICTURE_URL = "https://pictures.test/1.png"
LONGEST_SPEECH = 4096
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
        form = read_form(raw, content_type)
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
        if not all(isinstance(each, str) or (isinstance(each, dict) and each) for each in documents):
            raise Violation("documents are texts or objects", "documents")
        if type(body.get("top_n") or 1) is not int:
            raise Violation("top_n is a whole number", "top_n")
        count = min(body.get("top_n") or len(documents), len(documents))
        results = [{"index": index, "relevance_score": 0.9 / (index + 1)} for index in range(count)]
        self.send_json(200, {"model": body["model"], "results": results, "usage": {"total_tokens": 7}})

    def _image(self, body: JSON) -> None:
        if not isinstance(body.get("prompt"), str) or type(body.get("n", 1)) is not int:
            raise Violation("prompt is a text and n a whole number", "prompt")
        shapes = {"b64_json": {"b64_json": base64.b64encode(IMAGE).decode()}, "url": {"url": PICTURE_URL}}
        shape = shapes.get(body.get("response_format", "b64_json"))
        if shape is None:
            raise Violation("response_format is url or b64_json", "response_format")
        self.send_json(200, {"created": 1, "data": [shape] * body.get("n", 1)})

    def _speech(self, body: JSON) -> None:
        if not isinstance(body.get("input"), str) or body.get("voice") not in VOICES:
            raise Violation(f"voice must be one of {', '.join(sorted(VOICES))}", "voice")
        if len(body["input"]) > LONGEST_SPEECH:
            raise Violation(f"input is longer than {LONGEST_SPEECH} characters", "input")
        content_type = SOUNDS.get(body.get("response_format", "mp3"))
        if content_type is None:
            raise Violation(f"response_format must be one of {', '.join(SOUNDS)}", "response_format")
        self.send_bytes(200, SOUND, content_type)

    def _transcription(self, form: JSON) -> None:
        data = form.get("file")
        if not isinstance(data, bytes) or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
            raise Violation("Invalid file format. Supported formats: wav", "file")
        wanted = form.get("response_format", "json")
        check_transcription(form, wanted)
        text = f"{len(data)} bytes of sound"
        if wanted.endswith("json"):
            self.send_json(200, _verbose(text, form) if wanted == "verbose_json" else {"text": text})
        else:
            self.send_bytes(200, PLAIN[wanted].format(text).encode(), "text/plain; charset=utf-8")

    def _moderation(self, body: JSON) -> None:
        given = body.get("input")
        inputs = given if isinstance(given, list) else [given]
        if not inputs or not all(isinstance(each, str | dict) for each in inputs):
            raise Violation("input is a text or a list of texts or parts", "input")
        if any(isinstance(each, dict) for each in inputs):  # parts of one thing
            inputs = [" ".join(str(each.get("text", "")) for each in inputs)]
        self.send_json(200, {"id": "modr-1", "model": body["model"], "results": [_judged(each) for each in inputs]})


# Forms


def read_form(raw: bytes, content_type: str) -> JSON:
    """RFC 7578: every part has a name, the last boundary is there, and only a name that ends in [] comes twice."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    boundary = message.get_boundary()
    if not boundary or message.defects or not raw.rstrip(b"\r\n").endswith(f"--{boundary}--".encode()):
        raise Violation("Could not parse multipart form")
    form: JSON = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or part.get_content_disposition() != "form-data":
            raise Violation("Could not parse multipart form: a part without a name")
        if name.endswith("[]"):
            form.setdefault(name, []).append(_value(part))
        elif name in form:
            raise Violation(f"{name} is there twice", name)
        else:
            form[name] = _value(part)
    return form


def _value(part: Message) -> str | bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data if part.get_filename() else data.decode()


def check_transcription(form: JSON, wanted: Any) -> None:
    if wanted not in TRANSCRIPTS:
        raise Violation(f"response_format must be one of {', '.join(TRANSCRIPTS)}", "response_format")
    if GRANULARITIES in form and wanted != "verbose_json":
        raise Violation("timestamp_granularities needs response_format verbose_json", "timestamp_granularities")
    if set(form.get(GRANULARITIES, [])) - {"word", "segment"}:
        raise Violation("timestamp_granularities are word and segment", "timestamp_granularities")
    if not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", str(form.get("temperature", "0"))):
        raise Violation("temperature is a number from 0 to 1", "temperature")


# Answers

PLAIN = {
    "text": "{}\n",
    "srt": "1\n00:00:00,000 --> 00:00:00,500\n{}\n\n",
    "vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\n{}\n\n",
}


def _verbose(text: str, form: JSON) -> JSON:
    span = {"start": 0.0, "end": 0.5}
    parts: JSON = {
        "segment": {"segments": [{"id": 0, "seek": 0, **span, "text": text, "tokens": [1], "temperature": 0.0}]},
        "word": {"words": [{"word": word, **span} for word in text.split()]},
    }
    answer = {"task": "transcribe", "language": "english", "duration": 0.5, "text": text}
    for each in form.get(GRANULARITIES, ["segment"]):
        answer |= parts[each]
    return answer


def _judged(text: str) -> JSON:
    is_bad = "bad" in text
    return {
        "flagged": is_bad,
        "categories": dict.fromkeys(CATEGORIES, is_bad),
        "category_scores": dict.fromkeys(CATEGORIES, 0.9 if is_bad else 0.01),
    }


class FakeKinds(FakeOpenAI):
    handler = KindsHandler
