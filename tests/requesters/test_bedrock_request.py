"""From OpenAI's parameters to Converse's: limits, sampling, thinking, tools. And what the other tests ask with."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from tests.fakes.aws import CLAUDE, NOVA, PROFILE, FakeAws
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT

OPUS = "us.anthropic.claude-opus-4-1-20250805-v1:0"
NEWEST = "anthropic.claude-opus-4-6-v1"
TOOLS: list[JSON] = [
    {"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "count"}},
]
CACHE = {"type": "ephemeral"}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeAws) -> FakeAws:
    server.forget()
    return server


@pytest.fixture
def bedrock(fake: FakeAws, transport: Transport) -> BedrockRequester:
    return BedrockRequester(Endpoint(fake.base_url, fake.key, PATIENT), transport)


def with_config(fake: FakeAws, transport: Transport, **config: Any) -> BedrockRequester:
    return BedrockRequester(Endpoint(fake.base_url, fake.key, PATIENT, config=config), transport)


def user(content: Any = "hi", **options: Any) -> JSON:
    return {"role": "user", "content": content, **options}


def assistant(*calls: JSON, content: Any = None, **options: Any) -> JSON:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {}), **options}


def call(call_id: str, name: str = "find", arguments: str = "{}") -> JSON:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "found", **options: Any) -> JSON:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **options}


def body(*messages: JSON, model: str = CLAUDE, **options: Any) -> JSON:
    return {"model": model, "messages": list(messages) or [user()], **options}


def sent(bedrock: BedrockRequester, fake: FakeAws, asked: JSON) -> JSON:
    """What the fake got and found nothing wrong with."""
    bedrock.chat(asked)
    assert fake.violations == []
    seen = fake.seen[-1].body
    assert isinstance(seen, dict)
    return seen


def turns(bedrock: BedrockRequester, fake: FakeAws, *messages: JSON, **options: Any) -> list[tuple[str, list[JSON]]]:
    got = sent(bedrock, fake, body(*messages, **options))["messages"]
    return [(turn["role"], turn["content"]) for turn in got]


# Limits and sampling


@pytest.mark.parametrize(
    ("model", "options", "expected", "dropped"),
    [
        (NOVA, {"temperature": 2, "top_p": 0.5}, {"temperature": 1, "topP": 0.5}, []),
        (CLAUDE, {"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}, ["top_p"]),
        (CLAUDE, {"top_p": 0.5}, {"topP": 0.5}, []),
        (CLAUDE, {"temperature": 0, "top_p": 1}, {"temperature": 0}, []),
        (OPUS, {"temperature": 0.2, "top_p": 0.5}, {}, ["temperature", "top_p"]),
        (CLAUDE, {"temperature": None, "stop": "x"}, {"stopSequences": ["x"]}, []),
        (CLAUDE, {"stop": ["x", " ", "y"]}, {"stopSequences": ["x", "y"]}, []),
        (CLAUDE, {"max_completion_tokens": 9, "max_tokens": 12}, {"maxTokens": 9}, []),
        (CLAUDE, {"max_tokens": 12}, {"maxTokens": 12}, []),
    ],
)
def test_sampling(
    bedrock: BedrockRequester, fake: FakeAws, model: str, options: JSON, expected: JSON, dropped: list[str]
) -> None:
    asked = body(model=model, **options)
    assert sent(bedrock, fake, asked).get("inferenceConfig", {}) == expected
    assert bedrock.unsupported(asked) == dropped


@pytest.mark.parametrize(("asked", "expected"), [(None, 100), (50, 50), (500, 100)])
def test_the_operator_s_limit_is_the_default_and_the_most(
    fake: FakeAws, transport: Transport, asked: int | None, expected: int
) -> None:
    bedrock = with_config(fake, transport, maxTokens=100)
    assert sent(bedrock, fake, body(max_tokens=asked))["inferenceConfig"] == {"maxTokens": expected}


def test_what_converse_has_no_field_for_goes_to_the_model(bedrock: BedrockRequester, fake: FakeAws) -> None:
    own = {"anthropic_beta": ["x"]}
    got = sent(bedrock, fake, body(top_k=5, additionalModelRequestFields=own))
    assert got["additionalModelRequestFields"] == {"anthropic_beta": ["x"], "top_k": 5}
    got = sent(bedrock, fake, body(model=NOVA, top_k=5))
    assert got["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}


def test_converse_s_own_parameters_pass(bedrock: BedrockRequester, fake: FakeAws) -> None:
    own = {"performanceConfig": {"latency": "optimized"}, "requestMetadata": {"team": "a"}}
    got = sent(bedrock, fake, body(service_tier="flex", **own))
    assert {name: got[name] for name in (*own, "serviceTier")} == {**own, "serviceTier": {"type": "flex"}}


def test_what_is_left_out_is_named(bedrock: BedrockRequester, fake: FakeAws) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    asked = body(seed=1, user="me", response_format=schema, parallel_tool_calls=False, service_tier="scale")
    assert bedrock.unsupported(asked) == ["seed", "user", "response_format", "parallel_tool_calls", "service_tier"]
    assert sent(bedrock, fake, asked) == sent(bedrock, fake, body())
    off = body(seed=None, response_format={"type": "text"}, service_tier="auto", n=1, reasoning_effort="none")
    assert bedrock.unsupported(off) == []


# Thinking


@pytest.mark.parametrize(
    ("config", "options", "budget", "limit"),
    [
        ({}, {"reasoning_effort": "medium"}, 8192, 12288),
        ({}, {"reasoning_effort": "high", "max_tokens": 5000}, 2500, 5000),
        ({}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, 2000, 6096),
        ({"thinking": True}, {}, 1024, 5120),
        ({"thinking": True, "thinkBudget": 3000}, {}, 3000, 7096),
        ({"thinking": True, "thinkBudget": 10}, {}, 1024, 5120),
        ({"thinking": True}, {"thinking": {"type": "enabled", "budget_tokens": 4000}}, 4000, 8096),
        ({"thinking": True}, {"reasoning_effort": "low"}, 2048, 6144),
    ],
)
def test_thinking(fake: FakeAws, transport: Transport, config: JSON, options: JSON, budget: int, limit: int) -> None:
    bedrock = with_config(fake, transport, **config)
    got = sent(bedrock, fake, body(top_p=0.3, **options))
    assert got["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": budget}}
    assert got["inferenceConfig"] == {"maxTokens": limit, "temperature": 1}


@pytest.mark.parametrize("options", [{"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}])
def test_a_call_can_switch_thinking_off(fake: FakeAws, transport: Transport, options: JSON) -> None:
    bedrock = with_config(fake, transport, thinking=True)
    assert "additionalModelRequestFields" not in sent(bedrock, fake, body(**options))
    assert bedrock.unsupported(body(**options)) == []


def test_newer_models_decide_by_themselves_under_an_effort(bedrock: BedrockRequester, fake: FakeAws) -> None:
    got = sent(bedrock, fake, body(model=NEWEST, reasoning_effort="high", temperature=0.5))
    assert got["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    }
    assert "inferenceConfig" not in got


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 1500},
        {"tools": TOOLS, "tool_choice": "required"},
        {"model": NOVA},
        {"messages": [user(), assistant(call("c1")), result("c1")], "tools": TOOLS},
    ],
)
@pytest.mark.parametrize(
    ("name", "value"), [("reasoning_effort", "low"), ("thinking", {"type": "enabled", "budget_tokens": 2000})]
)
def test_thinking_that_would_be_refused_is_left_out_and_named(
    bedrock: BedrockRequester, fake: FakeAws, options: JSON, name: str, value: Any
) -> None:
    asked = {**body(), **options, name: value}
    assert "thinking" not in sent(bedrock, fake, asked).get("additionalModelRequestFields", {})
    assert bedrock.unsupported(asked) == [name]


def test_an_arn_s_family_is_told_by_the_settings(fake: FakeAws, transport: Transport) -> None:
    named = with_config(fake, transport, baseModelId=CLAUDE, thinking=True)
    assert sent(named, fake, body(model=PROFILE))["additionalModelRequestFields"]["thinking"]["type"] == "enabled"
    unnamed = with_config(fake, transport, thinking=True)
    assert "additionalModelRequestFields" not in sent(unnamed, fake, body(model=PROFILE))


def test_gpt_oss_takes_an_effort(bedrock: BedrockRequester, fake: FakeAws) -> None:
    asked = body(model="openai.gpt-oss-120b-1:0", reasoning_effort="minimal")
    assert sent(bedrock, fake, asked)["additionalModelRequestFields"] == {"reasoning_effort": "low"}
    assert bedrock.unsupported(asked) == []


# Tools


def test_tools(bedrock: BedrockRequester, fake: FakeAws) -> None:
    got = sent(bedrock, fake, body(tools=TOOLS))["toolConfig"]
    empty = {"json": {"type": "object", "properties": {}}}
    assert got == {
        "tools": [
            {"toolSpec": {"name": "find", "description": "Finds", "inputSchema": {"json": {"type": "object"}}}},
            {"toolSpec": {"name": "count", "inputSchema": empty}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "find"}}, {"tool": {"name": "find"}}),
    ],
)
def test_tool_choices(bedrock: BedrockRequester, fake: FakeAws, choice: Any, expected: JSON) -> None:
    assert sent(bedrock, fake, body(tools=TOOLS, tool_choice=choice))["toolConfig"]["toolChoice"] == expected


def test_no_choice_is_no_tools_unless_the_history_needs_them(bedrock: BedrockRequester, fake: FakeAws) -> None:
    assert "toolConfig" not in sent(bedrock, fake, body(tools=TOOLS, tool_choice="none"))
    assert bedrock.unsupported(body(tools=TOOLS, tool_choice="none")) == []
    history = body(user(), assistant(call("c1", "gone")), result("c1"), tools=TOOLS, tool_choice="none")
    names = [tool["toolSpec"]["name"] for tool in sent(bedrock, fake, history)["toolConfig"]["tools"]]
    assert names == ["find", "count", "gone"]
    assert bedrock.unsupported(history) == ["tool_choice"]
    alone = {name: history[name] for name in ("model", "messages")}
    assert [tool["toolSpec"]["name"] for tool in sent(bedrock, fake, alone)["toolConfig"]["tools"]] == ["gone"]
