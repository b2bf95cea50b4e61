"""Random conversations: each valid one becomes a body that the strict grammar accepts, and each stream, put together
again, is the whole answer. The seeds are fixed, so a failure can be run again by its number."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from tests.fakes.aws import CLAUDE, DEEPSEEK, NOVA, PROFILE, FakeAws
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT

MODELS = (
    CLAUDE,
    NOVA,
    DEEPSEEK,
    PROFILE,
    "us.anthropic.claude-opus-4-1-20250805-v1:0",
    "global.anthropic.claude-sonnet-4-6-20260101-v1:0",
    "mistral.mistral-large-2407-v1:0",
    "openai.gpt-oss-120b-1:0",
)
WORDS = ("", "a", "use tool", "Grüße\n", '{"json": true}', "[1]", " ", "\u2028", "\t\n", "😀" * 3)
PNG = "data:image/png;base64,iVBORw0KGgo="
EPHEMERAL = {"type": "ephemeral"}
ROUNDS = 150


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


def mark(random: Random, holder: JSON) -> JSON:
    return {**holder, "cache_control": EPHEMERAL} if random.random() < 0.03 else holder


def user_part(random: Random) -> JSON:
    name = random.choice(("report.txt", "a  b.txt", "ü/ü.txt", "", "x" * 300))
    makers = (
        lambda: {"type": "text", "text": random.choice(WORDS)},
        lambda: {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        lambda: {"type": "file", "file": {"filename": name, "file_data": "data:text/plain;base64,eA=="}},
        lambda: {"type": "doc", "doc": {"name": name, "format": "txt", "size": 1, "source": {"bytes": {"0": 65}}}},
    )
    return mark(random, random.choice(makers)())


def content(random: Random) -> Any:
    if random.random() < 0.5:
        return random.choice(WORDS)
    return [user_part(random) for _ in range(random.randint(0, 3))]


def said(random: Random, ids: list[str], *, is_signed: bool) -> JSON:
    calls = [
        {
            "id": each,
            "type": "function",
            "function": {
                "name": random.choice(("find", "count")),
                "arguments": random.choice(("{}", "", '{"a": [1]}')),
            },
        }
        for each in ids
    ]
    thinking = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "thinking", "thinking": "never signed"},
    ]
    message: JSON = {"role": "assistant", "content": random.choice((None, "", " ", "said"))}
    message |= {"tool_calls": calls} if calls else {"content": random.choice(WORDS)}
    return message | ({"thinking_blocks": thinking, "reasoning_content": "hm"} if is_signed else {})


def turn(random: Random, number: int) -> list[JSON]:
    """A user's message and what follows from it, in OpenAI's order: calls are answered at once, in any order."""
    messages = [{"role": "user", "content": content(random)} for _ in range(random.randint(0, 2))]
    if random.random() < 0.2:
        messages.insert(0, {"role": random.choice(("system", "developer")), "content": random.choice(WORDS)})
    is_signed = random.random() < 0.5
    for step in range(random.randint(0, 2)):
        long = "x" * 80 if random.random() < 0.1 else ""
        ids = [f"c{number}_{step}_{index}{long}" for index in range(random.randint(1, 3))]
        messages.append(said(random, ids, is_signed=is_signed))
        random.shuffle(ids)
        messages += [
            mark(random, {"role": "tool", "tool_call_id": each, "content": random.choice(WORDS)}) for each in ids
        ]
    return messages + [said(random, [], is_signed=is_signed) for _ in range(random.randint(0, 2))]


def tools(random: Random) -> list[JSON]:
    schema = {"type": "object", "additionalProperties": False}
    return [
        mark(random, {"type": "function", "function": {"name": name, "description": "", "parameters": schema}})
        for name in ("find", "count")
    ]


def conversation(random: Random) -> JSON:
    messages = [message for number in range(random.randint(1, 4)) for message in turn(random, number)]
    last = [{"role": "user", "content": random.choice(("use tool", "end"))}] if random.random() < 0.7 else []
    forced = {"type": "function", "function": {"name": "find"}}
    options: JSON = {
        "temperature": random.choice((0, 0.7, 2, None)),
        "top_p": random.choice((0.1, 1, None)),
        "top_k": random.choice((1, 40)),
        "max_tokens": random.choice((1, 100, 1025, 4000, 40_000, None)),
        "max_completion_tokens": random.choice((50, 5000)),
        "stop": random.choice(("x", ["x", "y"], [" ", "z"], None, "", [])),
        "n": random.choice((1, None)),
        "seed": 5,
        "reasoning_effort": random.choice((None, "none", "minimal", "low", "medium", "high", "xhigh")),
        "thinking": random.choice((None, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 2000})),
        "tools": tools(random),
        "tool_choice": random.choice((None, "auto", "none", "required", forced)),
        "parallel_tool_calls": random.choice((True, False)),
        "response_format": random.choice((None, {"type": "text"}, {"type": "json_object"})),
        "service_tier": random.choice(("auto", "default", "priority", "scale")),
        "user": "somebody",
    }
    chosen = {name: value for name, value in options.items() if random.random() < 0.5}
    if "tools" not in chosen:
        chosen.pop("tool_choice", None)  # OpenAI refuses a choice among no tools
    return {
        "model": random.choice(MODELS),
        "messages": [*messages, *last] or [{"role": "user", "content": ""}],
        **chosen,
    }


def settings(random: Random) -> JSON:
    cache = {"fields": ["system", "messages", "tools"], "messagePositions": [-1, 0, 2, 99, -99]}
    options: JSON = {
        "maxTokens": random.choice((500, 3000, "")),
        "thinking": random.choice((True, False, "")),
        "thinkBudget": random.choice((100, 2048, "")),
        "regions": random.choice((["eu-west-1", "us-east-1"], "us-east-1, eu-west-1", "")),
        "promptCache": random.choice(({}, cache)),
    }
    return {name: value for name, value in options.items() if random.random() < 0.3}


def put_together(events: list[JSON]) -> JSON:
    """What an OpenAI client makes of the chunks."""
    made: JSON = {"content": "", "reasoning": "", "calls": [], "thinking": [], "reason": None}
    for choice in (choice for event in events for choice in event["choices"]):
        delta = choice["delta"]
        made["content"] += delta.get("content") or ""
        made["reasoning"] += delta.get("reasoning_content") or ""
        made["thinking"] += delta.get("thinking_blocks") or []
        made["reason"] = choice["finish_reason"] or made["reason"]
        for part in delta.get("tool_calls") or []:
            if part["index"] == len(made["calls"]):
                made["calls"].append({name: value for name, value in part.items() if name != "index"})
            else:
                made["calls"][part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    return made | {"usage": events[-1].get("usage")}


def in_one_piece(answer: JSON) -> JSON:
    [choice] = answer["choices"]
    message = choice["message"]
    return {
        "content": message["content"] or "",
        "reasoning": message.get("reasoning_content", ""),
        "thinking": message.get("thinking_blocks", []),
        "calls": message.get("tool_calls", []),
        "reason": choice["finish_reason"],
        "usage": answer["usage"],
    }


def without_spaces(made: JSON) -> JSON:
    """Arguments are a text whose spaces are the vendor's own."""
    for call in made["calls"]:
        call["function"]["arguments"] = call["function"]["arguments"].replace(" ", "")
    return made


@pytest.mark.parametrize("seed", range(6))
def test_random_conversations_are_accepted_and_their_streams_are_the_whole_answer(
    server: FakeAws, transport: Transport, seed: int
) -> None:
    server.forget()
    random = Random(seed)
    for number in range(ROUNDS):
        asked, config = conversation(random), settings(random)
        endpoint = Endpoint(server.base_url, server.key, PATIENT, config=config)
        bedrock = BedrockRequester(endpoint, transport)
        whole = bedrock.chat(asked).json
        events = [event.json for event in bedrock.stream(asked)]
        where = f"seed {seed}, round {number}"
        assert server.violations == [], where
        assert without_spaces(put_together(events)) == without_spaces(in_one_piece(whole)), where
        assert set(bedrock.unsupported(asked)) <= asked.keys(), where
