"""The OpenAPI document: what DRF's views say of themselves, and the traffic, which is no DRF view."""

from typing import Any

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from gateway.dialects.brconnector import schema_bots as bots
from gateway.dialects.openai import schema as openai
from gateway.dialects.openai import schema_charges as openai_charges
from gateway.dialects.openai import schema_kinds as openai_kinds

JSON = dict[str, Any]


def _health(status: str, **facts: str) -> JSON:
    example = {"status": status, **facts}
    properties = {name: {"type": "string"} for name in example}
    return {"application/json": {"schema": {"type": "object", "properties": properties}, "example": example}}


HEALTH: JSON = {
    "get": {
        "operationId": "health",
        "summary": "Whether this replica can take calls",
        "description": "For load balancers and container probes. Needs no key.",
        "tags": ["Operations"],
        "security": [],
        "responses": {
            "200": {
                "description": "The database answers. `sessionId` is the process's: another one after a restart.",
                "content": _health(
                    "ok", timestamp="2025-01-01T12:00:00Z", sessionId="0b8e5d3e-8a4c-4f0f-9d43-1f2f0c1b7a55"
                ),
            },
            "503": {"description": "It does not.", "content": _health("database unavailable")},
        },
    }
}


def add_traffic(result: JSON, generator: Any, request: Any, public: bool) -> JSON:
    """drf-spectacular's hook: put the hand-written paths beside the derived ones."""
    paths = {**openai.PATHS, **openai_kinds.PATHS, **openai_charges.PATHS, **bots.EVENT_PATHS}
    schemas = {**openai.SCHEMAS, **openai_kinds.SCHEMAS, **openai_charges.SCHEMAS}
    result["paths"] = {**paths, **result.get("paths", {}), "/health": HEALTH}
    # Into the registry: hooks that come later build the components from it anew.
    _register(generator.registry, schemas, ResolvedComponent.SCHEMA)
    _register(generator.registry, openai.SECURITY_SCHEMES, ResolvedComponent.SECURITY_SCHEMA)
    result["components"] = generator.registry.build({})
    return result


def _register(registry: ComponentRegistry, components: JSON, kind: str) -> None:
    for name, schema in components.items():
        component = ResolvedComponent(name, kind, schema, name)  # type: ignore[no-untyped-call]  # spectacular's
        registry.register_on_missing(component)
