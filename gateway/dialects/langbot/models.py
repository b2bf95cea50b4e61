"""/api/v1/provider/models/{llm,embedding,rerank}: what callers can ask for, in both of this dialect's shapes."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope, User
from chat.services import probes
from chat.services.probes import ProbeResult
from common.models import noted
from gateway.dialects.langbot import schema_models as schema
from gateway.dialects.langbot.authentication import UserAuthentication
from gateway.dialects.langbot.bodies_providers import ModelFields, StarredFields, TestFields
from gateway.dialects.langbot.columns import applied, check_kind, connected, tested
from gateway.dialects.langbot.envelope import DialectView, DialectViewSet, ok, parsed, person_of
from gateway.dialects.langbot.providers import (
    GONE,
    check_include_secret,
    find_provider,
    keys_by_provider,
    uuid_of,
)
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.langbot.shapes import PROGRAM, model_shape
from providers.models import AIModel, Kind
from providers.services import managing
from providers.services.masks import unmasked

JSON = dict[str, Any]

UNSAVED = "_"


class ModelViewSet(DialectViewSet):
    """`kind`, the last word of the path, is one of this dialect's three."""

    scopes = {
        "GET": Scope.RESOURCE_VIEW,
        "POST": Scope.PROVIDER_SECRET_MANAGE,
        "PUT": Scope.PROVIDER_SECRET_MANAGE,
        "DELETE": Scope.RESOURCE_MANAGE,
    }
    kind: str = Kind.LLM

    def list(self, request: Request) -> Response:
        check_include_secret(request)
        of = request.query_params.get("provider_uuid")
        rows = _rows(self.kind).order_by("id")
        rows = rows.filter(provider=find_provider(of)) if of else rows
        return ok({"models": _shapes(rows, with_provider=not of)})

    def create(self, request: Request) -> Response:
        fields = parsed(ModelFields, request)
        with transaction.atomic():
            model = applied(AIModel(kind=self.kind), fields)
            model.provider = connected(fields, model)
            check_kind(model.provider.requester, self.kind)
            managing.store(model=model)
        return ok({"uuid": str(model.uuid)})

    def retrieve(self, request: Request, uuid: str) -> Response:
        check_include_secret(request)
        model = find_model(self.kind, uuid, "model not found", -1)
        return ok({"model": _shapes([model])[0]})

    def update(self, request: Request, uuid: str) -> Response:
        fields = parsed(ModelFields, request, partial=True)
        with transaction.atomic():
            model = applied(find_model(self.kind, uuid, is_locked=True), fields)
            model.provider = connected(fields, model)
            check_kind(model.provider.requester, self.kind)
            managing.store(model=model)
        return ok({})

    def destroy(self, request: Request, uuid: str) -> Response:
        with transaction.atomic():
            find_model(self.kind, uuid, is_locked=True).delete()
        return ok({})


class ModelTest(DialectView):
    """A real, small call on the way that all calls take."""

    scopes = {"POST": Scope.PROVIDER_SECRET_MANAGE}
    kind: str = Kind.LLM

    def post(self, request: Request, uuid: str) -> Response:
        result = self._of_unsaved(request) if uuid == UNSAVED else self._of_saved(request, uuid)
        if not result.is_ok:
            raise Refusal(400, f"Model request failed: {result.reason}", "model_test_failed")
        return ok({})

    def _of_saved(self, request: Request, uuid: str) -> ProbeResult:
        model = find_model(self.kind, uuid)
        extra_args = parsed(TestFields, request, is_optional=True).get("extra_args") or {}
        return probes.test_model(model=model, extra_args=unmasked(extra_args, model.extra_args))

    def _of_unsaved(self, request: Request) -> ProbeResult:
        return tested(parsed(ModelFields, request), self.kind)


@schema.of_kind(Kind.LLM)
class LLMViewSet(ModelViewSet):
    kind = Kind.LLM


@schema.of_kind(Kind.EMBEDDING)
class EmbeddingViewSet(ModelViewSet):
    kind = Kind.EMBEDDING


@schema.of_kind(Kind.RERANK)
class RerankViewSet(ModelViewSet):
    kind = Kind.RERANK


@schema.test_of_kind(Kind.LLM)
class LLMTest(ModelTest):
    kind = Kind.LLM


@schema.test_of_kind(Kind.EMBEDDING)
class EmbeddingTest(ModelTest):
    kind = Kind.EMBEDDING


@schema.test_of_kind(Kind.RERANK)
class RerankTest(ModelTest):
    kind = Kind.RERANK


class Starred(DialectView):
    """The model that somebody likes best."""

    authentication_classes = (UserAuthentication,)

    @schema.STARRED
    def get(self, request: Request) -> Response:
        return ok({"uuid": _starred(request)})

    @schema.STAR
    def put(self, request: Request) -> Response:
        uuid = parsed(StarredFields, request)["uuid"]
        if uuid is not None and not _rows(Kind.LLM).filter(uuid=uuid_of(uuid)).exists():
            raise Refusal(400, "uuid: There is no such model.")
        with transaction.atomic():
            person = User.objects.select_for_update().get(pk=person_of(request).pk)
            person.metadata = noted(person.metadata, PROGRAM, {"starred": uuid})
            person.save(update_fields=["metadata"])
        return ok({"uuid": uuid})


class DefaultModel(DialectView):
    """The starred one, else the first."""

    authentication_classes = (UserAuthentication,)

    @schema.DEFAULT
    def get(self, request: Request) -> Response:
        first = _rows(Kind.LLM).order_by("id").values_list("uuid", flat=True).first()
        return ok({"uuid": _starred(request) or (str(first) if first else None)})


def _starred(request: Request) -> str | None:
    """None once the model is gone."""
    uuid = person_of(request).metadata.get(PROGRAM, {}).get("starred")
    known = uuid and _rows(Kind.LLM).filter(uuid=uuid_of(uuid)).values_list("uuid", flat=True).first()
    return str(known) if known else None


def _rows(kind: str) -> QuerySet[AIModel]:
    return AIModel.objects.filter(kind=kind).select_related("provider")


def find_model(
    kind: str, uuid: str, message: str = "Resource not found", code: int | str = GONE, *, is_locked: bool = False
) -> AIModel:
    id = uuid_of(uuid)
    try:
        return managing.locked_model(kind=kind, uuid=id) if is_locked else _rows(kind).get(uuid=id)
    except AIModel.DoesNotExist as error:
        raise Refusal(404, message, code) from error


def _shapes(models: QuerySet[AIModel] | list[AIModel], *, with_provider: bool = True) -> list[JSON]:
    rows = list(models)
    keys = keys_by_provider({row.provider_id for row in rows})
    return [model_shape(row, keys.get(row.provider_id, 0), with_provider=with_provider) for row in rows]
