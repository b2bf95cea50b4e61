from collections.abc import Iterator

import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.conftest import database_url
from tests.served.gateway import ServedGateway
from tests.served.workers.working import Tasks


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest) -> Iterator[ServedGateway]:
    """One gateway for a module's tests, on each database in turn; its workers are the tests' own."""
    with ServedGateway(database_url(request, request.param)) as served:
        yield served


@pytest.fixture(scope="module")
def tasks(gateway: ServedGateway) -> Tasks:
    return Tasks(gateway)


@pytest.fixture(scope="module")
def one_charge(gateway: ServedGateway, tasks: Tasks) -> Iterator[None]:
    with FakeOpenAI() as upstream:
        gateway.add_upstream(upstream, "echo")
        call = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
        answer = requests.post(f"{gateway.url}/v1/chat/completions", headers=tasks.headers, json=call, timeout=30)
        assert answer.status_code == 200, answer.text
        yield
