"""What changes between being read and being stored: a secret must not be carried to where a provider has just moved."""

import threading
from typing import Any

import pytest
from django.db import connection

from accounts.models import Role
from gateway.dialects.langbot import columns
from gateway.dialects.langbot import providers as views
from providers.models import AIModel, Provider
from tests import factories
from tests.gateway.langbot.conftest import Api, caller

pytestmark = pytest.mark.usefixtures("database")

LLM = "provider/models/llm"
PROVIDERS = "provider/providers"
HOME, ELSEWHERE = "https://llm.example.com/v1", "https://elsewhere.example.net/v1"
KEPT = {"requester_config": {"headers": {"X-Pass": "***"}}}
LONG_ENOUGH = 0.5  # seconds in which a request that is not held up is over


class Meanwhile:
    """Lets `request` run just after the patched function has read what it reads."""

    def __init__(self, request: tuple[Any, ...]) -> None:
        secret = factories.key(role=Role.ADMIN).secret
        self.thread = threading.Thread(target=self._run, args=(caller(**{"X-API-Key": secret}), request))
        self.status = 0

    def _run(self, api: Api, request: tuple[Any, ...]) -> None:
        self.status = api(*request).status_code
        connection.close()

    def after(self, module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        read = getattr(module, name)

        def patched(*args: Any, **kwargs: Any) -> Any:
            found = read(*args, **kwargs)
            if not self.thread.ident:
                self.thread.start()
                self.thread.join(LONG_ENOUGH)
            return found

        monkeypatch.setattr(module, name, patched)


def provider(**fields: Any) -> Provider:
    return factories.provider(base_url=HOME, secret="sk-one", config={"headers": {"X-Pass": "s3cret"}}, **fields)


def moved(row: Provider) -> tuple[Any, ...]:
    settings = {"headers": {"X-Pass": "another"}}
    return "put", f"{PROVIDERS}/{row.uuid}", {"base_url": ELSEWHERE, "api_keys": ["x"], "requester_config": settings}


def secrets_by_address() -> set[tuple[str, str]]:
    return {(row.base_url, row.config["headers"]["X-Pass"]) for row in Provider.objects.all()}


@pytest.fixture
def api(database: None) -> Api:
    return caller(**{"X-API-Key": factories.key(role=Role.ADMIN).secret})


@pytest.mark.parametrize("body", [KEPT, {"name": "renamed"}])
def test_settings_that_stay_do_not_follow_a_provider_that_moves_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    row = provider()
    meanwhile = Meanwhile(moved(row))
    meanwhile.after(views, "connection_of", monkeypatch)
    assert api("put", f"{PROVIDERS}/{row.uuid}", body).status_code == 200
    meanwhile.thread.join()
    assert (meanwhile.status, secrets_by_address()) == (200, {(ELSEWHERE, "another")})


def test_nor_does_a_model_s_change_carry_them_there(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = provider(metadata={"langbot": {"auto": True}})
    model = factories.model(row)
    meanwhile = Meanwhile(moved(row))
    meanwhile.after(columns, "connection_of", monkeypatch)
    assert api("put", f"{LLM}/{model.uuid}", KEPT).status_code == 200
    meanwhile.thread.join()
    assert (meanwhile.status, secrets_by_address()) == (200, {(ELSEWHERE, "another")})


def test_a_model_s_secret_is_not_moved_to_a_provider_that_moves_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = factories.model(provider(), extra_args={"api_key": "s3cret"})
    other = provider()
    meanwhile = Meanwhile(moved(other))
    meanwhile.after(columns.providers, "has_moved", monkeypatch)
    assert api("put", f"{LLM}/{model.uuid}", {"provider_uuid": str(other.uuid)}).status_code == 200
    meanwhile.thread.join()
    assert AIModel.objects.get().provider.base_url == HOME
