"""From Gemini's answer to OpenAI's."""

import struct
from base64 import b64decode
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Truncated,
    Unavailable,
)
from providers.requesters.gemini import GeminiRequester
from providers.requesters.usage import Usage
from tests.fakes.gemini import PICTURE, SIGNATURE, FakeGemini
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay
from tests.requesters.test_gemini_request import TOOLS, body, fake, gemini, server, user

__all__ = ["fake", "gemini", "server"]  # fixtures


@pytest.mark.parametrize("exchange", load("gemini"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> GeminiRequester:
        return GeminiRequester(Endpoint(origin, "sk-recorded", PATIENT, config=config), transport)

    assert replay(exchange, requester_at) == []


def everything(**options: Any) -> JSON:
    """Asks for thoughts, tool calls and a cache at once."""
    return body(user("use tool"), tools=TOOLS, reasoning_effort="low", cachedContent="cachedContents/x", **options)


def choice_of(answer: JSON) -> JSON:
    [choice] = answer["choices"]
    assert isinstance(choice, dict)
    return choice


# What works


def test_a_whole_answer(gemini: GeminiRequester, fake: FakeGemini) -> None:
    answer = gemini.chat(everything())
    choice = choice_of(answer.json)
    message = choice["message"]
    assert answer.raw is None
    assert (answer.json["id"], answer.json["model"]) == ("resp_fake", "gemini-2.5-flash")
    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] == "Hello from the fake"
    assert message["reasoning_content"] == "Let me think."
    assert [each["id"] for each in message["tool_calls"]] == ["fc_0", "fc_1"]
    assert message["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"query":"tok","limit":3}'}
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": SIGNATURE}}
    assert "extra_content" not in message["tool_calls"][1]
    assert fake.violations == []


def test_a_plain_answer_has_nothing_extra(gemini: GeminiRequester) -> None:
    message = choice_of(gemini.chat(body()).json)["message"]
    assert message == {"role": "assistant", "content": "Hello from the fake", "refusal": None}


def test_thoughts_are_output_and_cached_tokens_are_counted_once(gemini: GeminiRequester) -> None:
    usage = gemini.chat(everything()).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (11, 23, 34)
    assert Usage.from_openai(usage) == Usage(6, 5, 0, 23, 9)


def test_what_google_s_tools_put_into_the_prompt_is_input(gemini: GeminiRequester, fake: FakeGemini) -> None:
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 4, "thoughtsTokenCount": 3}
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}
    fake.reply_json("mine", {"candidates": [candidate], "usageMetadata": counts})
    assert Usage.from_openai(gemini.chat(body(model="mine")).json["usage"]) == Usage(100, 0, 0, 7, 3)


def test_no_usage_is_claimed_where_none_was_counted(gemini: GeminiRequester) -> None:
    assert "usage" not in gemini.chat(body(model="no-usage")).json
    assert all("usage" not in event.json for event in gemini.stream(body(model="no-usage")))


def test_calls_without_ids_get_some(gemini: GeminiRequester) -> None:
    calls = choice_of(gemini.chat(everything(model="no-ids")).json)["message"]["tool_calls"]
    assert len({each["id"] for each in calls}) == 2
    assert all(each["id"].startswith("call_") for each in calls)


def test_several_candidates_are_several_choices(gemini: GeminiRequester) -> None:
    answer = gemini.chat(body(n=3)).json
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    finished = [choice for event in gemini.stream(body(n=3)) for choice in event.json["choices"]]
    assert [each["index"] for each in finished if each["finish_reason"]] == [0, 1, 2]


def test_a_picture_comes_out_as_a_data_uri(gemini: GeminiRequester) -> None:
    images = choice_of(gemini.chat(body(model="painter")).json)["message"]["images"]
    assert images == [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE['data']}"}}]


def test_log_probabilities(gemini: GeminiRequester) -> None:
    asked = body(logprobs=True, top_logprobs=1)
    [token] = choice_of(gemini.chat(asked).json)["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("Hello", -0.25, list(b"Hello"))
    assert [each["token"] for each in token["top_logprobs"]] == ["Hello", "Hi"]
    streamed = [c["logprobs"] for event in gemini.stream(asked) for c in event.json["choices"] if "logprobs" in c]
    assert streamed == [{"content": [token], "refusal": None}]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(gemini: GeminiRequester, fake: FakeGemini, reason: str, expected: str) -> None:
    fake.reply_json("mine", {"candidates": [{"finishReason": reason}]})
    choice = choice_of(gemini.chat(body(model="mine")).json)
    assert (choice["finish_reason"], choice["message"]["content"]) == (expected, "")


def test_models_keep_what_google_says_of_them(gemini: GeminiRequester) -> None:
    models = gemini.list_models()
    assert [model.id for model in models] == ["echo", "gemini-2.5-flash", "gemini-3-pro-preview"]
    assert models[1].raw["inputTokenLimit"] == 1048576


# Embeddings


def test_embeddings_as_numbers_and_packed(gemini: GeminiRequester, fake: FakeGemini) -> None:
    answer = gemini.embed({"model": "gemini-embedding-001", "input": "abc"}).json
    assert answer["data"] == [{"object": "embedding", "index": 0, "embedding": [3.0, 0.5, 0.5]}]
    asked = {"model": "gemini-embedding-001", "input": ["a", "bb"], "dimensions": 2, "encoding_format": "base64"}
    data = gemini.embed(asked).json["data"]
    assert [struct.unpack("<2f", b64decode(entry["embedding"])) for entry in data] == [(1.0, 0.5), (2.0, 0.5)]
    assert fake.violations == []


def test_more_texts_than_a_batch_holds_go_in_several(gemini: GeminiRequester, fake: FakeGemini) -> None:
    texts = ["x" * (1 + number % 7) for number in range(250)]
    data = gemini.embed({"model": "gemini-embedding-001", "input": texts}).json["data"]
    assert [len(request.body["requests"]) for request in fake.seen] == [100, 100, 50]
    assert [entry["embedding"][0] for entry in data] == [float(len(text)) for text in texts]
    assert [entry["index"] for entry in data] == list(range(250))


@pytest.mark.parametrize("given", [None, "", [], [""], [1, 2], [[1, 2]], {}])
def test_embeddings_take_texts_only(gemini: GeminiRequester, given: Any) -> None:
    with pytest.raises(BadRequest):
        gemini.embed({"model": "gemini-embedding-001", "input": given})


# What fails


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("429", RateLimited),
        ("403", AuthFailed),
        ("404", ModelNotFound),
        ("nope", ModelNotFound),
        ("500", Unavailable),
        ("503", Overloaded),
        ("504", Timeout),
        ("too-long", ContextTooLong),
        ("no-quota-here", Unavailable),
        ("blocked", ContentFiltered),
        ("malformed", BadAnswer),
    ],
)
def test_refusals_have_their_names_whole_and_streamed(
    gemini: GeminiRequester, model: str, kind: type[ProviderError]
) -> None:
    for ask in (gemini.chat, lambda asked: list(gemini.stream(asked))):
        with pytest.raises(ProviderError) as caught:
            ask(body(model=model))
        assert type(caught.value) is kind


def test_a_quota_says_when_to_come_back(gemini: GeminiRequester) -> None:
    with pytest.raises(RateLimited) as caught:
        gemini.chat(body(model="429"))
    assert (caught.value.retry_after, caught.value.upstream_status) == (37.0, 429)


def test_a_wrong_key_is_the_deployment_s_trouble_though_google_says_400(fake: FakeGemini, transport: Transport) -> None:
    gemini = GeminiRequester(Endpoint(fake.base_url, "AIza-wrong-key", PATIENT), transport)
    with pytest.raises(AuthFailed) as caught:
        gemini.chat(body())
    assert caught.value.upstream_status == 400
    assert "AIza" not in str(caught.value)


def test_an_error_may_come_in_a_list(gemini: GeminiRequester) -> None:
    told = [{"error": {"code": 400, "message": "no", "status": "RESOURCE_EXHAUSTED"}}]
    assert isinstance(gemini.map_error(200, told, {}), RateLimited)
    assert isinstance(gemini.map_error(502, None, {}), Unavailable)


def test_a_stream_cut_midway_is_truncated(gemini: GeminiRequester) -> None:
    events = []
    with pytest.raises(Truncated):
        for event in gemini.stream(body(model="cut")):
            events.append(event.json)
    assert "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
    assert not any(choice["finish_reason"] for event in events for choice in event["choices"])


def test_an_error_in_the_stream_is_an_error(gemini: GeminiRequester) -> None:
    with pytest.raises(Overloaded):
        list(gemini.stream(body(model="error-in-stream")))


def test_an_answer_that_the_safety_rules_stop_says_so(gemini: GeminiRequester) -> None:
    events = [event.json for event in gemini.stream(body(model="safety"))]
    text = "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
    assert text == "Hello from"
    assert events[-2]["choices"][0]["finish_reason"] == "content_filter"
    assert events[-1]["usage"]["prompt_tokens"] == 11


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"candidates": []},
        {"candidates": ["x"]},
        {"candidates": [{"content": {"parts": ["x"]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}, "finishReason": "STOP"}]},
    ],
)
def test_an_answer_of_another_form_is_a_bad_answer(gemini: GeminiRequester, fake: FakeGemini, payload: JSON) -> None:
    fake.reply_json("mine", payload)
    with pytest.raises(BadAnswer):
        gemini.chat(body(model="mine"))


@pytest.mark.parametrize("event", ["x", "[]", '{"candidates": ["x"]}'])
def test_an_event_of_another_form_is_a_bad_answer(gemini: GeminiRequester, fake: FakeGemini, event: str) -> None:
    fake.reply_events("mine", event)
    with pytest.raises(BadAnswer):
        list(gemini.stream(body(model="mine")))


def test_embeddings_of_another_form_are_a_bad_answer(gemini: GeminiRequester, fake: FakeGemini) -> None:
    fake.reply_json("mine", {"embeddings": [{}]})
    with pytest.raises(BadAnswer):
        gemini.embed({"model": "mine", "input": "x"})
