"""{"thinking": {"type": "enabled", "budget_tokens": n}} at each vendor that has a place for it."""

from typing import Any

import pytest

from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.base import Endpoint
from providers.requesters.errors import BadRequest
from providers.requesters.gemini import GeminiRequester
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini

JSON = dict[str, Any]
CLAUDE = "claude-sonnet-4-5"
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def body(model: str = CLAUDE, budget: Any = 2000, **fields: Any) -> JSON:
    thinking = {"type": "enabled", "budget_tokens": budget}
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "thinking": thinking, **fields}


@pytest.fixture
def gemini(transport: Any) -> Any:
    with FakeGemini() as fake:
        yield GeminiRequester(Endpoint(fake.base_url, fake.key), transport), fake
        assert fake.violations == []


def sent(claude: AnthropicRequester, anthropic: FakeAnthropic, given: JSON) -> JSON:
    claude.chat(given)
    assert anthropic.violations == []
    got: JSON = anthropic.seen[-1].body
    return got


@pytest.mark.parametrize(
    ("budget", "limit", "expected"),
    [(2000, 4096, 2000), (10, 4096, 1024), (4096, 4096, 2048), (50_000, 4096, 2048), (3000, 2500, 1250)],
)
def test_a_budget_stays_below_the_limit(
    claude: AnthropicRequester, anthropic: FakeAnthropic, budget: int, limit: int, expected: int
) -> None:
    got = sent(claude, anthropic, body(budget=budget, max_tokens=limit))
    assert (got["thinking"]["budget_tokens"], got["max_tokens"]) == (expected, limit)


def test_sampling_that_the_vendor_refuses_beside_it_is_left_out_and_named(
    claude: AnthropicRequester, anthropic: FakeAnthropic
) -> None:
    given = body(max_tokens=4096, temperature=0.5, top_p=0.9)
    got = sent(claude, anthropic, given)
    assert "temperature" not in got and got["thinking"]["type"] == "enabled"
    assert claude.unsupported(given) == ["temperature", "top_p"]
    assert claude.unsupported(body(max_tokens=4096, temperature=1)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1500},
        {"max_tokens": 4096, "tools": [TOOL], "tool_choice": "required"},
        {
            "max_tokens": 4096,
            "tools": [TOOL],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
            ],
        },
    ],
)
def test_where_there_is_no_room_for_it_the_call_goes_on_without(
    claude: AnthropicRequester, anthropic: FakeAnthropic, fields: JSON
) -> None:
    assert "thinking" not in sent(claude, anthropic, body(**fields))
    assert claude.unsupported(body(**fields)) == ["thinking"]


def test_what_is_switched_off_is_said_as_it_is(claude: AnthropicRequester, anthropic: FakeAnthropic) -> None:
    given = {**body(temperature=0.5), "thinking": {"type": "disabled"}}
    got = sent(claude, anthropic, given)
    assert (got["thinking"], got["temperature"]) == ({"type": "disabled"}, 0.5)
    assert claude.unsupported(given) == []


@pytest.mark.parametrize("budget", ["many", 1.5, [1]])
def test_a_budget_is_a_whole_number(claude: AnthropicRequester, anthropic: FakeAnthropic, budget: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        claude.chat(body(budget=budget, max_tokens=4096))
    assert caught.value.param == "thinking"
    assert anthropic.seen == []


@pytest.mark.parametrize(
    ("model", "budget", "limit", "expected"),
    [
        ("gemini-2.5-flash", 2000, 8000, 2000),
        ("gemini-2.5-flash", 6000, 8000, 4000),
        ("gemini-2.0-flash", 2000, 8000, None),
        ("gemini-2.5-flash", "many", 8000, None),
    ],
)
def test_gemini_takes_it_where_it_can_think(gemini: Any, model: str, budget: Any, limit: int, expected: Any) -> None:
    requester, fake = gemini
    given = body(model, budget, max_tokens=limit)
    requester.chat(given)
    config = fake.seen[-1].body["generationConfig"].get("thinkingConfig")
    assert config == (expected and {"thinkingBudget": expected, "includeThoughts": True})
    assert requester.unsupported(given) == ([] if expected else ["thinking"])
