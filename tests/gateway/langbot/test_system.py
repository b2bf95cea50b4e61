"""What a client asks before anything else."""

import uuid
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import resolve

from accounts.models import Role, Scope
from gateway.dialects.langbot.envelope import Unknown
from gateway.dialects.langbot.identity import instance_uuid, workspace_uuid
from gateway.dialects.langbot.system import OPERATIONS
from tests import factories
from tests.gateway.langbot.conftest import Api, caller

pytestmark = pytest.mark.django_db


def test_the_system_tells_a_version_to_anybody(nobody: Api) -> None:
    info = nobody("get", "system/info").json()["data"]
    assert info["version"] == "v4.11.2"
    assert info["edition"] == "community"
    assert info["limitation"]["max_bots"] == -1
    assert set(info) == {
        *("version", "edition", "debug", "beta", "deployment_mode", "enable_marketplace", "cloud_service_url"),
        *("allow_modify_login_info", "disable_models_service", "mcp_stdio_enabled", "outbound_ips", "limitation"),
        *("invitation_delivery", "cloud_banner", "wizard_status", "wizard_progress"),
    }


@pytest.mark.parametrize(
    ("fields", "permissions"),
    [({"role": Role.ADMIN}, sorted(Scope.values)), ({"scopes": ["resource.view"]}, ["resource.view"]), ({}, [])],
)
def test_a_key_learns_where_it_belongs_and_what_it_may(fields: dict[str, Any], permissions: list[str]) -> None:
    issued = factories.key(**fields)
    assert caller(**{"X-API-Key": issued.secret})("get", "system/context").json()["data"] == {
        "api_key_id": str(issued.key.uuid),
        "instance_uuid": instance_uuid(),
        "permissions": permissions,
        "workspace_uuid": workspace_uuid(),
    }


def test_the_identities_are_two_and_follow_the_installation_s_secret(settings: Any) -> None:
    before = instance_uuid(), workspace_uuid()
    assert before == (instance_uuid(), workspace_uuid())
    assert len({*before}) == 2
    assert all(str(uuid.UUID(each)) == each for each in before)
    settings.SECRET_KEY = "another"
    assert not {instance_uuid(), workspace_uuid()} & {*before}


@pytest.mark.parametrize("path", ["system/context", "system/capabilities"])
def test_they_take_a_key_and_no_token(path: str, user: Api, key: Api, nobody: Api) -> None:
    missing = {"code": -1, "msg": "No valid API key provided"}
    assert (nobody("get", path).status_code, nobody("get", path).json()) == (401, missing)
    assert user("get", path).json()["code"] == "invalid_authentication"
    assert key("get", path).status_code == 200
    bearer = caller(Authorization=f"Bearer {factories.key().secret}")
    assert bearer("get", path).status_code == 200


METHODS = {"list": "get", "get": "get", "create": "post", "update": "put", "delete": "delete", "test": "post"}
SOME = "7c9d3c5e-38d2-4d6b-9a53-8f9b7a1a3a10"


def routes() -> dict[str, tuple[str, str]]:
    """The method and the path that stand behind each declared operation."""
    found = {"provider.scan_models": ("get", f"provider/providers/{SOME}/scan-models")}
    found |= {"task.list": ("get", "system/tasks"), "task.get": ("get", "system/tasks/1")}
    homes = {"provider": "provider/providers"}
    homes |= {f"model.{kind}": f"provider/models/{kind}" for kind in ("llm", "embedding", "rerank")}
    for name, home in homes.items():
        for verb, method in METHODS.items():
            tail = {"list": "", "create": "", "test": f"/{SOME}/test"}.get(verb, f"/{SOME}")
            found[f"{name}.{verb}"] = (method, home + tail)
    del found["provider.test"]
    return found


def test_what_is_declared_is_served(key: Api) -> None:
    declared = key("get", "system/capabilities").json()["data"]
    assert declared["schema_version"] == 1
    assert declared["operations"] == {name: {"supported": True} for name in OPERATIONS}
    assert set(declared["operations"]) == set(routes())


@pytest.mark.parametrize(("name", "method", "path"), [(name, *route) for name, route in routes().items()])
def test_a_declared_operation_has_a_route(name: str, method: str, path: str, nobody: Api) -> None:
    view: Any = resolve(f"/api/v1/{path}").func
    assert getattr(view, "view_class", getattr(view, "cls", None)) is not Unknown, path
    assert nobody(method, path).status_code == 401, "neither unknown nor another method's"


def test_healthz_says_when_the_database_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", gone)
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "unavailable", "2")
