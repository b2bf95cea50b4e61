"""/admin/model: a model is one object of settings with its prices (contract A2.3). Prices come per million tokens and
go out per token."""

import math
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.services import grants
from common.money import DECIMALS
from gateway.dialects.brconnector import schema_models as schema
from gateway.dialects.brconnector.bodies import body_of, known, object_in, required, text_in
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.groups import group_in
from gateway.dialects.brconnector.lists import containing, listed, one, page_of, parameter
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import amount_in, needed_id, path_id, price, time_text
from providers import catalog
from providers.models import AIModel
from providers.services import flat, managing

JSON = dict[str, Any]

PROGRAM = "brconnector"  # whose part of a row's metadata is this dialect's
MODEL_TYPE = 1  # of every model, in the original too
PRICES = ("price_in", "price_out")
NOISE = 1e-15  # relative: a few of a float's last digits
SWITCHES = {0: False, 1: True, "0": False, "1": True}


class ModelList(AdminView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        rows = flat.readable(AIModel.objects.order_by("-id"))
        if provider := parameter(request, "provider"):
            rows = rows.filter(provider__requester=catalog.canonical(provider))
        page = page_of(request)
        return ok(listed(containing(rows, page.q, "name"), page, shape))


class ModelDetail(AdminView):
    @schema.DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(one(flat.readable(AIModel.objects.all()), path_id(id), shape))


class ModelSave(AdminView):
    @schema.SAVE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        with transaction.atomic():
            if not body.get("id"):
                model = created(body)
                return ok({"id": model.pk, "name": model.name})
            model = updated(body)
        told = shape(model)
        return ok({name: told[name] for name in ("id", "name", "config", "updated_at")})


class KnowledgeBaseSave(AdminView):
    @schema.SAVE_KNOWLEDGE_BASE
    def post(self, request: Request) -> Response:
        body_of(request)
        raise Refusal(flat.problem(catalog.KNOWLEDGE_BASE))


class ModelDelete(AdminView):
    """What it is granted to forgets it; the provider stays."""

    @schema.DELETE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        with transaction.atomic():
            found(body).delete()
        return ok(True)


class ProviderIds(AdminView):
    @schema.LIST_PROVIDERS
    def get(self, request: Request) -> Response:
        return ok(catalog.flat_ids())


def created(body: JSON) -> AIModel:
    """Raises Refusal or ValidationError."""
    name, provider = required(body, "name"), required(body, "provider")
    config = object_in(body, "config") or {}
    model = AIModel(name=name, is_multimodal=switch_in(body, False), **_prices(body))
    group = group_in(body)
    flat.store(model=model, provider_id=provider, config=config, program=PROGRAM)
    if group is not None:
        grants.change(owner=group, model_id=model.pk, is_granted=True)
    return model


def updated(body: JSON) -> AIModel:
    """What the body does not name stays. Raises Refusal or ValidationError."""
    model = found(body)
    model.name = text_in(body, "name", model.name)
    model.is_multimodal = switch_in(body, model.is_multimodal)
    for name, value in _prices(body).items():
        if value or getattr(model, name) is not None:  # an unknown one is told as 0
            setattr(model, name, value)
    provider = text_in(body, "provider") or None
    return flat.store(model=model, provider_id=provider, config=object_in(body, "config"), program=PROGRAM)


def found(body: JSON) -> AIModel:
    """The model whose number the body has, for nobody else to change meanwhile. Raises Refusal."""
    id = needed_id(body)
    with known("model"):
        return managing.locked_model(pk=id)


def switch_in(body: JSON, default: bool) -> bool:
    value = body.get("multiple")
    if value is None or value == "":
        return default
    if not isinstance(value, int | str) or value not in SWITCHES:
        raise Refusal("multiple: Give true or false, or 1 or 0.")
    return SWITCHES[value]


def _prices(body: JSON) -> dict[str, Decimal]:
    """Those that are sent. Raises Refusal."""
    return {name: _price(body, name) for name in PRICES if body.get(name) not in (None, "")}


def _price(body: JSON, name: str) -> Decimal:
    """Clients make it of what they were told by a multiplication of floats, whose noise is no decimal."""
    value = body[name]
    if isinstance(value, float) and math.isclose(rounded := round(value, DECIMALS), value, rel_tol=NOISE):
        value = rounded
    return amount_in({name: value}, name)


def shape(model: AIModel) -> JSON:
    provider, config = flat.config_of(model, PROGRAM)
    return {
        "id": model.pk,
        "name": model.name,
        "config": config,
        "created_at": time_text(model.created_at),
        "updated_at": time_text(model.updated_at),
        "multiple": int(model.is_multimodal),
        "model_type": MODEL_TYPE,
        "price_in": price(model.price_in),
        "price_out": price(model.price_out),
        "provider": provider,
    }


urlpatterns = [
    path("list", ModelList.as_view()),
    path("detail/<str:id>", ModelDetail.as_view()),
    path("save", ModelSave.as_view()),
    path("save-kb-model", KnowledgeBaseSave.as_view()),
    path("delete", ModelDelete.as_view()),
    path("list-providers", ProviderIds.as_view()),
]
