"""Each provider id of the original that is a model: saved with its own config, granted to a key, called, and charged at
the prices that were given per million tokens.

Only the address of AWS and of Gemini is the test's: where theirs is theirs, the config has no field for it.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Charge, Role
from accounts.services import keys
from tests import factories
from tests.fakes.aws import CLAUDE, DEEPSEEK, KEY_ID, SECRET, TITAN, FakeAws
from tests.fakes.azure import FakeAzure
from tests.fakes.gemini import FakeGemini
from tests.fakes.kinds import FakeKinds
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.fakes.server import FakeVendor

JSON = dict[str, Any]

PAIR = {"accessKeyId": KEY_ID, "secretAccessKey": SECRET}
VERSION = "2024-10-21"
CHAT = ("chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50})
EMBEDDINGS = ("embeddings", {"input": ["one", "two words"]})

# The id, the fake, its config, and how the fake can tell that the config was used.
Case = tuple[str, Callable[[], FakeVendor], Callable[[Any], JSON], Callable[[Any], bool]]
CASES: list[Case] = [
    (
        "bedrock-converse",
        FakeAws,
        lambda fake: {
            "modelId": CLAUDE,
            "regions": "us-east-1",
            "maxTokens": 20,
            "credentials": [PAIR],
            "maxRetries": 3,
            "baseURL": fake.origin,
        },
        lambda seen: seen.body["inferenceConfig"]["maxTokens"] == 20,
    ),
    (
        "bedrock-deepseek",
        FakeAws,
        lambda fake: {
            "modelId": DEEPSEEK,
            "regions": ["us-east-1"],
            "credentials": [PAIR],
            "baseURL": fake.origin,
        },
        lambda seen: DEEPSEEK.split(".")[0] in seen.path,
    ),
    (
        "sagemaker-lmi",
        FakeAws,
        lambda fake: {
            "endpointName": "my-endpoint",
            "regions": ["us-east-1"],
            "credentials": [PAIR],
            "baseURL": fake.origin,
        },
        lambda seen: seen.path == "/endpoints/my-endpoint/invocations",
    ),
    (
        "sagemaker-deepseek",
        FakeAws,
        lambda fake: {
            "endpointName": "my-endpoint",
            "regions": "us-east-1",
            "platform": "deepseek",
            "thinking": True,
            "credentials": [PAIR],
            "baseURL": fake.origin,
        },
        lambda seen: seen.path == "/endpoints/my-endpoint/invocations",
    ),
    (
        "openai-compatible",
        FakeOpenAI,
        lambda fake: {"baseURL": f"{fake.origin}/v1", "apiKey": fake.key, "model": "echo"},
        lambda seen: seen.body["model"] == "echo",
    ),
    (
        "azure-openai",
        FakeAzure,
        lambda fake: {
            "baseURL": f"{fake.origin}/openai/deployments/my-gpt",
            "apiKey": fake.key,
            "apiVersion": VERSION,
        },
        lambda seen: seen.path == f"/openai/deployments/my-gpt/chat/completions?api-version={VERSION}",
    ),
    (
        "gemini-converse",
        FakeGemini,
        lambda fake: {"apiKey": fake.key, "model": "gemini-2.5-flash", "baseURL": f"{fake.origin}/v1beta"},
        lambda seen: "gemini-2.5-flash" in seen.path,
    ),
    (
        "ollama",
        FakeOllama,
        lambda fake: {"host": fake.origin, "model": "echo"},
        lambda seen: seen.body["model"] == "echo",
    ),
]


class Gateway:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.admin = factories.key(role=Role.ADMIN)
        self.key = keys.issue(name="caller", balance=Decimal(50), month_quota=Decimal(0), start="br-", length=29)

    def admin_post(self, path: str, body: JSON) -> Any:
        answer = self.client.post(f"/admin/{path}", body, "application/json", headers={"x-api-key": self.admin.secret})
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    def save(self, provider: str, config: JSON, name: str = "m") -> int:
        """With a grant to the key."""
        prices = {"price_in": 3, "price_out": "15.5"}
        body = {"name": name, "provider": provider, "multiple": 1, "config": config, **prices}
        id: int = self.admin_post("model/save", body)["id"]
        self.admin_post("api-key/bind-or-unbind-model", {"key_id": self.key.key.pk, "model_id": id})
        return id

    def call(self, path: str, body: JSON, model: str = "m") -> Any:
        headers = {"authorization": f"Bearer {self.key.secret}"}
        return self.client.post(f"/v1/{path}", {"model": model, **body}, "application/json", headers=headers)


@pytest.fixture
def gateway(database: None, client: Client) -> Iterator[Gateway]:
    yield Gateway(client)
    assert not Charge.objects.filter(state="held").exists()


def check_charge(name: str = "m") -> None:
    charge = Charge.objects.get(model_name=name)
    assert charge.outcome == "ok"
    tokens_in = charge.input_tokens + charge.cached_read_tokens + charge.cached_write_tokens
    fee = (tokens_in * Decimal(3) + charge.output_tokens * Decimal("15.5")) / 1_000_000
    assert charge.fee == fee > 0


@pytest.mark.parametrize(("id", "fake", "config", "is_used"), CASES, ids=[case[0] for case in CASES])
def test_a_saved_model_is_called_and_charged(
    gateway: Gateway, id: str, fake: Callable[[], FakeVendor], config: Any, is_used: Any
) -> None:
    with fake() as vendor:
        gateway.save(id, config(vendor))
        answer = gateway.call(*CHAT)
        assert answer.status_code == 200, answer.content
        assert answer.json()["choices"][0]["message"]["content"]
        assert (is_used(vendor.seen[-1]), vendor.violations) == (True, [])
    assert gateway.key.secret.startswith("br-") and len(gateway.key.secret) == 32
    check_charge()


def test_embeddings_of_titan(gateway: Gateway) -> None:
    with FakeAws() as vendor:
        config = {"modelId": TITAN, "regions": "us-east-1", "dimensions": 256, "normalize": False}
        gateway.save("titan-embeddings", {**config, "credentials": [PAIR], "baseURL": vendor.origin})
        answer = gateway.call(*EMBEDDINGS)
        assert (answer.status_code, len(answer.json()["data"])) == (200, 2)
        assert vendor.seen[-1].body == {"inputText": "two words", "dimensions": 256, "normalize": False}
        assert vendor.violations == []
    check_charge()


def test_pictures_of_azure(gateway: Gateway) -> None:
    with FakeAzure() as vendor:
        vendor.deployments["dall-e-3"] = "dall-e-3"
        config = {"model": "dall-e-3", "baseURL": vendor.origin, "apiKey": vendor.key, "apiVersion": VERSION}
        gateway.save("azure-openai-image", config)
        answer = gateway.call("images/generations", {"prompt": "a bridge", "n": 1, "size": "1024x1024"})
        assert (answer.status_code, vendor.violations) == (200, []), answer.content
        assert vendor.seen[-1].path.startswith("/openai/deployments/dall-e-3/images/generations")
    check_charge()


def test_a_bedrock_key_that_is_a_token(gateway: Gateway) -> None:
    with FakeAws() as vendor:
        vendor.key = "bedrock-api-key"
        config = {"modelId": CLAUDE, "bearerToken": vendor.key, "baseURL": vendor.origin}
        gateway.save("bedrock-converse", config)
        assert gateway.call(*CHAT).status_code == 200
        assert vendor.seen[-1].headers["Authorization"] == "Bearer bedrock-api-key"


def test_a_router_has_another_model_choose(gateway: Gateway, upstream: FakeOpenAI) -> None:
    config = {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key, "model": "echo"}
    with FakeKinds() as chooser:
        gateway.save("openai-compatible", config, "big")
        gateway.save("openai-compatible", {**config, "baseURL": f"{chooser.origin}/v1"}, "chooser")
        rules = [{"name": "big", "description": "all", "cost": 1}]
        gateway.save("smart-router", {"rules": rules, "localLlmModel": "chooser"}, "auto")
        picked = {"name": "chooseModel", "arguments": '{"modelId": "big"}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": picked}],
        }
        told = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
        chooser.reply_json("echo", {**told, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        assert gateway.call(*CHAT, "auto").status_code == 200
    check_charge("big")
    check_charge("chooser")
    assert upstream.violations == []


def test_a_model_that_is_gone_while_it_answers_is_charged_all_the_same(gateway: Gateway, upstream: FakeOpenAI) -> None:
    id = gateway.save(
        "openai-compatible", {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key, "model": "echo"}
    )
    path, body = CHAT
    answer = gateway.call(path, {**body, "stream": True})
    events = iter(answer)
    next(events)
    gateway.admin_post("model/delete", {"id": id})
    assert b"[DONE]" in b"".join(events)
    answer.close()
    check_charge()
    assert gateway.call(*CHAT).status_code != 200
