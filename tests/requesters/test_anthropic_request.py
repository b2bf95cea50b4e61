"""From OpenAI's body to Anthropic's. The fake refuses what the vendor refuses, so a plain answer proves the grammar."""

import copy
from typing import Any

import pytest

from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.errors import BadRequest, ModelNotFound
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.server import JSON

MODEL = "claude-sonnet-4-5"
NEWER = "claude-opus-4-7"
CACHE = {"type": "ephemeral"}
TOOLS = [{"type": "function", "function": {"name": "find", "description": "d", "parameters": {"type": "object"}}}]
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def user(content: Any = "hello", **extra: Any) -> JSON:
    return {"role": "user", "content": content, **extra}


def call(number: int, arguments: str = '{"q": 1}') -> JSON:
    return {"id": f"call_{number}", "type": "function", "function": {"name": "find", "arguments": arguments}}


def result(number: int, content: Any = "found") -> JSON:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": content}


def body(*messages: JSON, **options: Any) -> JSON:
    return {"model": MODEL, "messages": list(messages) or [user()], **options}


@pytest.fixture
def sent(claude: AnthropicRequester, anthropic: FakeAnthropic) -> Any:
    """Sends a body and returns what the vendor got, having accepted it."""

    def send(given: JSON) -> JSON:
        kept = copy.deepcopy(given)
        claude.chat(given)
        assert given == kept
        assert anthropic.violations == []
        got: JSON = anthropic.seen[-1].body
        return got

    return send


def text(value: str) -> JSON:
    return {"type": "text", "text": value}


# What works


def test_it_works(sent: Any, anthropic: FakeAnthropic) -> None:
    assert sent(body()) == {
        "model": MODEL,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [text("hello")]}],
    }
    request = anthropic.seen[-1]
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["x-api-key"] == anthropic.key
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_base_url_may_end_in_v1_or_not(anthropic: FakeAnthropic, transport: Transport, suffix: str) -> None:
    claude = AnthropicRequester(Endpoint(anthropic.base_url + suffix, anthropic.key), transport)
    claude.chat(body())
    claude.check()
    assert [request.path for request in anthropic.seen] == ["/v1/messages", "/v1/models?limit=1000"]
    assert [model.label for model in claude.list_models()] == ["Echo", "Claude-Sonnet-4-5", "Claude-Opus-4-7"]


def test_system_and_developer_messages_are_lifted_out(sent: Any) -> None:
    got = sent(body({"role": "system", "content": "one"}, user(), {"role": "developer", "content": "two"}))
    assert got["system"] == [text("one"), text("two")]
    assert [turn["role"] for turn in got["messages"]] == ["user"]


def test_neighbours_are_merged_so_roles_alternate(sent: Any) -> None:
    said = {"role": "assistant", "content": "a"}
    got = sent(body(user("1"), user("2"), said, said, user("3")))
    assert [turn["role"] for turn in got["messages"]] == ["user", "assistant", "user"]
    assert got["messages"][0]["content"] == [text("1"), text("2")]


def test_blank_text_is_dropped(sent: Any) -> None:
    got = sent(body(user(" \n"), user([text(""), text("x")]), {"role": "assistant", "content": ""}, user("y")))
    assert got["messages"] == [{"role": "user", "content": [text("x"), text("y")]}]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR=", "detail": "low"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBER"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBER"},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
    ],
)
def test_images_and_files(sent: Any, part: JSON, block: JSON) -> None:
    got = sent(body(user([text("look"), {**part, "cache_control": CACHE}])))
    assert got["messages"][0]["content"] == [text("look"), {**block, "cache_control": CACHE}]


def test_cache_marks_are_kept_wherever_they_stand(sent: Any) -> None:
    tools = [{**TOOLS[0], "cache_control": CACHE}]
    system = {"role": "system", "content": [{**text("s"), "cache_control": CACHE}]}
    got = sent(body(system, user("u", cache_control=CACHE), tools=tools))
    assert got["system"][0]["cache_control"] == CACHE
    assert got["messages"][0]["content"][0]["cache_control"] == CACHE
    assert got["tools"][0]["cache_control"] == CACHE


def test_a_round_with_tools(sent: Any) -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": [call(1), call(2, "")]}
    got = sent(body(user(), asked, result(1), result(2, [text("a"), text("b")]), user("and?"), tools=TOOLS))
    use = {"type": "tool_use", "name": "find"}
    assert got["messages"][1:] == [
        {
            "role": "assistant",
            "content": [{**use, "id": "call_1", "input": {"q": 1}}, {**use, "id": "call_2", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("found")]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [text("a"), text("b")]},
                text("and?"),
            ],
        },
    ]
    assert got["tools"] == [{"name": "find", "description": "d", "input_schema": {"type": "object"}}]


def test_an_empty_tool_result_is_allowed(sent: Any) -> None:
    got = sent(body(user(), {"role": "assistant", "tool_calls": [call(1)]}, result(1, ""), tools=TOOLS))
    assert got["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "call_1"}]


def test_a_tool_without_parameters_gets_an_empty_schema(sent: Any) -> None:
    got = sent(body(tools=[{"type": "function", "function": {"name": "now", "strict": True}}]))
    assert got["tools"] == [{"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True}]


def test_the_vendors_own_tools_pass(sent: Any) -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert sent(body(tools=[tool]))["tools"] == [tool]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": {"type": "function", "function": {"name": "find"}}}, {"type": "tool", "name": "find"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choice(sent: Any, options: JSON, expected: JSON | None) -> None:
    assert sent(body(tools=TOOLS, **options)).get("tool_choice") == expected


def test_tool_choice_without_tools_is_not_sent(sent: Any) -> None:
    assert "tool_choice" not in sent(body(tool_choice="auto"))


@pytest.mark.parametrize(
    ("options", "field", "expected"),
    [
        ({"max_tokens": 7}, "max_tokens", 7),
        ({"max_completion_tokens": 8, "max_tokens": 7}, "max_tokens", 8),
        ({"max_tokens": None}, "max_tokens", 4096),
        ({"stop": "END"}, "stop_sequences", ["END"]),
        ({"stop": ["a", "\n", "b"]}, "stop_sequences", ["a", "b"]),
        ({"temperature": 1.7}, "temperature", 1),
        ({"temperature": 0}, "temperature", 0),
        ({"top_p": 0.9}, "top_p", 0.9),
        ({"top_k": 40}, "top_k", 40),
        ({"user": "u-1"}, "metadata", {"user_id": "u-1"}),
        ({"metadata": {"user_id": "u-2"}}, "metadata", {"user_id": "u-2"}),
        ({"service_tier": "standard_only"}, "service_tier", "standard_only"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}},
            "output_config",
            {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "thinking",
            {"type": "enabled", "budget_tokens": 2000},
        ),
    ],
)
def test_parameters(sent: Any, claude: AnthropicRequester, options: JSON, field: str, expected: Any) -> None:
    assert sent(body(**options))[field] == expected
    assert claude.unsupported(body(**options)) == []


# Thinking


@pytest.mark.parametrize(
    ("options", "budget", "left_out"),
    [
        ({"reasoning_effort": "low", "max_tokens": 50_000}, 2048, []),
        ({"reasoning_effort": "medium", "max_tokens": 50_000}, 8192, []),
        ({"reasoning_effort": "high", "max_tokens": 50_000}, 16384, []),
        ({"reasoning_effort": "high", "max_tokens": 5_000}, 2500, []),
        ({"reasoning_effort": "high", "max_tokens": 1_000}, None, ["reasoning_effort"]),
        ({"reasoning_effort": "none"}, None, []),
        ({"reasoning_effort": "low", "tools": TOOLS, "tool_choice": "required"}, None, ["reasoning_effort"]),
        (
            {"reasoning_effort": "low", "temperature": 0.2, "top_p": 0.5, "top_k": 3},
            2048,
            ["temperature", "top_p", "top_k"],
        ),
        ({"reasoning_effort": "low", "temperature": 1, "top_p": 0.99}, 2048, []),
    ],
)
def test_an_effort_becomes_a_budget_where_the_model_knows_budgets(
    sent: Any, claude: AnthropicRequester, options: JSON, budget: int | None, left_out: list[str]
) -> None:
    got = sent(body(**options))
    assert got.get("thinking") == (budget and {"type": "enabled", "budget_tokens": budget})
    assert claude.unsupported(body(**options)) == left_out
    assert not got.keys() & set(left_out)


def test_an_effort_stays_an_effort_where_the_model_decides_itself(sent: Any) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    got = sent(body(reasoning_effort="minimal", max_tokens=100, response_format=schema) | {"model": NEWER})
    assert got["thinking"] == {"type": "adaptive"}
    assert got["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert got["max_tokens"] == 100


def test_thinking_comes_back_before_the_rest(sent: Any) -> None:
    asked = {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
        "thinking_blocks": [THOUGHT],
        "tool_calls": [call(1)],
    }
    got = sent(body(user(), asked, result(1), tools=TOOLS, reasoning_effort="low"))
    assert [block["type"] for block in got["messages"][1]["content"]] == ["thinking", "text", "tool_use"]
    assert got["messages"][1]["content"][0] == THOUGHT
    assert got["thinking"]["type"] == "enabled"


def test_without_the_thinking_of_its_tool_call_a_turn_goes_on_unthinking(sent: Any, claude: AnthropicRequester) -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": [call(1)]}
    given = body(user(), asked, result(1), tools=TOOLS, reasoning_effort="low")
    assert "thinking" not in sent(given)
    assert claude.unsupported(given) == ["reasoning_effort"]


# What does not


def test_what_has_no_counterpart_is_named_and_left_out(sent: Any, claude: AnthropicRequester) -> None:
    odd = {
        "logprobs": True, "top_logprobs": 2, "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 1,
        "logit_bias": {"1": 2}, "response_format": {"type": "json_object"}, "service_tier": "flex",
        "metadata": {"team": "red"}, "x_new": 1,
    }  # fmt: skip
    assert sorted(claude.unsupported(body(**odd))) == sorted(odd)
    assert sent(body(**odd)).keys() == {"model", "max_tokens", "messages"}


def test_switched_off_parameters_are_not_worth_a_word(sent: Any, claude: AnthropicRequester) -> None:
    off = {"n": 1, "logprobs": False, "presence_penalty": 0, "logit_bias": {}, "store": None, "stream_options": None}
    assert claude.unsupported(body(**off, response_format={"type": "text"})) == []
    sent(body(**off, response_format={"type": "text"}))


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (body(n=2), "n"),
        (body(reasoning_effort="enormous"), "reasoning_effort"),
        (body(tools=TOOLS, tool_choice="sometimes"), "tool_choice"),
        (body(tools=[{"type": "function", "function": {}}]), "tools"),
        (body(tools=["find"]), "tools"),
        (body(response_format={"type": "json_schema", "json_schema": {}}), "response_format"),
        ({"model": MODEL}, "messages"),
        ({"model": MODEL, "messages": []}, "messages"),
        (body({"role": "system", "content": "only"}), "messages"),
        (body({"role": "function", "name": "f", "content": "x"}), "messages"),
        (body("hello"), "messages"),  # type: ignore[arg-type]
        (body(user([{"type": "input_audio"}])), "messages"),
        (body(user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}])), "messages"),
        (body(user(7)), "messages"),
        (body({"role": "tool", "content": "x"}), "messages"),
        (body({"role": "assistant", "tool_calls": [call(1, "{broken")]}), "messages"),
        (body({"role": "assistant", "tool_calls": [call(1, "[1]")]}), "messages"),
        (body({"role": "assistant", "tool_calls": [{"id": "x"}]}), "messages"),
        (body(temperature="hot"), None),
        (body(stop=[1]), None),
        (body(tools=7), None),
        (body({"role": "assistant", "thinking_blocks": ["x"]}), None),
    ],
)  # fmt: skip
def test_the_callers_mistakes_never_reach_the_vendor(
    claude: AnthropicRequester, anthropic: FakeAnthropic, given: JSON, param: str | None
) -> None:
    with pytest.raises(BadRequest) as caught:
        claude.chat(given)
    assert caught.value.param == param
    assert anthropic.seen == []


def test_what_only_the_vendor_notices_comes_back_in_its_words(claude: AnthropicRequester) -> None:
    with pytest.raises(BadRequest, match="do not pair"):
        claude.chat(body(user(), result(1)))


def test_an_unknown_model(claude: AnthropicRequester) -> None:
    with pytest.raises(ModelNotFound):
        claude.chat(body() | {"model": "gpt-9"})


def test_there_are_no_embeddings(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    with pytest.raises(BadRequest, match=r"no .* endpoint"):
        claude.embed({"model": MODEL, "input": "x"})
    assert anthropic.seen == []


def test_a_text_is_completed_by_way_of_chat(claude: AnthropicRequester) -> None:
    answer = claude.complete({"model": MODEL, "prompt": "x", "max_tokens": 10}).json
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"]
