"""A client written from the documentation's page alone, and the tests of models that it asks for."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey, Charge, Role, User
from accounts.services import tokens
from providers.models import AIModel, Provider
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.langbot.conftest import PASSWORD, Api, caller

pytestmark = pytest.mark.usefixtures("database")

LLM = "provider/models/llm"


def body(upstream: FakeOpenAI, **changes: Any) -> dict[str, Any]:
    return {
        "name": "GPT-4",
        "description": "OpenAI GPT-4 model",
        "requester": "openai-chat-completions",
        "requester_config": {"base_url": f"{upstream.origin}/v1", "model": "echo", "args": {}},
        "api_keys": [{"name": "default", "keys": [upstream.key]}],
        "abilities": ["chat", "vision"],
        "extra_args": {},
        **changes,
    }


def headers_of(way: str, secret: str) -> dict[str, str]:
    admin = User.objects.create_superuser("admin@example.com", "admin@example.com", PASSWORD)
    return {
        "X-API-Key": {"X-API-Key": secret},
        "Bearer key": {"Authorization": f"Bearer {secret}"},
        "user token": {"Authorization": f"Bearer {tokens.issue(user=admin)}"},
    }[way]


@pytest.mark.parametrize("way", ["X-API-Key", "Bearer key", "user token"])
def test_a_model_is_made_tested_called_and_removed(way: str, upstream: FakeOpenAI) -> None:
    secret = factories.key(role=Role.ADMIN).secret
    api = caller(**headers_of(way, secret))
    ok = {"code": 0, "msg": "ok", "data": {}}

    created = api("post", LLM, body(upstream)).json()
    uuid = created["data"]["uuid"]
    assert created == {"code": 0, "msg": "ok", "data": {"uuid": uuid}}
    assert [each["uuid"] for each in api("get", LLM).json()["data"]["models"]] == [uuid]
    shown = api("get", f"{LLM}/{uuid}").json()["data"]["model"]
    assert api("put", f"{LLM}/{uuid}", shown).json() == ok
    assert api("put", f"{LLM}/{uuid}", {"description": "changed"}).json() == ok
    assert api("post", f"{LLM}/{uuid}/test", {}).json() == ok

    chat = {"model": "GPT-4", "messages": [{"role": "user", "content": "hello there"}]}
    called = Client(headers={"Authorization": f"Bearer {secret}"}).post("/v1/chat/completions", chat, JSON).json()
    assert called["choices"][0]["message"]["content"]
    assert upstream.seen[-1].body["model"] == "echo"

    assert api("delete", f"{LLM}/{uuid}").json() == ok
    assert api("get", f"{LLM}/{uuid}").status_code == 404
    gone = Client(headers={"Authorization": f"Bearer {secret}"}).post("/v1/chat/completions", chat, JSON)
    assert gone.status_code == 404
    assert not upstream.violations


JSON = "application/json"
USER = {"role": "user", "content": "hello there"}


@pytest.fixture
def key() -> Api:
    return caller(**{"X-API-Key": factories.key(role=Role.ADMIN).secret})


def test_a_test_is_a_charged_call_on_the_usual_way(key: Api, upstream: FakeOpenAI) -> None:
    uuid = key("post", LLM, body(upstream)).json()["data"]["uuid"]
    assert key("post", f"{LLM}/{uuid}/test").json()["code"] == 0  # no body is an empty one
    charge = Charge.objects.get()
    assert (charge.model_name, charge.state, charge.key.is_internal) == ("GPT-4", "settled", True)


def test_extra_args_of_a_test_are_for_that_call_alone(key: Api, upstream: FakeOpenAI) -> None:
    uuid = key("post", LLM, body(upstream, extra_args={"top_p": 0.5})).json()["data"]["uuid"]
    key("post", f"{LLM}/{uuid}/test", {"extra_args": {"seed": 7}})
    sent = upstream.seen[-1].body
    assert (sent["seed"], sent["top_p"]) == (7, 0.5)
    assert AIModel.objects.get().extra_args == {"top_p": 0.5}


def test_a_refused_argument_of_a_test_is_told(key: Api, upstream: FakeOpenAI) -> None:
    uuid = key("post", LLM, body(upstream)).json()["data"]["uuid"]
    answer = key("post", f"{LLM}/{uuid}/test", {"extra_args": {"model": "other"}})
    assert (answer.status_code, answer.json()["code"]) == (400, -1)


@pytest.mark.parametrize("shape", ["one-layer", "inline", "stored"])
def test_a_model_that_is_not_saved_is_tested_and_leaves_nothing(key: Api, upstream: FakeOpenAI, shape: str) -> None:
    one_layer = body(upstream)
    inline = {"requester": one_layer["requester"], "base_url": f"{upstream.origin}/v1", "api_keys": [upstream.key]}
    stored = {"provider_uuid": str(factories.provider(upstream).uuid)} if shape == "stored" else {}
    bodies = {
        "one-layer": one_layer,
        "inline": {"name": "echo", "provider": inline},
        "stored": {"name": "echo", **stored},
    }
    before = (Provider.objects.count(), AIModel.objects.count())
    assert key("post", f"{LLM}/_/test", bodies[shape]).json() == {"code": 0, "msg": "ok", "data": {}}
    assert (Provider.objects.count(), AIModel.objects.count()) == before
    assert upstream.seen[-1].body["model"] == "echo"


@pytest.mark.parametrize(
    ("model", "secret", "reason"),
    [
        ("echo", "sk-wrong", "Invalid API key"),
        ("nobody-has-this", None, "Invalid model or endpoint"),
        ("429", None, "Rate limit exceeded or insufficient balance"),
    ],
)
def test_a_test_that_fails_says_why(
    key: Api, upstream: FakeOpenAI, model: str, secret: str | None, reason: str
) -> None:
    config = {"base_url": f"{upstream.origin}/v1", "model": model}
    answer = key("post", f"{LLM}/_/test", body(upstream, requester_config=config, api_keys=[secret or upstream.key]))
    told = {"code": "model_test_failed", "msg": f"Model request failed: {reason}"}
    assert (answer.status_code, answer.json()) == (400, told)


def test_a_test_of_nothing_reachable_says_so(key: Api, upstream: FakeOpenAI) -> None:
    config = {"base_url": "http://127.0.0.1:9/v1", "model": "echo"}
    answer = key("post", f"{LLM}/_/test", body(upstream, requester_config=config))
    assert answer.json() == {"code": "model_test_failed", "msg": "Model request failed: Connection failed"}


@pytest.mark.parametrize(
    "changes", [{"requester": "nobody"}, {"api_keys": ["***"]}, {"extra_args": {"model": 1}}, {"name": None}]
)
def test_a_wrong_body_of_a_test_is_the_caller_s_mistake(key: Api, upstream: FakeOpenAI, changes: Any) -> None:
    answer = key("post", f"{LLM}/_/test", body(upstream, **changes))
    assert (answer.status_code, answer.json()["code"]) == (400, -1)
    assert not upstream.seen


def test_abilities_mean_what_this_dialect_means(key: Api, upstream: FakeOpenAI) -> None:
    uuid = key("post", LLM, body(upstream, abilities=["chat"])).json()["data"]["uuid"]
    secret = factories.key(role=Role.ADMIN).secret
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    chat = {
        "model": "GPT-4",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}, picture]}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    }
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.post("/v1/chat/completions", chat, JSON).status_code == 200
    assert "image_url" not in str(upstream.seen[-1].body)
    assert "tools" not in upstream.seen[-1].body
    key("put", f"{LLM}/{uuid}", {"abilities": ["vision", "func_call"]})
    assert client.post("/v1/chat/completions", chat, JSON).status_code == 200
    assert "image_url" in str(upstream.seen[-1].body)
    assert "tools" in upstream.seen[-1].body


def test_each_write_holds_for_the_next_call(key: Api, upstream: FakeOpenAI) -> None:
    secret = factories.key().secret
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def call(name: str = "GPT-4") -> Any:
        return client.post("/v1/chat/completions", {"model": name, "messages": [USER]}, JSON)

    uuid = key("post", LLM, body(upstream)).json()["data"]["uuid"]
    path = f"{LLM}/{uuid}"
    provider_path = f"provider/providers/{AIModel.objects.get().provider.uuid}"
    upstream.other_keys.add("sk-other")
    for where, change in (
        (path, {"extra_args": {"seed": 7}}),
        (path, {"requester_config": {"args": {"top_p": 0.5}}}),
        (provider_path, {"api_keys": ["sk-other"]}),
        (provider_path, {"requester_config": {"headers": {"X-Team": "blue"}}}),
        (path, {"requester_config": {"model": "no-usage"}}),
    ):
        assert key("put", where, change).json()["code"] == 0
        assert call().status_code == 200, change
    sent = upstream.seen[-1]
    assert {name: sent.body[name] for name in ("model", "seed", "top_p")} == {
        "model": "no-usage",
        "seed": 7,
        "top_p": 0.5,
    }
    assert (sent.headers["Authorization"], sent.headers["X-Team"]) == ("Bearer sk-other", "blue")
    key("put", path, {"name": "renamed"})
    assert (call().status_code, call("renamed").status_code) == (404, 200)
    key("delete", f"{provider_path}?cascade=true")
    assert call("renamed").status_code == 404


def test_arguments_of_the_connection_give_way_to_the_model_s_and_those_to_the_call_s(
    key: Api, upstream: FakeOpenAI
) -> None:
    config = {**body(upstream)["requester_config"], "args": {"seed": 1, "top_p": 0.1, "user": "a"}}
    key("post", LLM, body(upstream, requester_config=config, extra_args={"seed": 2, "top_p": 0.2}))
    client = Client(headers={"Authorization": f"Bearer {factories.key().secret}"})
    client.post("/v1/chat/completions", {"model": "GPT-4", "messages": [USER], "seed": 3}, JSON)
    sent = upstream.seen[-1].body
    assert (sent["seed"], sent["top_p"], sent["user"]) == (3, 0.2, "a")


def test_a_key_that_a_user_made_manages_and_calls(upstream: FakeOpenAI) -> None:
    admin = User.objects.create_superuser("admin@example.com", "admin@example.com", PASSWORD)
    user = caller(Authorization=f"Bearer {tokens.issue(user=admin)}")
    secret = user("post", "apikeys", {"name": "robot"}).json()["data"]["key"]["key"]
    assert caller(**{"X-API-Key": secret})("post", LLM, body(upstream)).status_code == 200
    chat = {"model": "GPT-4", "messages": [{"role": "user", "content": "hi"}]}
    called = Client(headers={"Authorization": f"Bearer {secret}"}).post("/v1/chat/completions", chat, JSON)
    assert called.status_code == 200
    assert ApiKey.objects.get(name="robot").made_by == admin


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([], set()),
        (["resource.view"], {"get"}),
        (["provider_secret.manage"], {"post", "put", "test"}),
        (["resource.manage"], {"delete"}),
    ],
)
def test_each_method_asks_for_its_scope(upstream: FakeOpenAI, scopes: list[str], allowed: set[str]) -> None:
    model = factories.model(factories.provider(upstream))
    api = caller(**{"X-API-Key": factories.key(scopes=scopes).secret})
    answers = {
        "get": api("get", f"{LLM}/{model.uuid}"),
        "put": api("put", f"{LLM}/{model.uuid}", {"description": "x"}),
        "post": api("post", LLM, body(upstream, name="new")),
        "test": api("post", f"{LLM}/{model.uuid}/test", {}),
        "delete": api("delete", f"{LLM}/{model.uuid}"),
    }
    assert {name for name, answer in answers.items() if answer.status_code == 200} == allowed
    refused = [answer.json() for name, answer in answers.items() if name not in allowed]
    assert {each["code"] for each in refused} == ({"permission_denied"} if refused else set())
