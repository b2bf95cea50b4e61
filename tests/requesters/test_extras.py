"""Settings of a provider that go along with its calls."""

from collections.abc import Callable
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.extras import ArgsRequester, ExtrasRequester, LiteLLMRequester, UnaskedUsageRequester
from tests.fakes.openai import FakeOpenAI

HELLO = [{"role": "user", "content": "Hello!"}]
Build = Callable[..., ExtrasRequester]


@pytest.fixture
def build(openai: FakeOpenAI, transport: Transport) -> Build:
    def make(kind: type[ExtrasRequester], **config: Any) -> ExtrasRequester:
        return kind(Endpoint(openai.base_url, openai.key, config=config), transport)

    return make


def test_arguments_are_sent_with_each_chat(build: Build, openai: FakeOpenAI) -> None:
    build(ArgsRequester, args={"temperature": 0.5, "seed": 3}).chat({"model": "echo", "messages": HELLO})
    assert openai.seen[-1].body == {"model": "echo", "messages": HELLO, "temperature": 0.5, "seed": 3}
    assert openai.violations == []


def test_with_a_streamed_one_too(build: Build, openai: FakeOpenAI) -> None:
    list(build(ArgsRequester, args={"seed": 3}).stream({"model": "echo", "messages": HELLO}))
    assert openai.seen[-1].body["seed"] == 3


def test_what_the_caller_says_wins(build: Build) -> None:
    built = build(ArgsRequester, args={"seed": 3}).build("chat", {"model": "echo", "messages": HELLO, "seed": 4})
    assert built["seed"] == 4


def test_no_argument_changes_what_a_call_is_weighed_by(build: Build) -> None:
    args = {"model": "dear", "messages": [], "n": 9, "max_tokens": 9, "stream": True, "top_k": 1}
    assert build(ArgsRequester, args=args).build("chat", {"prompt": "x"}) == {"prompt": "x", "top_k": 1}


@pytest.mark.parametrize("args", [None, [], "x"])
def test_arguments_that_are_none_are_left_alone(build: Build, args: Any) -> None:
    assert build(ArgsRequester, args=args).build("chat", {"model": "m"}) == {"model": "m"}


def test_arguments_stay_out_of_embeddings(build: Build) -> None:
    assert build(ArgsRequester, args={"seed": 3}).build("embedding", {"input": "x"}) == {"input": "x"}


def test_a_litellm_proxy_gets_its_own_settings(build: Build) -> None:
    given = {"drop_params": True, "num_retries": 2, "custom_llm_provider": "", "headers": {}}
    for operation in ("chat", "completion", "embedding"):
        built = build(LiteLLMRequester, **given).build(operation, {"model": "m"})
        assert built == {"model": "m", "drop_params": True, "num_retries": 2}
    assert build(LiteLLMRequester, **given).build("rerank", {"model": "m"}) == {"model": "m"}


def test_a_vendor_that_refuses_to_be_asked_for_usage_is_not_asked(openai: FakeOpenAI, transport: Transport) -> None:
    requester = UnaskedUsageRequester(Endpoint(openai.base_url, openai.key), transport)
    list(requester.stream({"model": "echo", "messages": HELLO, "stream_options": {"include_usage": True}}))
    assert openai.seen[-1].body == {"model": "echo", "messages": HELLO, "stream": True}
    assert requester.unsupported({"stream_options": {}}) == []
