"""Azure OpenAI: where its operations are, how it lets one in, and what it says differently from OpenAI."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers.requesters.azure import AzureRequester
from providers.requesters.base import Endpoint, FilePart
from providers.requesters.egress import Transport
from providers.requesters.entra import EntraTokens, Principal
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ContentFiltered,
    EgressRefused,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
)
from tests.fakes.azure import MODELS, PROMPT_RESULTS, FakeAzure
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import load, replay

HELLO: JSON = {"model": "my-gpt", "messages": [{"role": "user", "content": "Hello"}]}
Build = Callable[..., AzureRequester]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAzure]:
    with FakeAzure() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeAzure) -> FakeAzure:
    server.forget()
    return server


@pytest.fixture
def build(fake: FakeAzure, transport: Transport) -> Build:
    def build(path: str = "", key: str = "", **config: Any) -> AzureRequester:
        return AzureRequester(Endpoint(fake.origin + path, key or fake.key, PATIENT, config=config), transport)

    return build


@pytest.fixture
def entra(fake: FakeAzure, build: Build) -> AzureRequester:
    return build(key=principal(fake), auth="entra", authority=fake.origin)


def principal(fake: FakeAzure, **parts: str) -> str:
    names = ("tenant_id", "client_id", "client_secret")
    return json.dumps({**dict(zip(names, fake.principal, strict=True)), **parts})


def token_requests(fake: FakeAzure) -> int:
    return sum(each.path.endswith("/oauth2/v2.0/token") for each in fake.seen)


@pytest.mark.parametrize("exchange", load("azure"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> AzureRequester:
        return AzureRequester(
            Endpoint(origin + config.get("path", ""), "k" * 32, PATIENT, config=config),
            transport,
        )

    assert replay(exchange, requester_at) == []


# Addresses


@pytest.mark.parametrize(
    ("base_url", "config", "expected"),
    [
        ("https://r.test", {}, "https://r.test/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        ("https://r.test/", {}, "https://r.test/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        ("https://r.test/openai/", {}, "https://r.test/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        (
            "https://r.test/openai/deployments/d",
            {"apiVersion": "2025-01-01-preview"},
            "https://r.test/openai/deployments/d/chat/completions?api-version=2025-01-01-preview",
        ),
        (
            "https://r.test/openai/deployments/d/chat/completions?api-version=2024-12-01-preview",
            {},
            "https://r.test/openai/deployments/d/chat/completions?api-version=2024-12-01-preview",
        ),
        (
            "https://r.test/openai/deployments/d?api-version=2024-12-01-preview",
            {"apiVersion": "2024-10-21", "deployment": "e"},
            "https://r.test/openai/deployments/e/chat/completions?api-version=2024-10-21",
        ),
        ("https://r.test", {"deployment": "a/b c"}, "https://r.test/openai/deployments/a%2Fb%20c/chat/completions?api-version=2024-10-21"),
        ("https://gate.test/azure/openai", {}, "https://gate.test/azure/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        ("https://r.test/openai/v1", {}, "https://r.test/openai/v1/chat/completions"),
        ("https://r.test/openai/v1/", {"apiVersion": "preview"}, "https://r.test/openai/v1/chat/completions?api-version=preview"),
        ("https://r.test/openai-proxy", {}, "https://r.test/openai-proxy/openai/deployments/m/chat/completions?api-version=2024-10-21"),
    ],
)  # fmt: skip
def test_each_form_of_address_leads_to_the_operation(
    transport: Transport, base_url: str, config: JSON, expected: str
) -> None:
    azure = AzureRequester(Endpoint(base_url, "k", config=config), transport)
    assert azure.url("chat", {"model": "m"}) == expected


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_model_s_name_cannot_lead_elsewhere(build: Build, fake: FakeAzure, name: str) -> None:
    with pytest.raises(BadRequest):
        build().chat({**HELLO, "model": name})
    assert fake.seen == []


@pytest.mark.parametrize("path", ["", "/openai/", "/openai/deployments/my-gpt", "/openai/v1"])
def test_every_form_of_address_is_answered(build: Build, fake: FakeAzure, path: str) -> None:
    azure = build(path)
    assert azure.chat(HELLO).json["choices"][0]["finish_reason"] == "stop"
    assert len(azure.embed({"model": "my-gpt", "input": "x"}).json["data"]) == 1
    assert azure.complete({"model": "my-gpt", "prompt": "x"}).json["object"] == "text_completion"
    assert azure.ask("image", {"model": "my-gpt", "prompt": "a cat"}).json["data"]
    sound = azure.ask("speech", {"model": "my-gpt", "input": "Hi", "voice": "alloy"})
    assert (sound.json, sound.content_type) == ({}, "audio/mpeg")
    heard = {"model": "my-gpt", "file": FilePart("a.wav", "audio/wav", b"RIFF\x00\x00\x00\x00WAVE")}
    assert azure.ask("transcription", heard).json == {"text": "12 bytes of sound"}
    assert fake.violations == []


def test_a_configured_deployment_stands_for_all_models(build: Build, fake: FakeAzure) -> None:
    body = {**HELLO, "model": "gpt-4o"}
    for path in ("", "/openai/v1"):
        assert build(path, deployment="my-gpt").chat(body).json["choices"]
    assert [each.body["model"] for each in fake.seen] == ["gpt-4o", "my-gpt"]
    assert body["model"] == "gpt-4o"


@pytest.mark.parametrize("operation", ["moderation", "rerank"])
def test_what_azure_has_not_is_refused_unsent(build: Build, fake: FakeAzure, operation: str) -> None:
    with pytest.raises(BadRequest):
        build().ask(operation, {"model": "my-gpt", "input": "x"})
    assert fake.seen == []


@pytest.mark.parametrize("path", ["", "/openai/v1"])
def test_the_list_of_models_is_the_region_s(build: Build, fake: FakeAzure, path: str) -> None:
    assert [each.id for each in build(path).list_models()] == list(MODELS)
    assert fake.violations == []


# Versions


def test_a_stream_begins_with_the_filter_s_verdict_and_ends_with_the_usage(build: Build, fake: FakeAzure) -> None:
    events = [event.json for event in build().stream({**HELLO, "max_completion_tokens": 3})]
    assert events[0]["choices"] == [] and events[0]["prompt_filter_results"] == PROMPT_RESULTS
    assert events[-1]["usage"]["completion_tokens"] == 3
    assert fake.violations == []


@pytest.mark.parametrize("path", ["", "/openai/v1"])
def test_an_older_version_gets_older_names(build: Build, fake: FakeAzure, path: str) -> None:
    azure = build(path, apiVersion="" if path else "2024-06-01")
    list(azure.stream({**HELLO, "max_completion_tokens": 3}))
    sent = fake.seen[0].body
    assert (sent.get("max_tokens"), "stream_options" in sent) == ((None, True) if path else (3, False))
    assert fake.violations == []


# Keys


def test_the_key_stands_in_its_header_only(build: Build, fake: FakeAzure) -> None:
    build().chat(HELLO)
    [seen] = fake.seen
    assert {name for name, value in seen.headers.items() if fake.key in value} == {"api-key"}
    assert "Authorization" not in seen.headers and fake.key not in seen.path


def test_a_wrong_key_is_told_without_the_key(build: Build) -> None:
    with pytest.raises(AuthFailed) as caught:
        build(key="wrong-azure-key").chat(HELLO)
    assert caught.value.upstream_status == 401 and "wrong" not in str(caught.value)


def test_a_token_may_be_given_as_it_is(build: Build, fake: FakeAzure) -> None:
    fake.tokens.add("ey-by-hand")
    assert build(key="ey-by-hand", auth="entra").chat(HELLO).json["choices"]
    assert fake.seen[0].headers["Authorization"] == "Bearer ey-by-hand" and "api-key" not in fake.seen[0].headers


@pytest.mark.parametrize("auth", ["", "key", "Entra ", "aad"])
def test_a_principal_s_secret_goes_to_the_authority_alone(build: Build, fake: FakeAzure, auth: str) -> None:
    azure = build(key=principal(fake), auth=auth, authority=fake.origin)
    assert azure.chat(HELLO).json["choices"]
    [token, call] = fake.seen
    assert token.path.endswith("/token") and not any(part in str(call) for part in fake.principal)


def test_a_token_by_hand_needs_the_word_in_any_case(build: Build, fake: FakeAzure) -> None:
    fake.tokens.add("ey-by-hand")
    assert build(key="ey-by-hand", auth="ENTRA").chat(HELLO).json["choices"]


def test_a_principal_s_token_serves_many_calls(entra: AzureRequester, fake: FakeAzure) -> None:
    for _ in range(3):
        entra.chat(HELLO)
    list(entra.stream(HELLO))
    entra.list_models()
    assert (token_requests(fake), fake.violations) == (1, [])
    tenant, client, secret = fake.principal
    assert fake.seen[0].path == f"/{tenant}/oauth2/v2.0/token"
    assert (fake.seen[0].body["client_id"], fake.seen[0].body["client_secret"]) == (client, secret)


def test_a_token_is_replaced_before_its_end(
    entra: AzureRequester, fake: FakeAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("providers.requesters.entra.monotonic", lambda: now)
    entra.chat(HELLO)
    now += 3599 - 301
    entra.chat(HELLO)
    assert token_requests(fake) == 1
    now += 2
    entra.chat(HELLO)
    assert token_requests(fake) == 2


@pytest.mark.parametrize(("life", "lasts"), [(100, 89), ("100", 89), (0, -1), ("soon", -1)])
def test_a_short_or_unreadable_life_is_kept_to(
    entra: AzureRequester, fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, life: Any, lasts: float
) -> None:
    now = 1000.0
    monkeypatch.setattr("providers.requesters.entra.monotonic", lambda: now)
    fake.life = life
    entra.chat(HELLO)
    now += lasts if lasts > 0 else 0
    entra.chat(HELLO)
    assert token_requests(fake) == (1 if lasts > 0 else 2)
    now += 2
    entra.chat(HELLO)
    assert token_requests(fake) == (2 if lasts > 0 else 3)


def test_a_withdrawn_token_is_fetched_anew_once(entra: AzureRequester, fake: FakeAzure) -> None:
    entra.chat(HELLO)
    fake.tokens.clear()
    assert entra.chat(HELLO).json["choices"]
    fake.tokens.clear()
    assert list(entra.stream(HELLO))
    assert token_requests(fake) == 3


def test_a_service_that_refuses_every_token_is_asked_twice(entra: AzureRequester, fake: FakeAzure) -> None:
    entra.chat(HELLO)
    fake.seen.clear()
    fake.reply_json("my-gpt", {"error": {"code": "401", "message": "no"}}, 401)
    with pytest.raises(AuthFailed):
        entra.chat(HELLO)
    asked = [each.path.rpartition("/")[2].partition("?")[0] for each in fake.seen]
    assert asked == ["completions", "token", "completions"]


def at_once(azure: AzureRequester, count: int = 8) -> list[Any]:
    """What as many threads get, answers or errors."""
    got: list[Any] = []
    barrier = threading.Barrier(count)

    def call() -> None:
        barrier.wait()
        try:
            got.append(azure.chat(HELLO).json)
        except ProviderError as error:
            got.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return got


def test_threads_share_one_fetch(entra: AzureRequester, fake: FakeAzure) -> None:
    fake.delay = 0.5
    got = at_once(entra)
    assert (len(got), sum("choices" in each for each in got), token_requests(fake)) == (8, 8, 1)


def test_threads_share_one_failure_and_the_next_call_tries_again(entra: AzureRequester, fake: FakeAzure) -> None:
    fake.delay, fake.outage = 0.5, 503
    got = at_once(entra)
    assert {type(each) for each in got} == {Overloaded}
    assert (len(set(map(id, got))), token_requests(fake)) == (8, 1)
    fake.delay = fake.outage = 0
    assert entra.chat(HELLO).json["choices"]


@pytest.mark.parametrize("part", ["tenant_id", "client_id", "client_secret"])
def test_a_refused_principal_is_told_without_its_parts(build: Build, fake: FakeAzure, part: str) -> None:
    key = principal(fake, **{part: "mistaken-part"})
    with pytest.raises(AuthFailed) as caught:
        build(key=key, auth="entra", authority=fake.origin).chat(HELLO)
    assert (caught.value.upstream_code, caught.value.upstream_status) == ("invalid_client", 401)
    assert not any(secret in repr(vars(caught.value)) for secret in (*fake.principal, "mistaken-part"))
    assert len(fake.seen) == 1


@pytest.mark.parametrize("key", ["{", "{}", '{"tenant_id": "t", "client_id": 5, "client_secret": "s"}'])
def test_a_malformed_principal_is_refused_unsent(build: Build, fake: FakeAzure, key: str) -> None:
    with pytest.raises(AuthFailed, match="tenant_id, client_id, client_secret") as caught:
        build(key=key, auth="entra", authority=fake.origin).chat(HELLO)
    assert fake.seen == [] and caught.value.upstream_status is None


def test_an_answer_without_a_token_is_a_bad_answer(entra: AzureRequester, fake: FakeAzure) -> None:
    fake.mishap(200)
    with pytest.raises(BadAnswer, match="no token"):
        entra.chat(HELLO)


def test_all_parts_and_the_token_are_blotted_out(entra: AzureRequester, fake: FakeAzure) -> None:
    entra.chat(HELLO)
    [token] = fake.tokens
    quoted = " ".join((*fake.principal, token))
    fake.reply_json("my-gpt", {"error": {"message": f"It said {quoted}.", "code": token}}, 400)
    with pytest.raises(BadRequest) as caught:
        entra.chat(HELLO)
    assert caught.value.message == "It said *** *** *** ***."
    assert not any(secret in repr(vars(caught.value)) for secret in (*fake.principal, token))


def test_no_repr_shows_a_principal() -> None:
    read = Principal.read('{"tenant_id": "tenant-0", "client_id": "client-0", "client_secret": "secret-0"}')
    assert read and read.is_whole and "-0" not in repr(read)


def test_the_authority_obeys_the_egress_rule(fake: FakeAzure) -> None:
    strict = Transport(allow_private=False)
    read = Principal.read(principal(fake))
    assert read
    with pytest.raises(EgressRefused):
        EntraTokens(read, fake.origin, strict, PATIENT).get()
    strict.close()
    assert fake.seen == []


@pytest.mark.parametrize(
    ("authority", "scope"),
    [
        ("https://login.microsoftonline.com/", "https://cognitiveservices.azure.com/.default"),
        ("https://login.microsoftonline.us", "https://cognitiveservices.azure.us/.default"),
        ("https://login.partner.microsoftonline.cn", "https://cognitiveservices.azure.cn/.default"),
    ],
)
def test_each_cloud_has_its_scope(transport: Transport, fake: FakeAzure, authority: str, scope: str) -> None:
    read = Principal.read(principal(fake))
    assert read
    assert EntraTokens(read, authority, transport, PATIENT).scope == scope


# Refusals


@pytest.mark.parametrize(
    ("deployment", "kind"),
    [
        ("filtered", ContentFiltered),
        ("filtered-image", ContentFiltered),
        ("busy", RateLimited),
        ("nowhere", ModelNotFound),
    ],
)
def test_refusals(build: Build, fake: FakeAzure, deployment: str, kind: type[ProviderError]) -> None:
    for send in (build().chat, build().stream):
        with pytest.raises(kind) as caught:
            send({**HELLO, "model": deployment})
        assert caught.value.retry_after == (7.0 if kind is RateLimited else None)
    assert fake.violations == []


def test_another_bad_request_is_none_of_the_filter_s(build: Build) -> None:
    with pytest.raises(BadRequest) as caught:
        build().chat({**HELLO, "temperature": 9})
    assert type(caught.value) is BadRequest and "temperature" in caught.value.message
