"""The official OpenAI SDK, unchanged, against a served gateway: over an OpenAI-compatible upstream and Anthropic's."""

from collections.abc import Iterator

import openai
import pytest

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway

HELLO = [{"role": "user", "content": "hi"}]
FINISH = {"echo": "length", "claude-echo": "stop"}  # how each fake ends its answer
OUTPUT_TOKENS = {"echo": 4, "claude-echo": 23}  # and what it reports
LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def served(fake: FakeOpenAI) -> Iterator[ServedGateway]:
    with ServedGateway() as gateway, FakeAnthropic() as anthropic:
        gateway.add_upstream(fake, "echo", "401", "429", "500", "hang-midstream")
        echo = ("--upstream-name", "echo")
        gateway.manage("add_model", "vectors", "--provider", f"fake {fake.port} echo", *echo, "--kind", "embedding")
        place = ("--base-url", anthropic.origin, "--key", anthropic.key)
        gateway.manage("add_provider", "claude", "--requester", "anthropic", *place)
        prices = ("--price-in", "3", "--price-out", "15", "--price-cached-read", "0.3")
        gateway.manage("add_model", "claude-echo", "--provider", "claude", *echo, *prices)
        yield gateway
        assert anthropic.violations == []


@pytest.fixture(scope="module")
def secret(served: ServedGateway) -> str:
    return served.create_key("--quota", "50")


@pytest.fixture
def sdk(served: ServedGateway, secret: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("model", ["echo", "claude-echo"])
def test_chat(sdk: openai.OpenAI, model: str) -> None:
    answer = sdk.chat.completions.create(model=model, messages=HELLO, max_tokens=4)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == FINISH[model]
    assert answer.usage is not None and answer.usage.completion_tokens == OUTPUT_TOKENS[model]
    assert answer._request_id is not None and answer._request_id.startswith("req_")


@pytest.mark.parametrize("model", ["echo", "claude-echo"])
def test_stream(sdk: openai.OpenAI, model: str) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model=model, messages=HELLO, max_tokens=4, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert len(text.split()) == 4
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == FINISH[model]
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == OUTPUT_TOKENS[model]


@pytest.mark.parametrize("model", ["echo", "claude-echo"])
def test_tools_there_and_back(sdk: openai.OpenAI, model: str) -> None:
    asked = [{"role": "user", "content": "use tool"}]
    answer = sdk.chat.completions.create(model=model, messages=asked, tools=[LOOK])
    message = answer.choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "look"
    assert answer.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "a cat"}
    again = [*asked, message.model_dump(exclude_none=True), result, *HELLO]
    assert sdk.chat.completions.create(model=model, messages=again, tools=[LOOK]).choices[0].message.content


@pytest.mark.parametrize("model", ["echo", "claude-echo"])
def test_streamed_tools(sdk: openai.OpenAI, model: str) -> None:
    with sdk.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "use tool"}], tools=[LOOK]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "look"


def test_embeddings(sdk: openai.OpenAI) -> None:
    answer = sdk.embeddings.create(model="vectors", input=["a", "b"])
    assert [len(item.embedding) for item in answer.data] == [8, 8]


def test_models(sdk: openai.OpenAI) -> None:
    assert {"echo", "claude-echo", "vectors"} <= {model.id for model in sdk.models.list()}
    assert sdk.models.retrieve("echo").id == "echo"


def test_completions(sdk: openai.OpenAI) -> None:
    assert sdk.completions.create(model="echo", prompt="once", max_tokens=2).choices[0].text


@pytest.mark.parametrize(
    ("model", "error"),
    [("nothing", openai.NotFoundError), ("429", openai.RateLimitError), ("500", openai.InternalServerError)],
)
def test_errors_are_the_sdks_own(sdk: openai.OpenAI, model: str, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(model=model, messages=HELLO)
    assert caught.value.request_id is not None


def test_a_wrong_key_is_an_authentication_error(served: ServedGateway) -> None:
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="wb-wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_bad_field_is_a_bad_request_with_its_param(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="echo", messages=[])
    assert caught.value.param == "messages"


def test_the_sdk_does_not_retry_a_drained_key(served: ServedGateway, fake: FakeOpenAI) -> None:
    drained = served.create_key("--quota", "0")
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=drained, max_retries=5)
    with client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="echo", messages=HELLO)
    assert caught.value.code == "insufficient_quota"


def test_a_broken_stream_raises_the_sdks_error(sdk: openai.OpenAI, served: ServedGateway) -> None:
    served.manage("shell", "-v0", "-c", "Provider.objects.update(idle_timeout=0.5)")
    with pytest.raises(openai.APIError):
        list(sdk.chat.completions.create(model="hang-midstream", messages=HELLO, stream=True))


def test_every_call_above_left_a_whole_ledger(served: ServedGateway) -> None:
    assert served.audit() == "The ledger is whole."
