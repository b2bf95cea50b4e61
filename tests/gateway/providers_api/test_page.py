"""The documentation page from top to bottom, as a client walks through it."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.providers_api.conftest import PASSWORD, Api
from tests.wire.matching import differences

NOT_FOUND = (404, {"error": "Provider not found", "code": "PROVIDER_NOT_FOUND"})
METADATA = {"displayName": "OpenAI", "baseUrl": "https://api.openai.com/v1"}
PROVIDER = {
    "id": "<int>",
    "name": "openai",
    "displayName": "OpenAI",
    "baseUrl": "https://api.openai.com/v1",
    "createdAt": "<time>",
    "updatedAt": "<time>",
    # Beyond the page's own six:
    "models": [],
    "defaultModel": "",
    "hasCredentials": True,
    "metadata": METADATA,
}


def logged_in(nobody: Api) -> Api:
    """As the page's bearer: with the access token of a log-in."""
    status, content = nobody.post("/auth/admin/login", {"username": "ada@example.com", "password": PASSWORD})
    assert status == 200
    return Api({"Authorization": f"Bearer {content['accessToken']}"})


@pytest.fixture(params=["an API key", "an access token"])
def client(request: Any, admin: User, admin_key: Api, nobody: Api) -> Api:
    return admin_key if request.param == "an API key" else logged_in(nobody)


def test_the_page_from_top_to_bottom(client: Api, upstream: FakeOpenAI, refusing: FakeOpenAI) -> None:
    body = {"name": "openai", "apiKey": "sk-0123456789", "metadata": METADATA}
    assert client.get("/providers") == (200, {"providers": [], "total": 0})
    assert client.get("/providers/openai") == NOT_FOUND
    # Create or update
    status, created = client.post("/providers", body)
    assert status == 200
    assert not list(differences({"provider": PROVIDER}, created))
    status, updated = client.post("/providers", {**body, "apiKey": "sk-another-0123456789"})
    assert (status, updated["provider"]["id"]) == (200, created["provider"]["id"])
    missing = {"error": "name and apiKey are required", "code": "MISSING_FIELDS"}
    assert client.post("/providers", {"name": "openai"}) == (400, missing)
    invalid = {"error": "Invalid API key format", "code": "INVALID_API_KEY"}
    assert client.post("/providers", {**body, "apiKey": "nonsense"}) == (400, invalid)
    # List
    status, listed = client.get("/providers", search="openai", limit=10)
    assert (status, listed) == (200, {"providers": [updated["provider"]], "total": 1})
    # Get
    assert client.get("/providers/openai") == (200, updated)
    # Test
    _point(client, body, upstream, upstream.key)
    assert client.post("/providers/openai/test") == (
        200,
        {"success": True, "message": "Provider connection successful"},
    )
    _point(client, body, refusing, "sk-0123456789")
    failed = {"error": "Provider connection failed: Invalid API key", "code": "CONNECTION_FAILED"}
    assert client.post("/providers/openai/test") == (400, failed)
    # Delete
    assert client.delete("/providers/openai") == (200, {"success": True})
    assert client.delete("/providers/openai") == NOT_FOUND
    assert client.get("/providers") == (200, {"providers": [], "total": 0})


def _point(client: Api, body: dict[str, Any], at: FakeOpenAI, key: str) -> None:
    metadata = {**METADATA, "baseUrl": f"{at.origin}/v1"}
    assert client.post("/providers", {**body, "apiKey": key, "metadata": metadata})[0] == 200


def test_a_provider_of_this_api_serves_calls(client: Api, upstream: FakeOpenAI) -> None:
    metadata = {"baseUrl": f"{upstream.origin}/v1", "models": ["echo"], "defaultModel": "echo"}
    assert client.post("/providers", {"name": "mine", "apiKey": upstream.key, "metadata": metadata})[0] == 200
    headers = {"Authorization": f"Bearer {factories.key().secret}"}
    call = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    assert Client().post("/v1/chat/completions", call, "application/json", headers=headers).status_code == 200
    assert client.get("/stats/overview")[1]["totalRequests"] == 1
