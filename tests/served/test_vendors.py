"""The official OpenAI SDK, unchanged, over each foreign protocol: a served gateway between it and a strict fake."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from tests.fakes.aws import CLAUDE, NOVA, FakeAws
from tests.fakes.azure import FakeAzure
from tests.fakes.gemini import FakeGemini
from tests.fakes.ollama import FakeOllama
from tests.fakes.server import FakeVendor
from tests.served.gateway import ServedGateway

LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
}


@dataclass(frozen=True)
class Vendor:
    """A kind of provider, its fake, and a model of it that echoes."""

    requester: str
    fake: Callable[[], FakeVendor]
    model: str
    config: dict[str, Any] = field(default_factory=dict)
    embedding: str = ""


VENDORS = {
    "bedrock": Vendor("bedrock-converse", FakeAws, CLAUDE, {"regions": ["us-east-1"]}),
    "nova": Vendor("bedrock-converse", FakeAws, NOVA, {"regions": ["eu-west-1"]}),
    "gemini": Vendor("gemini-converse", FakeGemini, "gemini-2.5-flash", embedding="gemini-embedding-001"),
    "ollama": Vendor("ollama-chat", FakeOllama, "echo", embedding="echo"),
    "azure": Vendor("azure-openai", FakeAzure, "my-gpt", embedding="echo"),
    "sagemaker": Vendor("sagemaker-lmi", FakeAws, "my-endpoint"),
}


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, FakeVendor]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(vendor.fake()) for name, vendor in VENDORS.items()}


@pytest.fixture(scope="module")
def served(fakes: dict[str, FakeVendor]) -> Iterator[ServedGateway]:
    with ServedGateway() as gateway:
        for name, vendor in VENDORS.items():
            fake = fakes[name]
            place = ("--base-url", fake.base_url, "--key", fake.key, "--config", json.dumps(vendor.config))
            gateway.manage("add_provider", name, "--requester", vendor.requester, *place)
            prices = ("--price-in", "1", "--price-out", "2")
            gateway.manage("add_model", name, "--provider", name, "--upstream-name", vendor.model, *prices)
            if vendor.embedding:
                kind = ("--kind", "embedding", "--upstream-name", vendor.embedding)
                gateway.manage("add_model", f"{name}-vectors", "--provider", name, *kind, *prices)
        yield gateway
        assert gateway.audit() == "The ledger is whole."
        assert {name: fake.violations for name, fake in fakes.items() if fake.violations} == {}


@pytest.fixture(scope="module")
def sdk(served: ServedGateway) -> Iterator[openai.OpenAI]:
    secret = served.create_key("--quota", "50")
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=0, timeout=20) as client:
        yield client


def hello(text: str = "hi") -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def last(served: ServedGateway, columns: str) -> tuple[Any, ...]:
    return served.rows(f"SELECT {columns} FROM accounts_charge ORDER BY id DESC LIMIT 1")[0]


@pytest.mark.parametrize("name", VENDORS)
def test_chat(sdk: openai.OpenAI, served: ServedGateway, name: str) -> None:
    answer = sdk.chat.completions.create(model=name, messages=hello(), max_tokens=50, temperature=0.5)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    used = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    tokens = last(
        served, "input_tokens + cached_read_tokens + cached_write_tokens, output_tokens, usage_source, outcome"
    )
    assert tokens == (*used, "reported", "ok")


@pytest.mark.parametrize("name", VENDORS)
def test_a_stream_says_the_same(sdk: openai.OpenAI, served: ServedGateway, name: str) -> None:
    whole = sdk.chat.completions.create(model=name, messages=hello(), max_tokens=50)
    options = {"include_usage": True}
    stream = sdk.chat.completions.create(
        model=name, messages=hello(), max_tokens=50, stream=True, stream_options=options
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finishes == [whole.choices[0].finish_reason]
    assert chunks[-1].usage is not None and whole.usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert last(served, "usage_source, outcome") == ("reported", "ok")


@pytest.mark.parametrize("name", VENDORS)
def test_tools_there_and_back(sdk: openai.OpenAI, name: str) -> None:
    asked = hello("use tool")
    answer = sdk.chat.completions.create(model=name, messages=asked, tools=[LOOK], max_tokens=50)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    assert message.tool_calls[0].function.name == "look"
    assert isinstance(json.loads(message.tool_calls[0].function.arguments), dict)
    results = [{"role": "tool", "tool_call_id": call.id, "content": "a cat"} for call in message.tool_calls]
    again = [*asked, message.model_dump(exclude_none=True), *results, {"role": "user", "content": "and now?"}]
    assert (
        sdk.chat.completions.create(model=name, messages=again, tools=[LOOK], max_tokens=50).choices[0].message.content
    )


@pytest.mark.parametrize("name", [name for name, vendor in VENDORS.items() if vendor.embedding])
def test_embeddings(sdk: openai.OpenAI, name: str) -> None:
    """The SDK asks for base64 and unpacks it itself."""
    answer = sdk.embeddings.create(model=f"{name}-vectors", input=["a", "b"])
    assert len(answer.data) == 2
    assert all(isinstance(number, float) for item in answer.data for number in item.embedding)


@pytest.mark.parametrize("name", VENDORS)
def test_what_an_upstream_does_not_know_is_named(sdk: openai.OpenAI, name: str) -> None:
    answer = sdk.chat.completions.with_raw_response.create(
        model=name, messages=hello(), max_tokens=50, seed=7, user="u"
    )
    assert answer.status_code == 200
    assert answer.headers["x-weighbridge-route"].endswith(f"@{name}")
    dropped = answer.headers.get("x-weighbridge-dropped", "")
    assert set(filter(None, dropped.split(", "))) <= {"seed", "user"}
