"""A gateway with several upstreams, each a server on a socket of its own."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from providers.models import AIModel, Provider
from providers.services.board import Subject, board
from tests import factories
from tests.fakes.openai import FakeOpenAI

FREE = {"price_in": None, "price_out": None}


class Routes:
    """Upstreams a, b, c … behind public names, and a key that may call all of them."""

    def __init__(self, client: Client, stack: ExitStack) -> None:
        self.client = client
        self.key: IssuedKey = factories.key()
        self._stack = stack
        self.fakes: dict[str, FakeOpenAI] = {}

    def upstream(self, name: str, **fields: Any) -> Provider:
        """A provider of that name; `retries` 0, so that a test says what it wants of them."""
        fake = self.fakes[name] = self._stack.enter_context(FakeOpenAI())
        return factories.provider(fake, **{"name": name, "retries": 0, **fields})

    def deployment(self, upstream: str, name: str = "echo", **fields: Any) -> AIModel:
        """A model on a new upstream of that name; upstream's own name for it is echo unless said."""
        return factories.model(
            self.upstream(upstream, **fields.pop("provider", {})), name, **{"upstream_name": "echo", **fields}
        )

    def chat(
        self, model: str = "echo", key: IssuedKey | None = None, headers: dict[str, str] | None = None, **fields: Any
    ) -> Any:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        secret = (key or self.key).secret
        return self.client.post(
            "/v1/chat/completions",
            body,
            content_type="application/json",
            headers={"authorization": f"Bearer {secret}", **(headers or {})},
        )

    def served_by(self, model: str = "echo", **fields: Any) -> str:
        """The upstream that answered."""
        answer = self.chat(model, **fields)
        assert answer.status_code == 200, answer.content
        return answer.headers["x-weighbridge-route"].rpartition("@")[2]

    def calls(self, upstream: str) -> int:
        return sum(each.method == "POST" for each in self.fakes[upstream].seen)

    def sent(self, upstream: str) -> Any:
        """The last body that this upstream got."""
        return self.fakes[upstream].seen[-1].body


@pytest.fixture
def routes(database: None, client: Client) -> Iterator[Routes]:
    with ExitStack() as stack:
        yield Routes(client, stack)


def pass_time(subject: Subject, *, is_tried: bool = False) -> None:
    """The rest of that deployment or key is over; `is_tried`: and some call is just finding out.

    It counts as news, or else the exchange with the other processes could put the row's own time back.
    """
    with board().lock:
        board().unwritten.add(subject)
        trial_until = time.time() + 5 if is_tried else 0.0
        # Another object, as everywhere: an exchange that is writing the old one down must not take this for told.
        board().rests[subject] = replace(board().rests[subject], until=time.time() - 1, trial_until=trial_until)


def last_charge() -> Charge:
    return Charge.objects.latest("id")
