"""SageMaker's endpoints: who is called, what their containers stream, and whose error is whose."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Truncated,
    Unavailable,
)
from providers.requesters.sagemaker import SageMakerRequester
from tests.fakes.aws import EVENT_STREAM, FakeAws
from tests.fakes.aws_frames import damaged, event, exception
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay

Build = Callable[..., SageMakerRequester]
PART = "PayloadPart"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeAws) -> FakeAws:
    server.forget()
    return server


@pytest.fixture
def build(fake: FakeAws, transport: Transport) -> Build:
    def build(*, key: str = fake.key, headers: JSON | None = None, **config: Any) -> SageMakerRequester:
        return SageMakerRequester(
            Endpoint(fake.base_url, key, PATIENT, headers=headers or {}, config=config), transport
        )

    return build


def body(model: str = "my-endpoint", **options: Any) -> JSON:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **options}


def chunk(content: str | None, finish: str | None = None, index: int = 0) -> bytes:
    delta = {"content": content} if content is not None else {}
    return json.dumps({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}).encode()


def stream_of(fake: FakeAws, *pieces: bytes, model: str = "mine") -> None:
    frames = [event(PART, piece) for piece in pieces]
    fake.reply(model, *frames, framing="chunked", headers={"Content-Type": EVENT_STREAM})


def said(events: list[JSON], name: str = "content") -> str:
    return "".join(choice["delta"].get(name) or "" for event in events for choice in event["choices"])


# Recorded


@pytest.mark.parametrize("exchange", load("sagemaker"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> SageMakerRequester:
        return SageMakerRequester(Endpoint(origin, "a-key-id:a-secret", PATIENT, config=config), transport)

    def frame(recorded: Any) -> bytes:
        [(kind, payload)] = recorded.items()
        return event(kind, payload.encode()) if kind == PART else exception(kind, payload)

    assert replay(exchange, requester_at, frame, EVENT_STREAM) == []


# Who is called


def test_the_container_s_answer_comes_as_it_is(build: Build, fake: FakeAws) -> None:
    answer = build().chat(body(temperature=0.5))
    assert answer.json["choices"][0]["message"]["content"].startswith("tok0")
    assert answer.raw is not None and json.loads(answer.raw) == answer.json
    assert fake.seen[-1].path == "/endpoints/my-endpoint/invocations"
    assert "/us-east-1/sagemaker/aws4_request" in fake.seen[-1].headers["Authorization"]
    assert fake.violations == []


def test_the_settings_name_the_endpoint_before_the_model_does(build: Build, fake: FakeAws) -> None:
    build(endpointName="my-endpoint").chat(body("deepseek-r1"))
    assert fake.seen[-1].path == "/endpoints/my-endpoint/invocations"
    assert fake.seen[-1].body["model"] == "deepseek-r1"


def test_an_endpoint_without_a_name_is_told(build: Build, fake: FakeAws) -> None:
    with pytest.raises(BadRequest, match="endpointName"):
        build().chat({**body(), "model": ""})
    with pytest.raises(BadRequest, match="not valid"):
        build(endpointName="a b").chat(body())
    assert fake.seen == []


def test_addresses_follow_from_the_region(transport: Transport) -> None:
    sagemaker = SageMakerRequester(Endpoint("", "a:b", config={"region": "eu-west-1"}), transport)
    place = "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/my-endpoint/invocations"
    assert sagemaker.url("chat", body()) == place
    assert sagemaker.url("chat", body(), is_stream=True) == f"{place}-response-stream"
    assert sagemaker.url("models", {}) == "https://api.sagemaker.eu-west-1.amazonaws.com/"


def test_the_operator_s_headers_are_signed_along(build: Build, fake: FakeAws) -> None:
    build(headers={"X-Amzn-SageMaker-Custom-Attributes": "team=a  b"}).chat(body())
    assert "x-amzn-sagemaker-custom-attributes" in fake.seen[-1].headers["Authorization"]
    assert fake.violations == []


def test_the_account_s_endpoints_are_the_models(build: Build, fake: FakeAws) -> None:
    assert "my-endpoint" in [model.id for model in build().list_models()]
    assert fake.violations == []
    with pytest.raises(AuthFailed):
        build(key="AKIAWRONG:wrongwrong").list_models()


# Streams


def test_server_sent_events_in_pieces(build: Build, fake: FakeAws) -> None:
    events = [event.json for event in build().stream(body())]
    assert said(events) == build().chat(body()).json["choices"][0]["message"]["content"]
    assert events[-1]["usage"]["prompt_tokens"] > 0
    assert fake.seen[0].path == "/endpoints/my-endpoint/invocations-response-stream"
    assert fake.violations == []


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_json_lines_in_pieces(build: Build, fake: FakeAws, size: int, end: bytes) -> None:
    text = b"\n" + end.join((chunk("Hel"), chunk("lo"), chunk("", "stop")))
    stream_of(fake, *(text[start : start + size] for start in range(0, len(text), size)))
    events = [event.json for event in build().stream(body("mine"))]
    assert said(events) == "Hello"
    assert len(events) == 3


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((), Truncated),
        ((b"\n",), Truncated),
        ((chunk("a") + b"\n",), Truncated),
        ((b"data: " + chunk("a") + b"\n\n",), Truncated),
        ((chunk("a") + b"\n", chunk("b")[:9]), BadAnswer),
        ((b'{"error": "out of memory"}\n',), Unavailable),
        ((b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n',), RateLimited),
    ],
)
def test_streams_that_break_off_inside(
    build: Build, fake: FakeAws, pieces: tuple[bytes, ...], kind: type[ProviderError]
) -> None:
    stream_of(fake, *pieces)
    with pytest.raises(kind):
        list(build().stream(body("mine")))


@pytest.mark.parametrize(("name", "kind"), [("cut", Truncated), ("exception", Unavailable), ("internal", Unavailable)])
def test_streams_that_sagemaker_breaks_off(build: Build, name: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        list(build().stream(body(name)))


def test_a_damaged_frame_is_noticed(build: Build, fake: FakeAws) -> None:
    frames = [event(PART, chunk("a") + b"\n"), damaged(event(PART, chunk("", "stop") + b"\n"))]
    fake.reply("mine", *frames, framing="chunked", headers={"Content-Type": EVENT_STREAM})
    stream = build().stream(body("mine"))
    assert next(stream).json["choices"][0]["delta"] == {"content": "a"}
    with pytest.raises(BadAnswer, match="checksum"):
        next(stream)


# Errors


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttled", RateLimited),
        ("not-ready", Overloaded),
        ("unavailable", Overloaded),
        ("500", Unavailable),
        ("model-error", Unavailable),
        ("model-timeout", Timeout),
        ("denied", AuthFailed),
        ("unknown-endpoint", ModelNotFound),
        ("invalid", BadRequest),
    ],
)
def test_errors_of_sagemaker(build: Build, name: str, kind: type[ProviderError]) -> None:
    for ask in (build().chat, build().stream):
        with pytest.raises(ProviderError) as caught:
            ask(body(name))
        assert type(caught.value) is kind


def test_a_container_s_refusal_is_the_caller_s(build: Build) -> None:
    with pytest.raises(BadRequest, match=r"^the container says no$") as caught:
        build().chat(body("container-error"))
    assert caught.value.upstream_status == 424


@pytest.mark.parametrize(
    ("status", "told", "kind", "words"),
    [
        (400, {"error": {"message": "This model's maximum context length is 8"}}, ContextTooLong, "maximum context"),
        (422, {"error": "Input validation error", "error_type": "validation"}, BadRequest, "Input validation error"),
        (424, "not JSON", BadRequest, "not JSON"),
        (400, ["a list"], BadRequest, "a list"),
        (503, {"detail": "busy"}, Overloaded, "busy"),
        (500, "", Unavailable, "Received server error"),
    ],
)
def test_what_containers_say(
    build: Build, fake: FakeAws, status: int, told: Any, kind: type[ProviderError], words: str
) -> None:
    message = told if isinstance(told, str) else json.dumps(told)
    answer = {"Message": "Received server error", "OriginalStatusCode": status, "OriginalMessage": message}
    fake.reply_json("mine", answer, 424, **{"x-amzn-ErrorType": "ModelError"})
    with pytest.raises(ProviderError, match=words) as caught:
        build().chat(body("mine"))
    assert type(caught.value) is kind


# Thoughts in the text


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("hm\n</think>\n\nYes", "hm\n", "Yes"),
        ("<think>\nhm</think>Yes", "hm", "Yes"),
        ("</think>Yes", "", "Yes"),
        ("never closed </thin", "never closed </thin", ""),
        ("a < b </thi</think>c </think> d", "a < b </thi", "c </think> d"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_answers_that_begin_in_thought(
    build: Build, fake: FakeAws, text: str, thought: str, answer: str, size: int
) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    stream_of(fake, *(chunk(piece) + b"\n" for piece in pieces), chunk("", "stop"))
    events = [event.json for event in build(thinking=True).stream(body("mine"))]
    assert (said(events, "reasoning_content"), said(events)) == (thought, answer)
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    fake.reply_json("mine", {"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]})
    message = build(thinking=True).chat(body("mine")).json["choices"][0]["message"]
    assert (message.get("reasoning_content", ""), message["content"]) == (thought, answer)


@pytest.mark.parametrize("config", [{}, {"thinking": True, "platform": "deepseek"}])
def test_other_containers_texts_are_left_alone(build: Build, fake: FakeAws, config: JSON) -> None:
    stream_of(fake, chunk("a</think>b"), b"\n", chunk("", "stop"))
    events = [event.json for event in build(**config).stream(body("mine"))]
    assert said(events) == "a</think>b"


def test_thoughts_in_an_answer_without_its_form_are_a_bad_answer(build: Build, fake: FakeAws) -> None:
    fake.reply_json("mine", {"generated_text": "hi"})
    with pytest.raises(BadAnswer):
        build(thinking=True).chat(body("mine"))
