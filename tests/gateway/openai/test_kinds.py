"""/v1/rerank, images, speech, transcriptions and moderations: admitted, weighed and recorded like chat."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import get_resolver

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from chat.models import Thread
from chat.services import tokenizing
from providers.models import Kind
from tests import factories
from tests.fakes.kinds import IMAGE, PICTURE_URL, PLAIN, SOUND, SOUNDS, FakeKinds

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 4000
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "rerank": ("rerank", {"query": "greeting", "documents": ["hello", "bridge"], "top_n": 1}),
    "image": ("images/generations", {"prompt": "a bridge", "n": 2}),
    "speech": ("audio/speech", {"input": "hello there", "voice": "alloy", "x_new_field": 1}),
    "moderation": ("moderations", {"input": "a bad word"}),
}
REQUIRED = [
    ("rerank", "query"),
    ("rerank", "documents"),
    ("image", "prompt"),
    ("speech", "input"),
    ("moderation", "input"),
    *((kind, "model") for kind in BODIES),
]
WRONG = [
    ("rerank", "query", 7),
    ("rerank", "documents", "hello"),
    ("rerank", "documents", []),
    ("rerank", "documents", [1]),
    ("rerank", "documents", ["x"] * 10_001),
    ("rerank", "top_n", 0),
    ("rerank", "rerank_url", "http://elsewhere.example/"),
    ("rerank", "rerank_path", "../admin"),
    ("image", "prompt", ["a"]),
    ("image", "n", 0),
    ("image", "n", 1000),
    ("speech", "input", ["a"]),
    ("speech", "voice", 7),
    ("moderation", "input", 7),
]


class Kinds:
    def __init__(self, client: Client, fake: FakeKinds, key: IssuedKey) -> None:
        self.client, self.fake, self.key = client, fake, key

    def post(self, path: str, body: Any, key: IssuedKey | None = None, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {(key or self.key).secret}"}
        return self.client.post(f"/v1/{path}", body, headers=headers, **options)

    def ask(self, kind: str, key: IssuedKey | None = None, **fields: Any) -> Any:
        path, body = BODIES[kind]
        return self.post(path, {"model": f"{kind}-model", **body, **fields}, key, content_type="application/json")

    def transcribe(self, data: bytes = WAVE, key: IssuedKey | None = None, **fields: Any) -> Any:
        file = SimpleUploadedFile("speech.wav", data, "audio/wav")
        return self.post("audio/transcriptions", {"model": "transcription-model", "file": file, **fields}, key)


@pytest.fixture
def kinds(database: None, client: Client) -> Iterator[Kinds]:
    with FakeKinds() as fake:
        provider = factories.provider(fake, retries=0)
        for kind in (*BODIES, "transcription"):
            factories.model(provider, f"{kind}-model", kind=kind)
        yield Kinds(client, fake, factories.key())
        assert fake.violations == []


def charge() -> Charge:
    return Charge.objects.get()


# What works


def test_rerank(kinds: Kinds) -> None:
    answer = kinds.ask("rerank")
    assert answer.json()["results"] == [{"index": 0, "relevance_score": 0.9}]
    assert (charge().endpoint, charge().usage_source, charge().input_tokens) == ("rerank", "reported", 7)
    assert answer.headers["x-weighbridge-cost"] == "0.000007"
    assert Thread.objects.get().prompt == "greeting"
    assert json.loads(Thread.objects.get().messages)["documents"] == ["hello", "bridge"]


def test_images(kinds: Kinds) -> None:
    answer = kinds.ask("image")
    assert len(answer.json()["data"]) == 2
    assert (charge().endpoint, charge().usage_source) == ("image", "estimated")
    assert charge().output_bound == 2 * 6240
    thread = Thread.objects.get()
    assert (thread.prompt, thread.completion) == ("a bridge", "")
    assert IMAGE not in thread.messages.encode()


def test_images_by_their_address(kinds: Kinds) -> None:
    assert kinds.ask("image", response_format="url", n=1).json()["data"] == [{"url": PICTURE_URL}]


def test_images_that_report_tokens_cost_what_they_report(kinds: Kinds) -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 4160,
        "total_tokens": 4170,
        "input_tokens_details": {"text_tokens": 10},
    }
    kinds.fake.reply_json("image-model", {"created": 1, "data": [], "usage": usage})
    kinds.ask("image")
    assert (charge().input_tokens, charge().output_tokens, charge().usage_source) == (10, 4160, "reported")
    assert charge().fee == Decimal("0.00833")


def test_speech_is_sound(kinds: Kinds) -> None:
    answer = kinds.ask("speech")
    assert (answer.content, answer.headers["content-type"]) == (SOUND, "audio/mpeg")
    assert kinds.fake.seen[-1].body["x_new_field"] == 1
    assert (charge().endpoint, charge().outcome) == ("speech", "ok")
    assert charge().input_tokens > 0
    assert Thread.objects.get().prompt == "hello there"


@pytest.mark.parametrize("wanted", sorted(SOUNDS))
def test_sound_has_the_type_that_the_upstream_gives_it(kinds: Kinds, wanted: str) -> None:
    assert kinds.ask("speech", response_format=wanted).headers["content-type"] == SOUNDS[wanted]


def test_moderations(kinds: Kinds) -> None:
    [result] = kinds.ask("moderation").json()["results"]
    assert (result["flagged"], result["categories"]["violence"]) == (True, True)
    assert (charge().endpoint, charge().usage_source) == ("moderation", "estimated")


def test_transcriptions(kinds: Kinds) -> None:
    answer = kinds.transcribe(language="en", prompt="names", temperature="0.2")
    assert answer.json() == {"text": f"{len(WAVE)} bytes of sound"}
    sent = kinds.fake.seen[-1].body
    assert sent == {
        "model": "transcription-model",
        "file": WAVE,
        "language": "en",
        "prompt": "names",
        "temperature": "0.2",
    }
    thread = Thread.objects.get()
    assert thread.completion == f"{len(WAVE)} bytes of sound"
    assert "RIFF" not in thread.messages
    assert charge().output_tokens > 0


def test_lists_in_a_form_stay_lists(kinds: Kinds) -> None:
    kinds.transcribe(**{"timestamp_granularities[]": ["word", "segment"], "response_format": "verbose_json"})
    assert kinds.fake.seen[-1].body["timestamp_granularities[]"] == ["word", "segment"]


@pytest.mark.parametrize("wanted", ["text", "srt", "vtt"])
def test_a_transcript_may_be_plain_text(kinds: Kinds, wanted: str) -> None:
    answer = kinds.transcribe(response_format=wanted)
    text = PLAIN[wanted].format(f"{len(WAVE)} bytes of sound")
    assert answer.content.decode() == text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert Thread.objects.get().completion == text
    assert charge().output_tokens == tokenizing.count(text)


def test_a_transcript_may_be_long_winded(kinds: Kinds) -> None:
    answer = kinds.transcribe(response_format="verbose_json", **{"timestamp_granularities[]": ["word"]}).json()
    assert (answer["duration"], answer["words"][0]["word"], "segments" in answer) == (0.5, str(len(WAVE)), False)
    assert Thread.objects.get().completion == answer["text"]


def test_a_streamed_transcript_is_weighed_by_its_last_event(kinds: Kinds) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 4, "total_tokens": 18}
    kinds.fake.reply_events(
        "transcription-model",
        {"type": "transcript.text.delta", "delta": "hi "},
        {"type": "transcript.text.done", "text": "hi there", "usage": usage},
        "[DONE]",
    )
    answer = kinds.transcribe(stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"transcript.text.done" in answer.content
    assert (charge().input_tokens, charge().output_tokens, charge().usage_source) == (14, 4, "reported")


def test_seconds_are_no_tokens(kinds: Kinds) -> None:
    kinds.fake.reply_json("transcription-model", {"text": "hi", "usage": {"type": "duration", "seconds": 3}})
    kinds.transcribe()
    assert charge().usage_source == "estimated"


# What is refused


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_a_missing_field_is_named(kinds: Kinds, kind: str, field: str) -> None:
    answer = kinds.ask(kind, **{field: None})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert kinds.fake.seen == []


@pytest.mark.parametrize(("kind", "field", "value"), WRONG)
def test_a_wrong_field_is_named(kinds: Kinds, kind: str, field: str, value: Any) -> None:
    answer = kinds.ask(kind, **{field: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert kinds.fake.seen == []
    assert not Charge.objects.exists()


@pytest.mark.parametrize("kind", BODIES)
def test_none_of_them_streams(kinds: Kinds, kind: str) -> None:
    answer = kinds.ask(kind, stream=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")
    assert kinds.fake.seen == []


@pytest.mark.parametrize("kind", BODIES)
def test_a_model_of_another_kind_is_not_found(kinds: Kinds, kind: str) -> None:
    other = next(each for each in BODIES if each != kind)
    assert kinds.ask(kind, model=f"{other}-model").status_code == 404


def test_a_form_is_asked_for(kinds: Kinds) -> None:
    answer = kinds.post("audio/transcriptions", {"model": "transcription-model"}, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("raw", [b"", b"--x\r\nnonsense", b"--x--\r\n", b"\x00" * 100])
def test_a_broken_form_is_a_400(kinds: Kinds, raw: bytes) -> None:
    answer = kinds.post("audio/transcriptions", raw, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
    assert kinds.fake.seen == []


def test_a_form_without_a_boundary_is_a_400(kinds: Kinds) -> None:
    assert kinds.post("audio/transcriptions", b"x", content_type="multipart/form-data").status_code == 400


def test_a_form_without_a_file_is_a_400(kinds: Kinds) -> None:
    answer = kinds.post("audio/transcriptions", {"model": "transcription-model", "file": "just text"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def test_a_form_with_a_thousand_fields_is_refused(kinds: Kinds) -> None:
    fields = {f"field{number}": "x" for number in range(1200)}
    assert kinds.transcribe(**fields).status_code == 413


def test_a_file_that_is_too_large_is_a_413(kinds: Kinds, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 2000
    assert kinds.transcribe().status_code == 413


def test_an_unknown_response_format_is_named(kinds: Kinds) -> None:
    assert kinds.transcribe(response_format="mp3").json()["error"]["param"] == "response_format"


def test_an_upstreams_refusal_is_told_and_free(kinds: Kinds) -> None:
    factories.model(factories.provider(kinds.fake, retries=0), "429", kind=Kind.IMAGE)
    assert kinds.ask("image", model="429").status_code == 429
    assert (charge().state, charge().fee) == ("released", 0)


# No way around the ledger


def posts() -> list[str]:
    """Every address of the dialect that takes a POST and reaches an upstream."""
    dialect = next(each for each in get_resolver().url_patterns if str(each.pattern) == "v1/")
    paths = [str(each.pattern) for each in dialect.url_patterns]
    return [path for path in paths if "^" not in path and path not in ("models", "route/explain", "charges", "redeem")]


def test_all_addresses_are_known_here() -> None:
    assert set(posts()) == {
        "chat/completions",
        "completions",
        "embeddings",
        "audio/transcriptions",
        *(path for path, _ in BODIES.values()),
    }


@pytest.mark.parametrize("path", posts())
def test_a_drained_key_gets_nothing_anywhere(kinds: Kinds, path: str) -> None:
    provider = factories.provider(kinds.fake)
    factories.model(provider, "chat-model")
    factories.model(provider, "vectors", kind="embedding")
    drained = factories.key(month_quota=Decimal(0))
    bodies = {path: {"model": f"{kind}-model", **body} for kind, (path, body) in BODIES.items()}
    bodies["chat/completions"] = {"model": "chat-model", "messages": [{"role": "user", "content": "hi"}]}
    bodies["completions"] = {"model": "chat-model", "prompt": "hi"}
    bodies["embeddings"] = {"model": "vectors", "input": "hi"}
    answer = (
        kinds.transcribe(key=drained)
        if path == "audio/transcriptions"
        else kinds.post(path, bodies[path], drained, content_type="application/json")
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert kinds.fake.seen == []


@pytest.mark.parametrize("kind", BODIES)
def test_where_it_would_go_can_be_asked_without_a_call(kinds: Kinds, kind: str) -> None:
    body = {"model": f"{kind}-model", **BODIES[kind][1], "endpoint": kind}
    told = kinds.post("route/explain", body, content_type="application/json").json()
    assert [each["model"] for each in told["candidates"]] == [f"{kind}-model"]
    kinds.ask(kind)
    assert told["hold"]["output_tokens"] == charge().output_bound
    assert len(kinds.fake.seen) == 1


@pytest.mark.parametrize("endpoint", [["chat"], {}, 5, "transcription", ""])
def test_an_endpoint_that_can_not_be_explained_is_named(kinds: Kinds, endpoint: Any) -> None:
    body = {"model": "image-model", "prompt": "a bridge", "endpoint": endpoint}
    answer = kinds.post("route/explain", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "endpoint")


def test_a_key_without_a_grant_gets_nothing(kinds: Kinds) -> None:
    stranger = factories.key(all_models=False)
    assert {kinds.ask(kind, stranger).status_code for kind in BODIES} == {404}
    assert kinds.transcribe(key=stranger).status_code == 404


def test_the_hold_of_a_long_recording_covers_its_sound(kinds: Kinds) -> None:
    kinds.transcribe(WAVE + b"\x00" * 750_000)
    assert charge().prompt_bound >= 10_000  # a thousand seconds of the sparsest speech
    assert charge().output_bound >= 10_000


def test_every_byte_of_a_file_arrives(kinds: Kinds) -> None:
    data = WAVE + bytes(range(256)) * 4000
    kinds.transcribe(data)
    assert kinds.fake.seen[-1].body["file"] == data
