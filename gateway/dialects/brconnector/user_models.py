"""/user/model: which models a key may call (contract A2b)."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, GroupGrant, KeyGrant, Role
from gateway.dialects.brconnector import grants
from gateway.dialects.brconnector import schema_models as schema
from gateway.dialects.brconnector.envelope import UserView, key_of, ok
from gateway.dialects.brconnector.models import PROGRAM
from providers.models import AIModel
from providers.services import flat

JSON = dict[str, Any]

# What the original's chat client insists on.
CLIENT_PROVIDER = {"id": "aws", "name": "AWS", "providerName": "BRConnector"}


class UserModels(UserView):
    """As grants: the group's first, then the key's own. A key for all models has a row for each."""

    @schema.LIST_OF_USER
    def get(self, request: Request) -> Response:
        key = key_of(request)
        return ok([_shape(grant, key) for grant in grants_of(key)])


class ClientModels(UserView):
    """For a chat client: each name once."""

    @schema.LIST_FOR_CLIENT
    def get(self, request: Request) -> Response:
        by_name = {grant.model.name: grant.model for grant in reversed(list(grants_of(key_of(request))))}
        return ok([_client_shape(model) for model in reversed(by_name.values())])


def grants_of(key: ApiKey) -> Iterator[GroupGrant | KeyGrant]:
    """Of models that can be called now, each once."""
    if key.all_models:
        yield from (_unwritten(key, model) for model in _models().order_by("id"))
        return
    of_group = GroupGrant.objects.filter(group=key.group_id) if key.group_id else GroupGrant.objects.none()
    seen = set()
    for grant in (*_with_models(of_group, "group"), *_with_models(KeyGrant.objects.filter(key=key), "key")):
        if grant.model_id not in seen:
            seen.add(grant.model_id)
            yield grant


def _models() -> QuerySet[AIModel]:
    return flat.readable(AIModel.objects.routable())


def _with_models(rows: QuerySet[Any], owner: str) -> QuerySet[Any]:
    callable_ones = rows.filter(model__is_enabled=True, model__provider__is_enabled=True)
    return callable_ones.select_related(owner).prefetch_related(Prefetch("model", _models())).order_by("id")


def _unwritten(key: ApiKey, model: AIModel) -> KeyGrant:
    """What stands for the grant of a key that needs none."""
    return KeyGrant(pk=model.pk, key=key, model=model, created_at=model.created_at, updated_at=model.updated_at)


def _shape(grant: GroupGrant | KeyGrant, key: ApiKey) -> JSON:
    """How a model is connected is the administrators' business."""
    owner = "key" if isinstance(grant, KeyGrant) else "group"
    config = flat.config_of(grant.model, PROGRAM)[1] if key.role == Role.ADMIN else {}
    return {**grants.shape(grant, owner), "config": config}


def _client_shape(model: AIModel) -> JSON:
    return {
        "name": model.name,
        "available": True,
        "modelId": model.name,
        "multiple": model.is_multimodal,
        "displayName": model.name,
        "provider": CLIENT_PROVIDER,
    }


urlpatterns = [
    path("list", UserModels.as_view()),
    path("list-for-brclient", ClientModels.as_view()),
]
