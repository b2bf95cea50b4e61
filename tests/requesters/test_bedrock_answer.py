"""From Converse's answer to OpenAI's, whole and as a stream, and from AWS's errors to the project's."""

import json
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.bedrock import BedrockRequester
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
from providers.requesters.usage import Usage
from tests.fakes.aws import CLAUDE, DEEPSEEK, EVENT_STREAM, HIDDEN, SIGNATURE, FakeAws
from tests.fakes.aws_frames import event, union
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay
from tests.requesters.test_bedrock_request import CACHE, TOOLS, bedrock, body, fake, server, user

__all__ = ["bedrock", "fake", "server"]  # fixtures

THINKING = [
    {"type": "thinking", "thinking": "Let me think.", "signature": SIGNATURE},
    {"type": "redacted_thinking", "data": HIDDEN},
]


@pytest.mark.parametrize("exchange", load("bedrock"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> BedrockRequester:
        return BedrockRequester(Endpoint(origin, "a-key-id:a-secret", PATIENT, config=config), transport)

    assert replay(exchange, requester_at, union, EVENT_STREAM) == []


def everything(**options: Any) -> JSON:
    """Asks for thinking, tool calls and a cache at once."""
    return body(user("use tool", cache_control=CACHE), tools=TOOLS, reasoning_effort="low", **options)


def choice_of(answer: JSON) -> JSON:
    [choice] = answer["choices"]
    assert isinstance(choice, dict)
    return choice


def streamed(bedrock: BedrockRequester, asked: JSON) -> list[JSON]:
    return [event.json for event in bedrock.stream(asked)]


def deltas(events: list[JSON]) -> list[JSON]:
    return [choice["delta"] for event in events for choice in event["choices"]]


# What works


def test_a_whole_answer(bedrock: BedrockRequester, fake: FakeAws) -> None:
    answer = bedrock.chat(everything())
    choice = choice_of(answer.json)
    message = choice["message"]
    assert answer.raw is None
    assert answer.json["id"].startswith("chatcmpl-")
    assert (answer.json["object"], answer.json["model"]) == ("chat.completion", CLAUDE)
    assert answer.json["created"] > 1_700_000_000
    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] == "Hello from the fake"
    assert message["reasoning_content"] == "Let me think."
    assert message["thinking_blocks"] == THINKING
    assert message["tool_calls"] == [
        {"id": "tooluse_0", "type": "function", "function": {"name": "find", "arguments": '{"query":"tok","limit":3}'}},
        {
            "id": "tooluse_1",
            "type": "function",
            "function": {"name": "count", "arguments": '{"query":"tok","limit":4}'},
        },
    ]
    assert fake.violations == []


def test_a_plain_answer_has_nothing_extra(bedrock: BedrockRequester) -> None:
    message = choice_of(bedrock.chat(body()).json)["message"]
    assert message == {"role": "assistant", "content": "Hello from the fake", "refusal": None}


def test_thoughts_without_a_signature_are_for_people_only(bedrock: BedrockRequester) -> None:
    message = choice_of(bedrock.chat(body(model=DEEPSEEK)).json)["message"]
    assert message["reasoning_content"] == "Let me think."
    assert "thinking_blocks" not in message
    parts = deltas(streamed(bedrock, body(model=DEEPSEEK)))
    assert "".join(part.get("reasoning_content", "") for part in parts) == "Let me think."
    assert not any("thinking_blocks" in part for part in parts)


def test_cached_tokens_are_counted_once(bedrock: BedrockRequester) -> None:
    usage = bedrock.chat(everything()).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (11 + 5 + 7, 23, 46)
    assert Usage.from_openai(usage) == Usage(11, 5, 7, 23, 0)


def test_a_stream_adds_up_to_the_whole_answer(bedrock: BedrockRequester, fake: FakeAws) -> None:
    whole = bedrock.chat(everything()).json
    events = streamed(bedrock, everything())
    parts, message = deltas(events), choice_of(whole)["message"]
    assert parts[0] == {"role": "assistant", "content": ""}
    assert "".join(part.get("content") or "" for part in parts) == message["content"]
    assert "".join(part.get("reasoning_content", "") for part in parts) == message["reasoning_content"]
    assert [block for part in parts for block in part.get("thinking_blocks", [])] == THINKING
    assert events[-2]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    assert (events[-1]["choices"], events[-1]["usage"]) == ([], whole["usage"])
    assert len({(each["id"], each["object"]) for each in events}) == 1
    assert fake.violations == []


def test_streamed_calls_are_put_together_by_their_index(bedrock: BedrockRequester) -> None:
    calls: dict[int, JSON] = {}
    for part in (call for delta in deltas(streamed(bedrock, everything())) for call in delta.get("tool_calls", [])):
        found = calls.setdefault(part["index"], {**part, "arguments": ""})
        found["arguments"] += part["function"]["arguments"]
    assert [(call["id"], call["function"]["name"]) for call in calls.values()] == [
        ("tooluse_0", "find"),
        ("tooluse_1", "count"),
    ]
    assert [json.loads(call["arguments"])["limit"] for call in calls.values()] == [3, 4]


def test_a_call_without_arguments_has_an_empty_object(bedrock: BedrockRequester) -> None:
    asked = body(user("use tool"), tools=TOOLS[:1], model="no-arguments")
    assert choice_of(bedrock.chat(asked).json)["message"]["tool_calls"][0]["function"]["arguments"] == "{}"
    parts = [call for delta in deltas(streamed(bedrock, asked)) for call in delta.get("tool_calls", [])]
    assert "".join(part["function"]["arguments"] for part in parts) == "{}"


@pytest.mark.parametrize(
    ("model", "expected"), [("filtered", "content_filter"), ("guarded", "content_filter"), ("max-tokens", "length")]
)
def test_finish_reasons(bedrock: BedrockRequester, model: str, expected: str) -> None:
    assert choice_of(bedrock.chat(body(model=model)).json)["finish_reason"] == expected
    assert streamed(bedrock, body(model=model))[-2]["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("model_context_window_exceeded", "length"), ("new", "stop")],
)
def test_rarer_finish_reasons(bedrock: BedrockRequester, fake: FakeAws, reason: str, expected: str) -> None:
    message = {"role": "assistant", "content": []}
    fake.reply_json("mine", {"output": {"message": message}, "stopReason": reason, "usage": {}})
    choice = choice_of(bedrock.chat(body(model="mine")).json)
    assert (choice["finish_reason"], choice["message"]["content"]) == (expected, "")


def test_cited_text_is_text(bedrock: BedrockRequester, fake: FakeAws) -> None:
    cited = {"citationsContent": {"content": [{"text": "It "}, {"text": "is."}], "citations": [{"title": "x"}]}}
    message = {"role": "assistant", "content": [{"text": "See: "}, cited, {"image": {}}]}
    fake.reply_json("mine", {"output": {"message": message}, "stopReason": "end_turn", "usage": {}})
    assert choice_of(bedrock.chat(body(model="mine")).json)["message"]["content"] == "See: It is."


# Streams that go wrong


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("cut", Truncated),
        ("cut-inside", Truncated),
        ("cut-metadata", Truncated),
        ("bad-crc", BadAnswer),
        ("exception", Unavailable),
        ("throttled-in-stream", RateLimited),
        ("error-in-stream", Unavailable),
    ],
)
def test_a_broken_stream_never_looks_finished(bedrock: BedrockRequester, model: str, kind: type[ProviderError]) -> None:
    events = []
    with pytest.raises(ProviderError) as caught:
        for each in bedrock.stream(body(model=model)):
            events.append(each.json)
    assert type(caught.value) is kind
    assert events
    assert not any(choice["finish_reason"] for each in events for choice in each["choices"])


@pytest.mark.parametrize(
    "payload", [b"{", b"5", b"", b'"x"', b'{"delta": {}}', b'{"delta": {"toolUse": {"input": "x"}}}']
)
def test_an_event_without_its_form_is_a_bad_answer(bedrock: BedrockRequester, fake: FakeAws, payload: bytes) -> None:
    frames = [union({"messageStart": {"role": "assistant"}}), event("contentBlockDelta", payload)]
    fake.reply("mine", *frames, framing="chunked", headers={"Content-Type": EVENT_STREAM})
    with pytest.raises(BadAnswer):
        streamed(bedrock, body(model="mine"))


def test_unknown_events_are_ignored(bedrock: BedrockRequester, fake: FakeAws) -> None:
    frames = [
        union({"somethingNew": {}}),
        union({"messageStop": {"stopReason": "end_turn"}}),
        union({"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}}),
    ]
    fake.reply("mine", *frames, framing="chunked", headers={"Content-Type": EVENT_STREAM})
    assert streamed(bedrock, body(model="mine"))[-1]["usage"]["total_tokens"] == 3


def test_an_answer_that_is_no_event_stream_is_a_bad_answer(bedrock: BedrockRequester, fake: FakeAws) -> None:
    fake.reply_json("mine", {"output": {}})
    with pytest.raises(BadAnswer, match="event stream"):
        bedrock.stream(body(model="mine"))


@pytest.mark.parametrize("answer", [{}, {"output": {}}, {"output": {"message": {"content": "x"}}}, {"output": 5}])
def test_an_answer_without_its_form_is_a_bad_answer(bedrock: BedrockRequester, fake: FakeAws, answer: JSON) -> None:
    fake.reply_json("mine", answer)
    with pytest.raises(BadAnswer, match="Converse"):
        bedrock.chat(body(model="mine"))


# Refusals

REFUSED: dict[str, type[ProviderError]] = {
    "throttled": RateLimited,
    "quota": RateLimited,
    "not-ready": Overloaded,
    "model-timeout": Timeout,
    "model-error": Unavailable,
    "unavailable": Overloaded,
    "500": Unavailable,
    "denied": AuthFailed,
    "no-access": ModelNotFound,
    "missing": ModelNotFound,
    "invalid-model": ModelNotFound,
    "too-long": ContextTooLong,
    "invalid": BadRequest,
}


@pytest.mark.parametrize("model", REFUSED)
def test_refusals(bedrock: BedrockRequester, model: str) -> None:
    for ask in (bedrock.chat, bedrock.stream):
        with pytest.raises(ProviderError) as caught:
            ask(body(model=model))
        assert type(caught.value) is REFUSED[model]


def test_a_refusal_keeps_the_vendor_s_own_words_and_numbers(bedrock: BedrockRequester) -> None:
    with pytest.raises(BadRequest, match="Malformed input request") as caught:
        bedrock.chat(body(model="invalid"))
    assert (caught.value.upstream_status, caught.value.upstream_code) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("status", "named", "message", "kind"),
    [
        (400, "", "Input is too long.", ContextTooLong),
        (403, "ExpiredTokenException", "The security token is expired", AuthFailed),
        (400, "com.amazon.coral.service#ThrottlingException", "Rate exceeded", RateLimited),
        (400, "ValidationException", "Output blocked by content filtering policy", ContentFiltered),
        (
            400,
            "ValidationException",
            "Invocation of model ID m with on-demand throughput isn\u2019t supported. Retry with a profile.",
            ModelNotFound,
        ),
        (424, "SomethingNewException", "odd", BadRequest),
        (502, "", "", Unavailable),
    ],
)
def test_other_refusals(
    bedrock: BedrockRequester, fake: FakeAws, status: int, named: str, message: str, kind: type[ProviderError]
) -> None:
    fake.reply_json("mine", {"message": message, "__type": named}, status)
    with pytest.raises(ProviderError) as caught:
        bedrock.chat(body(model="mine"))
    assert type(caught.value) is kind


def test_a_refusal_without_json_is_told_by_its_status(bedrock: BedrockRequester, fake: FakeAws) -> None:
    fake.reply("mine", b"<html>", status=503)
    with pytest.raises(Overloaded, match="503"):
        bedrock.chat(body(model="mine"))
