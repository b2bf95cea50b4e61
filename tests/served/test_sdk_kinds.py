"""The official OpenAI SDK, unchanged, for images, speech, transcriptions and moderations, against a served gateway."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fakes.kinds import IMAGE, PICTURE_URL, PLAIN, SOUND, FakeKinds
from tests.served.gateway import ServedGateway

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 100_000
HEARD = f"{len(WAVE)} bytes of sound"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeKinds]:
    with FakeKinds() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def served(fake: FakeKinds) -> Iterator[ServedGateway]:
    with ServedGateway() as gateway:
        gateway.manage("add_provider", "fake", "--base-url", fake.base_url, "--key", fake.key)
        for kind in ("image", "speech", "transcription", "moderation", "rerank"):
            gateway.manage(
                "add_model", kind, "--provider", "fake", "--kind", kind, "--price-in", "1", "--price-out", "2"
            )
        yield gateway
        states = {state for (state,) in gateway.rows("SELECT DISTINCT state FROM accounts_charge")}
        assert states == {"settled"}
        assert gateway.audit() == "The ledger is whole."
        assert fake.violations == []


@pytest.fixture(scope="module")
def sdk(served: ServedGateway) -> Iterator[openai.OpenAI]:
    secret = served.create_key("--quota", "50")
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=0, timeout=20) as client:
        yield client


def test_images(sdk: openai.OpenAI) -> None:
    answer = sdk.images.generate(model="image", prompt="a bridge", n=2)
    assert answer.data is not None
    assert [len(image.b64_json or "") for image in answer.data] == [4 * -(-len(IMAGE) // 3)] * 2


def test_images_by_their_address(sdk: openai.OpenAI) -> None:
    answer = sdk.images.generate(model="image", prompt="a bridge", response_format="url")
    assert answer.data is not None
    assert [image.url for image in answer.data] == [PICTURE_URL]


def test_speech(sdk: openai.OpenAI) -> None:
    assert sdk.audio.speech.create(model="speech", voice="alloy", input="hello").content == SOUND


def test_speech_read_as_it_comes(sdk: openai.OpenAI) -> None:
    with sdk.audio.speech.with_streaming_response.create(model="speech", voice="alloy", input="hello") as answer:
        assert b"".join(answer.iter_bytes()) == SOUND
        assert answer.headers["content-type"] == "audio/mpeg"


def test_transcriptions(sdk: openai.OpenAI) -> None:
    answer = sdk.audio.transcriptions.create(
        model="transcription", file=("speech.wav", WAVE), language="en", prompt="names", temperature=0.1
    )
    assert answer.text == HEARD


def test_a_long_winded_transcription(sdk: openai.OpenAI) -> None:
    answer = sdk.audio.transcriptions.create(
        model="transcription",
        file=("speech.wav", WAVE),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert answer.words is not None and answer.segments is not None
    assert (answer.text, answer.duration, len(answer.words), len(answer.segments)) == (HEARD, 0.5, 4, 1)


@pytest.mark.parametrize("wanted", ["text", "srt", "vtt"])
def test_transcriptions_as_plain_text(sdk: openai.OpenAI, wanted: Any) -> None:
    """The SDK hands these out as texts."""
    answer: Any = sdk.audio.transcriptions.create(
        model="transcription", file=("speech.wav", WAVE), response_format=wanted
    )
    assert answer == PLAIN[wanted].format(HEARD)


def test_moderations(sdk: openai.OpenAI) -> None:
    answer = sdk.moderations.create(model="moderation", input=["a bad word", "a good one"])
    assert [(each.flagged, each.categories.violence) for each in answer.results] == [(True, True), (False, False)]


def test_errors_are_the_sdks_own(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        sdk.images.generate(model="nothing", prompt="a bridge")
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.audio.transcriptions.create(model="transcription", file=("x.wav", WAVE), response_format="mp3")  # type: ignore[call-overload]
    assert caught.value.param == "response_format"
