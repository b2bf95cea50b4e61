"""The OpenAPI document describes the traffic that is really there."""

import inspect
import re
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import Resolver404, resolve
from django.urls.resolvers import RoutePattern

from gateway.dialects.base import TIMEOUT_HEADERS
from gateway.dialects.brconnector import urls as brconnector
from gateway.dialects.langbot import urls as langbot
from gateway.dialects.langbot.envelope import Unknown
from gateway.dialects.openai import errors, views
from gateway.dialects.providers_api import health
from gateway.dialects.providers_api import urls as providers_api


@pytest.fixture(scope="module")
def schema() -> Any:
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    return yaml.safe_load(out.getvalue())


SERVICE_APIS = ("/api/", "/admin/", "/user/", "/bot/")


def test_it_is_valid_and_names_every_path(schema: Any) -> None:
    traffic = {path for path in schema["paths"] if not path.startswith(SERVICE_APIS)}
    assert traffic == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/moderations",
        "/v1/route/explain",
        "/v1/charges",
        "/v1/charges/{charge_id}",
        "/v1/redeem",
        "/v1/models",
        "/v1/models/{model}",
        "/health",
        "/healthz",
    }


def test_no_path_is_described_by_what_a_base_of_its_view_says_of_itself(schema: Any) -> None:
    for path, calls in schema["paths"].items():
        view = getattr(resolve(re.sub(r"{\w+}", "7", path)).func, "cls", object)
        of_bases = {inspect.cleandoc(base.__doc__ or "-") for base in view.__mro__[1:]}
        assert not [call for call in calls.values() if call.get("description") in of_bases], path


CATCH_ALLS = (views.unknown, health.not_found)


def test_every_path_is_routed(schema: Any) -> None:
    for path in schema["paths"]:
        try:
            found = resolve(re.sub(r"{\w+}", "7", path)).func
        except Resolver404:
            pytest.fail(f"{path} is described, but there is no such path")
        assert found not in CATCH_ALLS and getattr(found, "view_class", None) is not Unknown, path


def test_every_path_of_the_service_apis_is_described(schema: Any) -> None:
    described = {re.sub(r"{\w+}", "*", path) for path in schema["paths"]}
    for prefix, patterns in (("/api/v1/", langbot.urlpatterns), ("/api/", providers_api.urlpatterns)):
        routes = [prefix + str(each.pattern) for each in patterns if isinstance(each.pattern, RoutePattern)]
        assert len(routes) > 20
        assert {re.sub(r"<\w+:\w+>", "*", route) for route in routes} <= described


def test_every_path_of_brconnector_is_described(schema: Any) -> None:
    described = {re.sub(r"{\w+}", "*", path) for path in schema["paths"]}
    for prefix, resources in (("/admin", brconnector.ADMIN), ("/user", brconnector.USER)):
        routes = [f"{prefix}/{name}/{each.pattern}" for name, patterns in resources.items() for each in patterns]
        assert {re.sub(r"<\w+:\w+>", "*", route) for route in routes} <= described


def test_every_refusal_is_described(schema: Any) -> None:
    described = schema["paths"]["/v1/chat/completions"]["post"]["responses"]
    statuses = {str(shape.status) for shape in (*errors.SHAPES.values(), errors.INTERNAL)}
    assert statuses | {"502", "504"} <= set(described)
    for status in set(described) - {"200"}:
        assert described[status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_both_ways_to_send_a_key_are_described(schema: Any) -> None:
    assert schema["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"
    assert schema["components"]["securitySchemes"]["headerKey"]["name"] == "X-API-Key"


def test_streams_sessions_and_costs_are_described(schema: Any) -> None:
    chat = schema["paths"]["/v1/chat/completions"]["post"]
    assert "[DONE]" in chat["responses"]["200"]["content"]["text/event-stream"]["example"]
    names = [parameter["name"] for parameter in chat["parameters"]]
    assert names[:3] == ["Session-Id", "Idempotency-Key", "Think-Budget"]
    assert set(names[3:]) == {name.removeprefix("HTTP_").replace("_", "-").title() for name in TIMEOUT_HEADERS.values()}
    assert {"x-request-id", "x-weighbridge-cost", "x-weighbridge-max-tokens", "x-weighbridge-route"} <= set(
        chat["responses"]["200"]["headers"]
    )


@pytest.mark.django_db
def test_the_documentation_s_page_takes_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert "https://" not in page.content.decode()
