from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import Timeouts, Transport
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.openai import FakeOpenAI

# Short enough for tests, long enough for a busy machine.
QUICK = Timeouts(connect=2.0, first_byte=0.4, idle=0.4, total=5.0)
PATIENT = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)


@pytest.fixture(scope="module")
def openai_server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def openai(openai_server: FakeOpenAI) -> FakeOpenAI:
    openai_server.forget()
    return openai_server


@pytest.fixture(scope="module")
def anthropic_server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def anthropic(anthropic_server: FakeAnthropic) -> FakeAnthropic:
    anthropic_server.forget()
    return anthropic_server


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(allow_private=True)
    yield transport
    transport.close()


@pytest.fixture
def requester(openai: FakeOpenAI, transport: Transport) -> Requester:
    return Requester(Endpoint(openai.base_url, openai.key, PATIENT), transport)


@pytest.fixture
def claude(anthropic: FakeAnthropic, transport: Transport) -> AnthropicRequester:
    return AnthropicRequester(Endpoint(anthropic.base_url, anthropic.key, PATIENT), transport)


@pytest.fixture
def with_options(openai: FakeOpenAI, transport: Transport) -> Callable[..., Requester]:
    """A requester whose endpoint differs from the usual one."""

    def build(**options: Any) -> Requester:
        return Requester(Endpoint(**{"base_url": openai.base_url, "api_key": openai.key, **options}), transport)

    return build
