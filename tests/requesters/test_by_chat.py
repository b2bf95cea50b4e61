"""Text completions by way of chat."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint, Requester
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from providers.requesters.errors import BadAnswer, BadRequest
from tests.fakes.aws import CLAUDE, DEEPSEEK, FakeAws
from tests.fakes.openai import FakeOpenAI

JSON = dict[str, Any]
HELLO = [{"role": "user", "content": "hi"}]


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def bedrock(aws: FakeAws, transport: Transport) -> BedrockRequester:
    return BedrockRequester(Endpoint(aws.base_url, aws.key, config={"regions": ["us-east-1"]}), transport)


@pytest.fixture
def compatible(openai: FakeOpenAI, transport: Transport) -> Requester:
    return Requester(Endpoint(openai.base_url, openai.key), transport)


@pytest.mark.parametrize("prompt", ["hi", ["hi"]])
def test_a_vendor_that_only_chats_completes_by_chat(bedrock: BedrockRequester, aws: FakeAws, prompt: Any) -> None:
    answer = bedrock.complete({"model": CLAUDE, "prompt": prompt, "max_tokens": 9}).json
    assert aws.seen[-1].body["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]
    assert answer["object"] == "text_completion" and answer["model"] == CLAUDE and answer["created"] > 0
    choice = {"index": 0, "text": "Hello from the fake", "logprobs": None, "finish_reason": "stop"}
    assert answer["choices"] == [choice]
    assert answer["usage"]["completion_tokens"] > 0


def test_so_does_its_stream(bedrock: BedrockRequester) -> None:
    chunks = [event.json for event in bedrock.stream_completion({"model": CLAUDE, "prompt": "hi"})]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in choices) == "Hello from the fake"
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert not any("delta" in choice or "message" in choice for choice in choices)
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_what_was_thought_is_no_part_of_the_text(bedrock: BedrockRequester) -> None:
    [choice] = bedrock.complete({"model": DEEPSEEK, "prompt": "hi"}).json["choices"]
    assert (choice["text"], choice["reasoning_content"]) == ("Hello from the fake", "Let me think.")
    chunks = [event.json for event in bedrock.stream_completion({"model": DEEPSEEK, "prompt": "hi"})]
    thought = [choice.get("reasoning_content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(thought) == "Let me think."


def test_messages_make_a_completion_at_any_vendor(compatible: Requester, openai: FakeOpenAI) -> None:
    body = {"model": "echo", "prompt": None, "messages": HELLO, "max_tokens": 2}
    answer = compatible.complete(body).json
    assert (openai.seen[-1].path, openai.seen[-1].body) == (
        "/v1/chat/completions",
        {"model": "echo", "messages": HELLO, "max_tokens": 2},
    )
    assert (answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]) == ("tok0 tok1", "length")
    chunks = [event.json for event in compatible.stream_completion(body)]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == "tok0 tok1"


def test_a_vendor_s_own_completions_come_first(compatible: Requester, openai: FakeOpenAI) -> None:
    answer = compatible.complete({"model": "echo", "prompt": "hi", "messages": HELLO, "max_tokens": 2})
    assert openai.seen[-1].path == "/v1/completions"
    assert answer.raw is not None


@pytest.mark.parametrize("prompt", ["", [], ["a", "b"], [1, 2], 7, None])
def test_one_text_at_a_time(bedrock: BedrockRequester, aws: FakeAws, prompt: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        bedrock.complete({"model": CLAUDE, "prompt": prompt})
    assert caught.value.param == "prompt"
    assert aws.seen == []


def test_what_a_chat_has_no_place_for_is_named(bedrock: BedrockRequester, compatible: Requester) -> None:
    asked = {"model": CLAUDE, "prompt": "hi", "max_tokens": 9, "suffix": "!", "best_of": 2}
    assert bedrock.left_out("completion", asked) == ["suffix", "best_of"]
    assert compatible.left_out("completion", asked) == []


@pytest.mark.parametrize("choices", [None, "none", [1], [{"message": "text"}]])
def test_an_answer_of_another_shape_is_the_upstream_s_mistake(
    compatible: Requester, openai: FakeOpenAI, choices: Any
) -> None:
    openai.reply_json("odd", {"choices": choices})
    with pytest.raises(BadAnswer):
        compatible.complete({"model": "odd", "messages": HELLO})


def test_a_stream_that_is_left_is_closed(compatible: Requester, openai: FakeOpenAI) -> None:
    stream = compatible.stream_completion({"model": "slow-forever", "messages": HELLO})
    assert next(stream).json["choices"][0]["text"] == "tok0 "
    stream.close()
