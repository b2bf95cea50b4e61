"""/api/v1/provider/providers: whom the gateway can call."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope
from gateway.dialects.langbot import schema_providers as schema
from gateway.dialects.langbot.bodies_providers import ProviderFields
from gateway.dialects.langbot.connecting import connection_of
from gateway.dialects.langbot.envelope import DialectViewSet, ok, parsed
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.langbot.requesters import TYPES
from gateway.dialects.langbot.shapes import counted_provider, scanned_shapes
from providers.models import AIModel, Provider, ProviderKey
from providers.services import discovery, managing, providers
from providers.services.discovery import ScanFailed
from providers.services.masks import keeps_stored

JSON = dict[str, Any]

GONE = "resource_not_found"
FLAGS = {"true": True, "false": False}
IN_USE = "Cannot delete provider: {} models still reference it"
LABELS = {"llm": "LLM", "embedding": "Embedding", "rerank": "Rerank"}


class ProviderViewSet(DialectViewSet):
    scopes = {
        "GET": Scope.RESOURCE_VIEW,
        "POST": Scope.PROVIDER_SECRET_MANAGE,
        "PUT": Scope.PROVIDER_SECRET_MANAGE,
        "DELETE": Scope.RESOURCE_MANAGE,
    }

    @schema.LIST
    def list(self, request: Request) -> Response:
        check_include_secret(request)
        return ok({"providers": _shapes(Provider.objects.order_by("id"))})

    @schema.CREATE
    def create(self, request: Request) -> Response:
        fields = parsed(ProviderFields, request)
        provider = managing.add_provider(name=fields["name"], connection=connection_of(fields))
        return ok({"uuid": str(provider.uuid)})

    @schema.ONE
    def retrieve(self, request: Request, uuid: str) -> Response:
        check_include_secret(request)
        provider = find_provider(uuid, "provider not found", -1)
        return ok({"provider": _shapes([provider])[0]})

    @schema.CHANGE
    def update(self, request: Request, uuid: str) -> Response:
        fields = parsed(ProviderFields, request, partial=True)
        with transaction.atomic():
            provider = providers.locked(provider=find_provider(uuid))
            connection = connection_of(fields, provider)
            arguments = list(provider.models.values_list("extra_args", flat=True))
            connection = replace(connection, keeps_secrets=connection.keeps_secrets or keeps_stored(arguments, None))
            managing.change_provider(provider=provider, name=fields.get("name"), connection=connection)
        return ok({})

    @schema.DELETE
    def destroy(self, request: Request, uuid: str) -> Response:
        provider = find_provider(uuid)
        with_models = flag(request, "cascade", "cascade must be a single true or false value")
        try:
            managing.remove_provider(provider=provider, with_models=with_models)
        except managing.StillInUse as error:
            raise Refusal(400, IN_USE.format(LABELS.get(error.kind, error.kind))) from error
        return ok({})


class ScanViewSet(DialectViewSet):
    """Asks the upstream with a stored secret."""

    scopes = {"GET": Scope.PROVIDER_SECRET_MANAGE}

    @schema.SCAN
    def retrieve(self, request: Request, uuid: str) -> Response:
        provider = find_provider(uuid)
        kind = request.query_params.get("type") or None
        if kind not in (None, *TYPES):
            raise Refusal(400, "type must be llm, embedding or rerank")
        try:
            found = discovery.scan(provider=provider, kind=kind)
        except ScanFailed as error:
            prefix = "" if error.reason == discovery.NO_LIST else "Model request failed: "
            raise Refusal(400, prefix + error.reason) from error
        return ok({"models": scanned_shapes(found), "debug": None})


NOBODY = UUID(int=0)


def uuid_of(text: str) -> UUID:
    """Nobody's for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return NOBODY


def find_provider(uuid: str, message: str = "Resource not found", code: int | str = GONE) -> Provider:
    provider = Provider.objects.filter(uuid=uuid_of(uuid)).first()
    if provider is None:
        raise Refusal(404, message, code)
    return provider


def flag(request: Request, name: str, message: str) -> bool:
    """A query's yes or no; no without one. Raises Refusal."""
    given = request.query_params.getlist(name)
    if len(given) > 1 or any(each not in FLAGS for each in given):
        raise Refusal(400, message)
    return bool(given) and FLAGS[given[0]]


def check_include_secret(request: Request) -> None:
    """Whatever it says, no secret leaves this gateway: it is checked for those who rely on the refusal."""
    flag(request, "include_secret", "include_secret must be either true or false")


def keys_by_provider(provider_ids: Iterable[int]) -> dict[int, int]:
    """How many keys each has."""
    counted = ProviderKey.objects.filter(provider_id__in=provider_ids).order_by().values_list("provider_id")
    return dict(counted.annotate(Count("id")))


def _shapes(providers: Iterable[Provider]) -> list[JSON]:
    rows = list(providers)
    ids = [row.pk for row in rows]
    keys = keys_by_provider(ids)
    counts: dict[int, Counter[str]] = {}
    for provider_id, kind in AIModel.objects.filter(provider_id__in=ids).values_list("provider_id", "kind"):
        counts.setdefault(provider_id, Counter())[kind] += 1
    return [counted_provider(row, keys.get(row.pk, 0), counts.get(row.pk, {})) for row in rows]
