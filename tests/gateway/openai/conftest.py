from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from tests import factories
from tests.fakes.openai import FakeOpenAI


@dataclass
class Api:
    """The gateway's OpenAI API as alice uses it: a key with 100 USD a month, all models, one strict upstream."""

    client: Client
    alice: IssuedKey
    upstream: FakeOpenAI

    def post(self, path: str, body: Any, secret: str | None = None, **headers: str) -> HttpResponseBase:
        authorization = f"Bearer {self.alice.secret if secret is None else secret}"
        return self.client.post(
            f"/v1/{path}", body, content_type="application/json", headers={"authorization": authorization, **headers}
        )

    def get(self, path: str, secret: str | None = None) -> HttpResponseBase:
        authorization = f"Bearer {self.alice.secret if secret is None else secret}"
        return self.client.get(f"/v1/{path}", headers={"authorization": authorization})

    def chat(self, model: str = "echo", secret: str | None = None, **fields: Any) -> Any:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        return self.post("chat/completions", body, secret)

    def stream(self, model: str = "echo", **fields: Any) -> list[str]:
        """The data of each event."""
        answer = self.chat(model, stream=True, **fields)
        assert answer.status_code == 200, answer.content
        frames = answer.getvalue().decode().split("\n\n")
        assert frames.pop() == ""
        assert all(frame.startswith("data: ") for frame in frames)
        return [frame[6:] for frame in frames]


BEHAVIOURS = (
    "echo",
    "cut",
    "cut-body",
    "garbage",
    "html",
    "401",
    "404",
    "429",
    "500",
    "503",
    "error-in-stream",
    "no-usage",
)


@pytest.fixture
def api(database: None, client: Client, upstream: FakeOpenAI) -> Iterator[Api]:
    provider = factories.provider(upstream)
    for name in BEHAVIOURS:
        factories.model(provider, name)
    factories.model(provider, "vectors", upstream_name="echo", kind="embedding")
    yield Api(client, factories.key(), upstream)


def last_charge() -> Charge:
    return Charge.objects.select_related("key", "thread").latest("id")
