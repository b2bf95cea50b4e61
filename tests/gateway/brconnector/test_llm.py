"""/v1 for this dialect's clients, known by their keys: the page's requests, models, refusals."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from accounts.models import ApiKey
from accounts.services import keys
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from chat.models import Session, Thread
from tests import factories
from tests.fakes.kinds import FakeKinds
from tests.gateway.brconnector.page import CHAT, MODELS, send

SESSIONS = """GET /user/session/list?q=&limit=10&offset=
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""
THREADS = """GET /user/thread/list?q=&limit=10&offset=&session_id=
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""


@dataclass
class Llm:
    client: Client
    upstream: FakeKinds
    key: IssuedKey

    def post(self, path: str, body: Any, secret: str = "", **headers: str) -> Any:
        headers = {"authorization": f"Bearer {secret or self.key.secret}", **headers}
        return self.client.post(f"/v1/{path}", body, content_type="application/json", headers=headers)

    def chat(self, model: str = "echo", secret: str = "", **fields: Any) -> Any:
        messages = [{"role": "user", "content": "hi"}]
        return self.post("chat/completions", {"model": model, "messages": messages, **fields}, secret)


@pytest.fixture
def llm(database: None, client: Client) -> Iterator[Llm]:
    with FakeKinds() as fake:
        provider = factories.provider(fake, retries=0)
        for name in ("echo", "401", "429", "500", "garbage"):
            factories.model(provider, name)
        factories.model(provider, "claude-3-sonnet", upstream_name="echo", is_multimodal=True)
        factories.model(provider, "vectors", upstream_name="echo", kind="embedding")
        factories.model(provider, "pictures", kind="image")
        yield Llm(client, fake, factories.key(start="br-", length=29))
        assert fake.violations == []


def refusal(answer: Any, status: int) -> dict[str, Any]:
    """In both forms at once."""
    assert answer.status_code == status, answer.content
    content = answer.json()
    assert set(content) == {"success", "data", "error"}
    assert set(content["error"]) == {"message", "type", "param", "code", "error_type"}
    assert content["success"] is False
    assert content["data"] == content["error"]["message"]
    assert answer["x-request-id"].startswith("req_")
    return dict(content)


# The page


def test_the_page_s_chat(llm: Llm) -> None:
    answer = send(CHAT, llm.key.secret)
    frames = answer.getvalue().decode().split("\n\n")
    assert (answer.status_code, frames[-2:]) == (200, ["data: [DONE]", ""])
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert all(set(chunk) >= {"id", "object", "created", "model", "choices"} for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert llm.upstream.seen[-1].body["temperature"] == 1
    assert audit() == []


def test_the_page_s_models(llm: Llm) -> None:
    listed = send(MODELS, llm.key.secret).json()
    assert listed["object"] == "list"
    multiple = {model["id"]: model["multiple"] for model in listed["data"]}
    assert (multiple["claude-3-sonnet"], multiple["echo"]) == (True, False)
    assert all({"id", "object", "created", "owned_by", "multiple"} <= set(model) for model in listed["data"])


def test_the_page_s_records(llm: Llm) -> None:
    llm.post("chat/completions", json.loads(CHAT.partition("\n\n")[2]), **{"session-id": "a"}).getvalue()
    [session] = send(SESSIONS, llm.key.secret).json()["data"]["items"]
    [thread] = send(THREADS, llm.key.secret).json()["data"]["items"]
    assert (session["title"], thread["prompt"], thread["session_id"]) == (
        "tok0 tok1 tok2 tok3 tok4 tok5",
        '"ping"',
        session["id"],
    )


# What else its clients call


def test_a_session_id_is_cut_and_its_session_is_the_key_s_own(llm: Llm) -> None:
    other = factories.key(start="br-")
    for secret in (llm.key.secret, other.secret):
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        llm.post("chat/completions", body, secret, **{"session-id": "s" * 200})
    assert [(each.key, each.calls) for each in Session.objects.order_by("id")] == [("s" * 128, 1)] * 2


def test_the_upstream_s_model_may_be_named_behind_a_slash(llm: Llm) -> None:
    provider = factories.provider(llm.upstream)
    factories.model(provider, "free", upstream_name="nothing", allows_other_upstream=True)
    assert llm.chat("free/echo").status_code == 200
    assert llm.upstream.seen[-1].body["model"] == "echo"
    assert refusal(llm.chat("claude-3-sonnet/gpt-9"), 400)["data"] == "The model [claude-3-sonnet/gpt-9] not found."


def test_names_that_nobody_has_go_to_the_model_named_default(llm: Llm) -> None:
    factories.model(factories.provider(llm.upstream), "default", upstream_name="echo")
    assert llm.chat("gpt-9").status_code == 200


def test_embeddings(llm: Llm) -> None:
    answer = llm.post("embeddings", {"model": "vectors", "input": ["a", "b"]}).json()
    assert [(each["object"], each["index"]) for each in answer["data"]] == [("embedding", 0), ("embedding", 1)]
    assert answer["usage"]["prompt_tokens"] == 2


def test_images_are_paid_and_recorded(llm: Llm) -> None:
    answer = llm.post("images/generations", {"model": "pictures", "prompt": "a bridge", "n": 1})
    assert answer.status_code == 200 and answer.json()["data"]
    thread = Thread.objects.get()
    assert (thread.prompt, thread.charge.endpoint, thread.charge.fee > 0) == ("a bridge", "image", True)


# Refusals


def test_a_wrong_key(llm: Llm) -> None:
    for secret in ("br-wrong", "br_wrong_one"):
        content = refusal(llm.chat(secret=secret), 400)
        assert content["data"].startswith("Your key does not exist.")
        assert content["error"]["code"] == "invalid_api_key"


def test_a_revoked_key(llm: Llm) -> None:
    assert llm.chat().status_code == 200
    ApiKey.objects.filter(pk=llm.key.key.pk).update(is_active=False)
    assert refusal(llm.chat(), 400)["data"].startswith("Your key does not exist.")


def test_no_key_is_told_in_both_forms_with_openai_s_status(llm: Llm) -> None:
    answer = llm.client.post("/v1/chat/completions", {}, content_type="application/json")
    content = answer.json()
    assert (answer.status_code, content["success"]) == (401, False)
    assert content["data"] == "Unauthorized: api key required."
    assert set(content["error"]) == {"message", "type", "param", "code"}


def test_an_empty_key_is_asked_to_recharge(llm: Llm) -> None:
    poor = factories.key(start="br-", month_quota=Decimal(0))
    answer = llm.chat(secret=poor.secret)
    content = refusal(answer, 400)
    assert (content["data"], content["error"]["code"]) == ("Please recharge.", "insufficient_quota")
    assert answer["x-should-retry"] == "false"
    assert llm.upstream.seen == []


def test_a_model_that_nobody_has(llm: Llm) -> None:
    content = refusal(llm.chat("gpt-9"), 400)
    assert content["data"] == "The model [gpt-9] not found."
    assert (content["error"]["code"], content["error"]["param"]) == ("model_not_found", "model")
    assert refusal(llm.client.get("/v1/models/x{y}", headers={"x-api-key": llm.key.secret}), 400)["data"] == (
        "The model [x{y}] not found."
    )


@pytest.mark.parametrize("name", ["echo", "echo/other"])
def test_a_model_that_was_not_granted(llm: Llm, name: str) -> None:
    bare = factories.key(start="br-", all_models=False)
    text = f"You do not have permission to access the [{name}] model, please contact the administrator."
    assert refusal(llm.chat(name, secret=bare.secret), 400)["data"] == text


def test_nobody_else_hears_that_a_model_exists(llm: Llm) -> None:
    bare = factories.key(all_models=False)
    messages = [llm.chat(name, secret=bare.secret).json()["error"]["message"] for name in ("echo", "gpt-9")]
    assert messages[0].replace("echo", "gpt-9") == messages[1]


def test_a_model_of_another_kind_is_told_as_such(llm: Llm) -> None:
    assert "is of the kind embedding" in refusal(llm.chat("vectors"), 400)["data"]


@pytest.mark.parametrize(
    ("model", "secret", "status"),
    [("gpt-9", "", 404), ("echo", "br-wrong", 401), ("echo", "poor", 429), ("echo", "bare", 403)],
)
def test_the_status_is_true_where_that_is_wished(llm: Llm, settings: Any, model: str, secret: str, status: int) -> None:
    settings.TRUE_STATUS_CODES = True
    issued = {
        "poor": factories.key(start="br-", month_quota=Decimal(0)),
        "bare": factories.key(start="br-", all_models=False),
    }
    answer = llm.chat(model, secret=issued[secret].secret if secret in issued else secret)
    assert answer.status_code == status
    assert refusal(answer, status)["success"] is False


@pytest.mark.parametrize(("model", "status"), [("401", 502), ("429", 429), ("500", 502), ("garbage", 502)])
def test_what_an_upstream_failed_with_keeps_its_status(llm: Llm, model: str, status: int) -> None:
    content = refusal(llm.chat(model), status)
    assert llm.upstream.key not in str(content)
    plain = llm.chat(model, secret=factories.key().secret)
    assert plain.status_code == status


def test_a_bad_body_is_400_in_any_case(llm: Llm, settings: Any) -> None:
    settings.TRUE_STATUS_CODES = True
    assert refusal(llm.post("chat/completions", {"model": "echo", "messages": []}), 400)["error"]["param"] == "messages"
    settings.MAX_BODY_BYTES = 100
    assert refusal(llm.chat(x="y" * 200), 413)["success"] is False


def test_the_envelope_s_header_decides_whose_client_it_is(llm: Llm) -> None:
    headers = {"x-api-key": "br-wrong", "authorization": f"Bearer {factories.key().secret}"}
    assert refusal(llm.client.get("/v1/models", headers=headers), 400)


@pytest.mark.parametrize("start", ["wb-", "sk-", "bridge-", "xbr-"])
def test_for_other_keys_nothing_is_different(llm: Llm, start: str) -> None:
    other = factories.key(start=start, all_models=False)
    for answer, status in (
        (llm.chat("gpt-9", secret=other.secret), 404),
        (llm.chat("echo", secret=other.secret), 404),
        (llm.chat(secret=f"{start}wrong"), 401),
        (llm.post("chat/completions", {}, other.secret), 400),
    ):
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_database_that_is_away_is_503(llm: Llm, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(value: str) -> Any:
        raise OperationalError("away")

    keys.forget()
    monkeypatch.setattr(ApiKey.objects, "filter", lambda **_: away(""))
    content = refusal(llm.chat(), 503)
    assert "database" in content["data"]
