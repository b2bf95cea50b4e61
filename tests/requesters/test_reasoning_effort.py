"""A row's reasoning effort reaches each vendor in its own words, or is named among what it does not get."""

from typing import Any

import pytest

from providers.policies import ReasoningEffort
from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.base import Endpoint, Requester
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from providers.requesters.gemini import GeminiRequester
from providers.requesters.ollama import OllamaRequester

NAME = "reasoning_effort"
KEY = '{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}'
Kind = type[Requester]
# A model that thinks, and how it is told "high".
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 16384}}
THINKING: list[tuple[Kind, str, dict[str, Any]]] = [
    (AnthropicRequester, "claude-sonnet-4-5", BUDGET),
    (BedrockRequester, "anthropic.claude-sonnet-4-5-20250929-v1:0", BUDGET),
    (GeminiRequester, "gemini-2.5-flash", {"thinkingConfig": {"thinkingBudget": 24576, "includeThoughts": True}}),
    (OllamaRequester, "qwen3", {"think": "high"}),
]
# Models that can't be told.
OTHERS: list[tuple[Kind, str]] = [(BedrockRequester, "amazon.nova-pro-v1:0"), (GeminiRequester, "gemini-2.0-flash")]


def requester_of(kind: Kind, transport: Transport) -> Requester:
    is_aws = kind is BedrockRequester
    endpoint = Endpoint("https://vendor.test", KEY if is_aws else "key", config={"region": "eu-west-1"})
    return kind(endpoint, transport)


def body(model: str, effort: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hi"}]
    return {"model": model, "messages": messages, "max_tokens": 60_000, NAME: effort}


@pytest.mark.parametrize("effort", ReasoningEffort.values)
@pytest.mark.parametrize(("kind", "model", "high"), THINKING)
def test_each_effort_is_told(transport: Transport, kind: Kind, model: str, high: dict[str, Any], effort: str) -> None:
    requester = requester_of(kind, transport)
    built, plain = (requester.build("chat", body(model, each)) for each in (effort, ""))
    assert NAME not in built
    assert built != plain or effort == "none"
    assert requester.unsupported(body(model, effort)) == []


@pytest.mark.parametrize(("kind", "model", "high"), THINKING)
def test_a_high_one_in_the_vendor_s_own_words(
    transport: Transport, kind: Kind, model: str, high: dict[str, Any]
) -> None:
    built = repr(requester_of(kind, transport).build("chat", body(model, "high")))
    assert all(repr({name: value})[1:-1] in built for name, value in high.items()), built


@pytest.mark.parametrize(("kind", "model"), OTHERS)
def test_a_model_that_can_t_be_told_does_not_get_it_and_it_is_named(
    transport: Transport, kind: Kind, model: str
) -> None:
    requester = requester_of(kind, transport)
    assert requester.unsupported(body(model, "high")) == [NAME]
    assert requester.build("chat", body(model, "high")) == requester.build("chat", body(model, ""))
    assert requester.unsupported(body(model, "none")) == []


@pytest.mark.parametrize("effort", ReasoningEffort.values)
def test_openai_s_own_protocol_has_it_as_it_is(requester: Requester, effort: str) -> None:
    assert requester.build("chat", body("m", effort))[NAME] == effort
    assert requester.unsupported(body("m", effort)) == []
