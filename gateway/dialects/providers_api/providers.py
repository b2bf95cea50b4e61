"""/api/providers: configurations by name."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope
from chat.services import reachability
from gateway.dialects.providers_api import schema_providers as schema
from gateway.dialects.providers_api.bodies import body_of, parsed, query_of
from gateway.dialects.providers_api.envelope import DialectView
from gateway.dialects.providers_api.refusals import Refusal, no_provider
from gateway.dialects.providers_api.serializers import Page, ProviderChange, ProviderConfiguration
from gateway.dialects.providers_api.shapes import PROGRAM, display_name, provider_shape, with_parts
from providers import catalog
from providers.models import Provider
from providers.services import upserts
from providers.services.upserts import Wanted

JSON = dict[str, Any]

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
ORDERS: dict[str, Callable[[Provider], Any]] = {
    "name": lambda row: row.name.lower(),
    "displayName": lambda row: display_name(row).lower(),
    "baseUrl": lambda row: row.address.lower(),
    "createdAt": lambda row: (row.created_at, row.pk),
    "updatedAt": lambda row: (row.updated_at, row.pk),
}


class ProviderList(DialectView):
    scopes = {"GET": Scope.RESOURCE_VIEW, "POST": Scope.PROVIDER_SECRET_MANAGE}

    @schema.LIST
    def get(self, request: Request) -> Response:
        page = query_of(Page, request)
        found = in_order(matching(page["search"]), page["sortBy"], page["sortOrder"])
        shown = with_parts(found[page["offset"] : page["offset"] + page["limit"]])
        return Response({"providers": [provider_shape(each) for each in shown], "total": len(found)})

    @schema.PUT
    def post(self, request: Request) -> Response:
        return one(upserts.put(wanted(body_of(request))))


class ProviderDetail(DialectView):
    scopes = {"GET": Scope.RESOURCE_VIEW, "PUT": Scope.PROVIDER_SECRET_MANAGE, "DELETE": Scope.RESOURCE_MANAGE}

    @schema.ONE
    def get(self, request: Request, name: str) -> Response:
        return one(find(name))

    @schema.CHANGE
    def put(self, request: Request, name: str) -> Response:
        fields = parsed(ProviderChange, body_of(request))
        provider = find(name)
        if not fields:
            raise Refusal(400, "Nothing to update", "MISSING_FIELDS")
        secret = checked_key(provider.name, fields["apiKey"]) if "apiKey" in fields else None
        label = {"displayName": fields["displayName"]} if "displayName" in fields else {}
        return one(upserts.patch(provider=provider, secret=secret, program=PROGRAM, metadata=label))

    @schema.DELETE
    def delete(self, request: Request, name: str) -> Response:
        if not find(name).delete()[0]:
            raise no_provider()
        return Response({"success": True})


class ProviderTest(DialectView):
    scopes = {"POST": Scope.PROVIDER_SECRET_MANAGE}

    @schema.TEST
    def post(self, request: Request, name: str) -> Response:
        reason = reachability.check(provider=find(name))
        if reason:
            raise Refusal(400, f"Provider connection failed: {reason}", "CONNECTION_FAILED")
        return Response({"success": True, "message": "Provider connection successful"})


def find(name: str) -> Provider:
    provider = upserts.find(name)
    if provider is None:
        raise no_provider()
    return provider


def one(provider: Provider) -> Response:
    with_parts([provider])
    return Response({"provider": provider_shape(provider)})


def matching(search: str) -> list[Provider]:
    """All of them when nothing is searched for. In Python, as a name that is shown may be the catalog's."""
    wanted_text = search.lower()
    rows = Provider.objects.order_by("id")
    return [row for row in rows if wanted_text in f"{row.name}\0{display_name(row)}\0{row.address}".lower()]


def in_order(rows: Sequence[Provider], column: str, direction: str) -> Sequence[Provider]:
    """The newest first, unless both are known words."""
    is_known = column in ORDERS and direction.lower() in ("asc", "desc")
    order = ORDERS[column if is_known else "createdAt"]
    return sorted(rows, key=order, reverse=not is_known or direction.lower() == "desc")


def wanted(body: JSON) -> Wanted:
    """What a body asks for; raises Refusal."""
    if not body.get("name") or not body.get("apiKey"):
        raise Refusal(400, "name and apiKey are required", "MISSING_FIELDS")
    fields = parsed(ProviderConfiguration, body)
    name = fields["name"].lower()
    if not NAME.fullmatch(name):
        raise Refusal(400, "Invalid provider name", "INVALID_NAME")
    metadata = fields.get("metadata") or {}
    return Wanted(
        name=name,
        secret=checked_key(name, fields["apiKey"]),
        program=PROGRAM,
        metadata=metadata,
        requester=metadata.get("requester", ""),
        base_url=metadata.get("baseUrl", ""),
        model_names=metadata.get("models", ()),
    )


def checked_key(name: str, secret: str) -> str:
    if catalog.key_problem(name, secret):
        raise Refusal(400, "Invalid API key format", "INVALID_API_KEY")
    return secret.strip()
