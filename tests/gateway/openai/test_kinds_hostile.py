"""Bodies and answers that mean no good, beside chat: fields of other endpoints, odd shapes, odd files."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory

from accounts.models import Charge
from accounts.services.ledger.audit import audit
from chat.models import Thread
from gateway.dialects.forms import read_form
from providers.requesters.forms import FilePart
from tests import factories
from tests.gateway.openai.conftest import last_charge
from tests.gateway.openai.test_kinds import BODIES, WAVE, Kinds, kinds

__all__ = ["kinds"]  # a fixture

JSON_BODIES = {**BODIES, "embedding": ("embeddings", {"input": "hello"})}
NOT_JSON = "a.txt", b"\xff\x00abc", "text/plain"
# Fields that mean something elsewhere, in shapes that nothing there looks at.
STRANGERS = [
    *(("n", value) for value in ("x", "5", [1], {}, -3, 0.5, True, 2**62)),
    *(("best_of", value) for value in ("x", {"a": 1}, 2**62)),
    *(("messages", value) for value in ("x", ["x"], 5, {"a": 1}, [{"content": "x"}], [{"content": ["x", 5]}])),
    *(("max_tokens", value) for value in ("x", [1], 2**62)),
    ("stream_options", 5),
    ("file", "x"),
]


def ask(kinds: Kinds, kind: str, **fields: Any) -> Any:
    path, body = JSON_BODIES[kind]
    return kinds.post(path, {"model": f"{kind}-model", **body, **fields}, content_type="application/json")


@pytest.mark.parametrize(("name", "value"), STRANGERS)
@pytest.mark.parametrize("kind", JSON_BODIES)
def test_a_field_of_another_endpoint_passes_through_or_is_named(
    kinds: Kinds, kind: str, name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    factories.model(factories.provider(kinds.fake), "embedding-model", kind="embedding", upstream_name="echo")
    answer = ask(kinds, kind, **{name: value})
    if answer.status_code == 200:
        assert kinds.fake.seen[-1].body[name] == value
        assert last_charge().state == "settled"
    elif answer.status_code == 429:  # it is held for 2**62 times over
        assert value == 2**62 and not kinds.fake.seen
    else:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
        kinds.fake.violations.clear()  # where the upstream is the one that names it
    assert "could not be recorded" not in caplog.text
    assert audit() == []


@pytest.mark.parametrize("name", ["n", "best_of", "messages", "documents", "query", "input", "max_tokens", "stream"])
def test_so_does_one_in_a_form(kinds: Kinds, name: str) -> None:
    assert kinds.transcribe(**{name: "5"}).status_code == 200
    assert kinds.fake.seen[-1].body[name] == "5"


@pytest.mark.parametrize("name", ["input", "prompt", "query", "documents", "messages", "n", "language", "extra"])
def test_a_second_file_passes_and_is_not_kept(kinds: Kinds, name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert kinds.transcribe(**{name: SimpleUploadedFile(*NOT_JSON)}).status_code == 200
    assert kinds.fake.seen[-1].body[name] == NOT_JSON[1]
    assert "abc" not in Thread.objects.get().messages
    assert "could not be recorded" not in caplog.text


@pytest.mark.parametrize("name", ["model", "response_format"])
def test_a_file_is_no_name(kinds: Kinds, name: str) -> None:
    answer = kinds.transcribe(**{name: SimpleUploadedFile(*NOT_JSON)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize(
    "name", ["filename*=UTF-8''a%22%0D%0AX-Evil%3A%201%0D%0A%0D%0A.wav", 'filename="../../a%0d%0aX-Evil: 1.wav"']
)
def test_a_files_name_adds_no_header(kinds: Kinds, name: str) -> None:
    lines = [
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ntranscription-model\r\n',
        f'--x\r\nContent-Disposition: form-data; name="file"; {name}\r\nContent-Type: audio/wav\r\n\r\n'.encode(),
        WAVE + b"\r\n--x--\r\n",
    ]
    answer = kinds.post("audio/transcriptions", b"".join(lines), content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 200
    assert kinds.fake.seen[-1].body == {"model": "transcription-model", "file": WAVE}


def test_a_query_is_held_once_for_each_document_that_it_is_read_with(kinds: Kinds) -> None:
    question, documents = "why? " * 200, ["a"] * 1000
    kinds.ask("rerank", query=question, documents=documents)
    assert last_charge().prompt_bound >= len(question) * len(documents)
    kinds.fake.reply_json("rerank-model", {"results": []})
    kinds.ask("rerank", query=question, documents=documents)
    assert last_charge().usage_source == "estimated"
    assert last_charge().input_tokens >= len(question) * len(documents) // 4
    poor = factories.key(month_quota=Decimal("0.1"))  # a hundred thousand tokens
    assert kinds.ask("rerank", poor, query=question, documents=documents).status_code == 429


@pytest.mark.parametrize("name", ["rerank_url", "rerank_path"])
def test_where_reranking_lives_is_not_the_callers_to_say_not_even_by_nothing(kinds: Kinds, name: str) -> None:
    answer = kinds.ask("rerank", **{name: None})
    assert (answer.status_code, answer.json()["error"]["param"], kinds.fake.seen) == (400, name, [])


def test_where_it_lives_is_the_models_to_say(kinds: Kinds) -> None:
    extra_args = {"rerank_path": "rerank?kind=fast", "rerank_url": f"{kinds.fake.origin}/v1/rerank"}
    factories.model(factories.provider(kinds.fake), "elsewhere", kind="rerank", extra_args=extra_args)
    assert kinds.ask("rerank", model="elsewhere").status_code == 200
    assert kinds.fake.seen[-1].body.keys() == {"model", "query", "documents", "top_n"}
    away = factories.provider(kinds.fake, base_url="http://127.0.0.1:1/v1", retries=0)
    factories.model(away, "away", kind="rerank", extra_args=extra_args)
    answer = kinds.ask("rerank", model="away")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "egress_refused")
    assert len(kinds.fake.seen) == 1


@pytest.mark.parametrize(
    ("line", "kind"), [(b"Content-Type: audio/wav\r\n", "audio/wav"), (b"", "application/octet-stream")]
)
def test_a_file_keeps_its_name_and_type(line: bytes, kind: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n' + line + b"\r\nsound\r\n"
    request = RequestFactory().post("/", part + b"--x--\r\n", content_type="Multipart/Form-Data; boundary=x")
    fields, size = read_form(request)
    assert fields == {"file": FilePart("a.wav", kind, b"sound")}
    assert size == len(part + b"--x--\r\n") - len(b"sound")


def test_what_is_recorded_is_what_was_asked_whatever_stands_beside_it(kinds: Kinds) -> None:
    kinds.ask("image", messages=[{"role": "user", "content": "a harmless question"}], documents=["another"])
    thread = Thread.objects.get()
    assert (thread.prompt, json.loads(thread.messages)) == ("a bridge", "a bridge")


@pytest.mark.parametrize(("n", "choices"), [(3, 3), (None, 1), (128, 128)])
def test_each_image_is_held(kinds: Kinds, n: int | None, choices: int) -> None:
    kinds.ask("image", n=n) if n else kinds.post(
        "images/generations", {"model": "image-model", "prompt": "a bridge"}, content_type="application/json"
    )
    assert Charge.objects.get().output_bound == choices * 6240


def test_a_text_of_many_bytes_is_held_by_its_bytes(kinds: Kinds) -> None:
    """Five Chinese characters are spoken in a second, and a second is twenty tokens."""
    kinds.ask("speech", input="天" * 1000)
    assert Charge.objects.get().output_bound >= 4000


def test_who_can_not_pay_for_a_recording_sends_none(kinds: Kinds) -> None:
    poor = factories.key(month_quota=Decimal("0.0001"))
    answer = kinds.transcribe(WAVE + b"\0" * 1_000_000, key=poor)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert kinds.fake.seen == []


def test_a_transcript_of_silence_is_empty(kinds: Kinds) -> None:
    kinds.fake.reply("transcription-model", b"", headers={"Content-Type": "text/plain"})
    answer = kinds.transcribe(response_format="text")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "text/plain")
    assert last_charge().output_tokens == 0


@pytest.mark.parametrize("kind", ["speech", "transcription"])
def test_a_web_page_is_no_sound_and_no_transcript(kinds: Kinds, kind: str) -> None:
    kinds.fake.reply(f"{kind}-model", b"<!doctype html>", headers={"Content-Type": "text/html; charset=utf-8"})
    answer = kinds.ask("speech") if kind == "speech" else kinds.transcribe()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_bad_answer")
    assert (last_charge().state, last_charge().fee) == ("released", 0)


def test_sound_in_events_is_weighed_by_its_last_one(kinds: Kinds) -> None:
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    kinds.fake.reply_events(
        "speech-model", {"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": usage}
    )
    answer = kinds.ask("speech", stream_format="sse")
    assert b"speech.audio.delta" in answer.content
    assert (last_charge().input_tokens, last_charge().output_tokens) == (14, 101)
    assert last_charge().usage_source == "reported"


@pytest.mark.parametrize(
    ("told", "source", "tokens"),
    [
        ({"meta": {"tokens": {"input_tokens": 30, "output_tokens": 0}}}, "reported", 30),
        ({"meta": {"billed_units": {"search_units": 1}}}, "estimated", None),
        ({"meta": {"tokens": None}}, "estimated", None),
        ({"meta": [1], "usage": "none"}, "estimated", None),
        ({"usage": {"total_tokens": 9}, "meta": {"tokens": {"input_tokens": 30}}}, "reported", 9),
    ],
)
def test_rerankers_say_what_they_read_in_several_places(
    kinds: Kinds, told: dict[str, Any], source: str, tokens: int | None
) -> None:
    kinds.fake.reply_json("rerank-model", {"results": [], **told})
    assert kinds.ask("rerank").status_code == 200
    assert last_charge().usage_source == source
    assert last_charge().input_tokens == tokens if tokens else last_charge().input_tokens > 0
