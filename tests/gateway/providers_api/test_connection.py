"""Whether a provider answers and takes its key, and that its key never comes back out."""

import logging
import socket
import time
from typing import Any

import pytest
from django.db import connection

from chat.services import probes
from providers.models import Provider, ProviderKey
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.providers_api.conftest import Api

CONNECTED = (200, {"success": True, "message": "Provider connection successful"})
CANARY = "sk-canary-5f3a9c1e7b2d4860"


def failed(reason: str) -> tuple[int, Any]:
    return 400, {"error": f"Provider connection failed: {reason}", "code": "CONNECTION_FAILED"}


def test_one_that_answers_is_connected(api: Api, upstream: FakeOpenAI) -> None:
    factories.provider(upstream, name="mine")
    assert api.post("/providers/mine/test") == CONNECTED
    assert [(seen.method, seen.path) for seen in upstream.seen] == [("GET", "/v1/models")]


def test_a_key_that_upstream_refuses_is_invalid(api: Api, refusing: FakeOpenAI) -> None:
    factories.provider(refusing, name="mine", secret=CANARY)
    assert api.post("/providers/mine/test") == failed("Invalid API key")


def test_one_that_is_not_there_is_told_so(api: Api) -> None:
    factories.provider(name="mine", base_url="http://127.0.0.1:9/v1")
    assert api.post("/providers/mine/test") == failed("Connection failed")


def test_one_that_never_answers_is_waited_for_no_longer_than_its_own_patience(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base_url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        factories.provider(name="mine", base_url=base_url, first_byte_timeout=0.2)
        assert api.post("/providers/mine/test") == failed("Request timed out")


def test_one_without_an_enabled_key_is_not_called(api: Api, upstream: FakeOpenAI) -> None:
    factories.provider(upstream, name="mine")
    ProviderKey.objects.update(is_enabled=False)
    assert api.post("/providers/mine/test") == failed("No enabled API key")
    assert not upstream.seen


def test_an_address_that_may_not_be_called_is_not(api: Api) -> None:
    factories.provider(name="mine", base_url="http://169.254.169.254/v1")
    assert api.post("/providers/mine/test") == failed("Connection failed")


def test_one_without_a_list_is_called_when_it_has_a_model(api: Api, upstream: FakeOpenAI) -> None:
    row = factories.provider(upstream, name="mine")
    Provider.objects.update(base_url=f"{upstream.origin}/v1/none")
    assert api.post("/providers/mine/test") == failed("Invalid model or endpoint")
    factories.model(row)
    assert api.post("/providers/mine/test") == failed("Invalid model or endpoint")
    assert {seen.path for seen in upstream.seen} == {"/v1/none/models", "/v1/none/chat/completions"}


def test_a_call_is_waited_for_no_longer_than_it_was_told(database: None, upstream: FakeOpenAI) -> None:
    row = factories.provider(upstream)
    factories.model(row, "hang")
    started = time.monotonic()
    assert probes.test_provider(provider=row, seconds=0.3).reason == "Request timed out"
    assert time.monotonic() - started < 5


def test_an_unknown_one_is_404(api: Api) -> None:
    assert api.post("/providers/nothing/test") == (404, {"error": "Provider not found", "code": "PROVIDER_NOT_FOUND"})


@pytest.mark.parametrize("is_encrypted_with_a_lost_key", [False, True])
def test_a_key_can_be_replaced_whether_or_not_it_can_be_read(api: Api, is_encrypted_with_a_lost_key: bool) -> None:
    body = {"name": "openai", "apiKey": CANARY}
    api.post("/providers", body)
    if is_encrypted_with_a_lost_key:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE providers_providerkey SET secret = %s", [b"gAAAAAnothing"])
    assert api.post("/providers", body)[0] == 200
    assert ProviderKey.objects.get().secret == CANARY


def test_a_key_is_in_no_answer_no_log_and_not_in_plain_in_the_database(
    api: Api, refusing: FakeOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    base_url = f"{refusing.origin}/v1"
    body = {"name": "mine", "apiKey": CANARY, "metadata": {"baseUrl": base_url, "api_key": CANARY}}
    answers = [
        api.post("/providers", body),
        api.post("/providers", {**body, "metadata": {"baseUrl": "nowhere"}}),
        api.post("/providers", {"name": "openai", "apiKey": f"no-{CANARY}"}),
        api.post("/providers", {"name": "-", "apiKey": CANARY}),
        api.post("/providers", {"name": 1, "apiKey": CANARY}),
        api.post("/providers", f'{{"apiKey": "{CANARY}"'),
        api.put("/providers/mine", {"apiKey": CANARY}),
        api.put("/providers/mine", {"apiKey": CANARY, "displayName": 5}),
        api.get("/providers"),
        api.get("/providers", search=CANARY[:12]),
        api.get("/providers/mine"),
        api.post("/providers/mine/test"),
        api.get("/audit"),
        api.delete("/providers/mine"),
    ]
    assert {status for status, _ in answers} == {200, 400}
    assert CANARY not in str(answers)
    assert CANARY not in caplog.text
    assert any(CANARY in seen.headers.get("Authorization", "") for seen in refusing.seen), "it was really used"


def test_a_key_is_stored_encrypted(api: Api) -> None:
    api.post("/providers", {"name": "openai", "apiKey": CANARY})
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM providers_providerkey")
        stored = bytes(cursor.fetchone()[0])
    assert CANARY.encode() not in stored
    assert ProviderKey.objects.get().secret == CANARY
