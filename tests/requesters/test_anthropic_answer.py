"""From Anthropic's answer to OpenAI's."""

from typing import Any

import pytest

from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Truncated,
    Unavailable,
)
from providers.requesters.usage import Usage
from tests.fakes.anthropic import SIGNATURE, FakeAnthropic
from tests.fakes.server import JSON
from tests.requesters.test_anthropic_request import CACHE, TOOLS, body, text, user

THINKING = [
    {"type": "thinking", "thinking": "Let me think.", "signature": SIGNATURE},
    {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
]
ARGUMENTS = {"query": "tok", "limit": 3}


def everything(**options: Any) -> JSON:
    """Asks for thinking, a tool call and a cache at once."""
    return body(user("use tool", cache_control=CACHE), tools=TOOLS, reasoning_effort="low", **options)


def deltas(events: list[Any]) -> list[JSON]:
    return [choice["delta"] for event in events for choice in event.json["choices"]]


# What works


def test_a_whole_answer(claude: AnthropicRequester) -> None:
    answer = claude.chat(everything())
    choice = answer.json["choices"][0]
    function = choice["message"]["tool_calls"][0]["function"]
    assert answer.raw is None
    assert (answer.json["id"], answer.json["object"]) == ("msg_fake", "chat.completion")
    assert answer.json["model"] == "claude-sonnet-4-5"
    assert answer.json["created"] > 1_700_000_000
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Hello from the fake"
    assert choice["message"]["reasoning_content"] == "Let me think."
    assert choice["message"]["thinking_blocks"] == THINKING
    assert function == {"name": "find", "arguments": '{"query":"tok","limit":3}'}


def test_a_plain_answer_has_nothing_extra(claude: AnthropicRequester) -> None:
    message = claude.chat(body()).json["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hello from the fake", "refusal": None}


def test_cached_tokens_are_counted_once(claude: AnthropicRequester) -> None:
    usage = claude.chat(everything()).json["usage"]
    assert usage["prompt_tokens"] == 11 + 5 + 7
    assert usage["prompt_tokens_details"] == {"cached_tokens": 5, "cache_creation_tokens": 7}
    assert Usage.from_openai(usage) == Usage(11, 5, 7, 23, 9)


def test_a_stream_adds_up_to_the_whole_answer(claude: AnthropicRequester) -> None:
    whole = claude.chat(everything()).json
    events = list(claude.stream(everything()))
    parts = deltas(events)
    message = whole["choices"][0]["message"]
    assert parts[0] == {"role": "assistant", "content": ""}
    assert "".join(part.get("content") or "" for part in parts) == message["content"]
    assert "".join(part.get("reasoning_content", "") for part in parts) == message["reasoning_content"]
    assert [block for part in parts for block in part.get("thinking_blocks", [])] == THINKING
    assert events[-2].json["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    assert events[-1].json["choices"] == []
    assert events[-1].json["usage"] == whole["usage"]
    assert all(event.json["id"] == "msg_fake" for event in events)
    assert all(event.json["object"] == "chat.completion.chunk" for event in events)
    assert len([event for event in events if "usage" in event.json]) == 1


def test_tool_calls_stream_in_pieces(claude: AnthropicRequester) -> None:
    calls = [part["tool_calls"][0] for part in deltas(list(claude.stream(everything()))) if "tool_calls" in part]
    assert calls[0] == {
        "index": 0,
        "id": "toolu_fake0",
        "type": "function",
        "function": {"name": "find", "arguments": ""},
    }
    assert all(call.keys() == {"index", "function"} for call in calls[1:])
    assert len(calls) > 2
    assert "".join(call["function"]["arguments"] for call in calls) == '{"query": "tok", "limit": 3}'


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_call_without_arguments_is_still_json(claude: AnthropicRequester, is_streamed: bool) -> None:
    given = body(user("use tool"), tools=TOOLS) | {"model": "no-arguments"}
    if is_streamed:
        parts = [part["tool_calls"][0] for part in deltas(list(claude.stream(given))) if "tool_calls" in part]
    else:
        parts = claude.chat(given).json["choices"][0]["message"]["tool_calls"]
    assert "".join(part["function"]["arguments"] for part in parts) == "{}"


def test_two_tool_calls_have_two_indexes(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    def block(index: int, name: str) -> list[JSON]:
        start = {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": f'{{"{name}": 1}}'}
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]

    anthropic.reply_events("mine", start(), *block(0, "a"), *block(1, "b"), *end("tool_use"))
    parts = [
        part["tool_calls"][0]
        for part in deltas(list(claude.stream(body() | {"model": "mine"})))
        if "tool_calls" in part
    ]
    assert [(part["index"], part["function"]["arguments"]) for part in parts] == [
        (0, ""),
        (0, '{"a": 1}'),
        (1, ""),
        (1, '{"b": 1}'),
    ]


def test_thinking_survives_the_round_trip(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    message = claude.chat(everything()).json["choices"][0]["message"]
    found = {"role": "tool", "tool_call_id": "toolu_fake0", "content": "found"}
    claude.chat(body(user("use tool"), message, found, tools=TOOLS, reasoning_effort="low"))
    assert anthropic.violations == []
    assert anthropic.seen[-1].body["messages"][1]["content"] == [
        *THINKING,
        text("Hello from the fake"),
        {"type": "tool_use", "id": "toolu_fake0", "name": "find", "input": ARGUMENTS},
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(
    claude: AnthropicRequester, anthropic: FakeAnthropic, reason: str | None, expected: str
) -> None:
    anthropic.reply_json("mine", {"type": "message", "content": [], "stop_reason": reason, "usage": {}})
    assert claude.chat(body() | {"model": "mine"}).json["choices"][0]["finish_reason"] == expected
    anthropic.reply_events("mine", start(), *end(reason))
    events = list(claude.stream(body() | {"model": "mine"}))
    assert events[-2].json["choices"][0]["finish_reason"] == expected


def start(**usage: Any) -> JSON:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, **usage}}}


def end(reason: str | None = "end_turn", **usage: Any) -> list[JSON]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 4, **usage}}
    return [delta, {"type": "message_stop"}]


def test_the_last_number_counts_and_missing_ones_do_not(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    last = end(input_tokens=30, cache_read_input_tokens=None)
    anthropic.reply_events("mine", start(output_tokens=1, cache_read_input_tokens=2), *last)
    usage = list(claude.stream(body() | {"model": "mine"}))[-1].json["usage"]
    assert Usage.from_openai(usage) == Usage(30, 2, 0, 4, 0)


def test_unknown_events_blocks_and_deltas_are_ignored(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    anthropic.reply_events(
        "mine",
        {"type": "ping"},
        start(),
        {"type": "something_new"},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "server_tool_use", "id": "x", "name": "y"},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "hi"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_stop", "index": 1},
        *end(),
    )
    parts = deltas(list(claude.stream(body() | {"model": "mine"})))
    assert parts == [{"role": "assistant", "content": ""}, {"content": "hi"}, {}]


def test_the_connection_is_kept_after_a_stream(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    for _ in range(3):
        list(claude.stream(body()))
    assert anthropic.connections <= 1


# What does not


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "expected", "code"),
    [
        ("401", AuthFailed, "authentication_error"),
        ("404", ModelNotFound, "not_found_error"),
        ("429", RateLimited, "rate_limit_error"),
        ("500", Unavailable, "api_error"),
        ("529", Overloaded, "overloaded_error"),
    ],
)
def test_statuses(
    claude: AnthropicRequester, model: str, expected: type[ProviderError], code: str, is_streamed: bool
) -> None:
    with pytest.raises(ProviderError) as caught:
        (claude.stream if is_streamed else claude.chat)(body() | {"model": model})
    assert type(caught.value) is expected
    assert caught.value.upstream_code == code
    assert caught.value.retry_after == (7.0 if model == "429" else None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", Overloaded),
        ("rate_limit_error", RateLimited),
        ("api_error", Unavailable),
        ("authentication_error", AuthFailed),
    ],
)
def test_an_error_event_is_mapped(
    claude: AnthropicRequester, anthropic: FakeAnthropic, kind: str, expected: type[ProviderError]
) -> None:
    anthropic.reply_events("mine", start(), {"type": "error", "error": {"type": kind, "message": "m"}})
    stream = claude.stream(body() | {"model": "mine"})
    next(stream)
    with pytest.raises(ProviderError) as caught:
        next(stream)
    assert type(caught.value) is expected


def test_overload_midstream(claude: AnthropicRequester) -> None:
    with pytest.raises(Overloaded):
        list(claude.stream(body() | {"model": "overloaded-in-stream"}))


def test_a_stream_without_message_stop_is_truncated_and_never_looks_finished(claude: AnthropicRequester) -> None:
    events = []
    with pytest.raises(Truncated):
        for event in claude.stream(body() | {"model": "cut"}):
            events.append(event)
    assert all(choice["finish_reason"] is None for event in events for choice in event.json["choices"])


@pytest.mark.parametrize("payload", [{}, {"content": "text"}, {"content": [{"type": "text"}]}, {"content": [7]}])
def test_an_answer_of_another_form_is_a_bad_answer(
    claude: AnthropicRequester, anthropic: FakeAnthropic, payload: JSON
) -> None:
    anthropic.reply_json("mine", payload)
    with pytest.raises(BadAnswer):
        claude.chat(body() | {"model": "mine"})


@pytest.mark.parametrize(
    "event",
    ["{broken", "[1]", {"type": "message_start"}, {"type": "content_block_delta", "delta": {"type": "text_delta"}}],
)
def test_an_event_of_another_form_is_a_bad_answer(
    claude: AnthropicRequester, anthropic: FakeAnthropic, event: Any
) -> None:
    anthropic.reply_events("mine", start(), event, *end())
    with pytest.raises(BadAnswer):
        list(claude.stream(body() | {"model": "mine"}))
