"""A model in one layer, as programs store it that know no providers: an id, and one object of all its settings.

Here the object becomes a provider with its keys, and a model. What neither has a place for stays with the model, so
that the object comes back whole and as it was written; what has been edited elsewhere since comes as it is now.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet

from common.duplicates import TAKEN
from common.models import ConfigVersion, noted
from providers import catalog
from providers.models import AIModel, ProviderKey
from providers.services import connections, flat_reading, flat_writing, managing
from providers.services.flat_reading import NOTES, implicit_name

JSON = dict[str, Any]


def problem(provider_id: str) -> str:
    """Why no model can be stored under this id; empty when one can."""
    if reason := catalog.refusal(provider_id):
        return f"{provider_id}: {reason}"
    return "" if catalog.find(provider_id) else f"{provider_id}: There is no such provider."


def readable(models: QuerySet[AIModel]) -> QuerySet[AIModel]:
    """With what `config_of` reads, in as few queries for many as for one."""
    keys = Prefetch("provider__keys", ProviderKey.objects.defer("secret").order_by("id"), flat_reading.KEYS)
    return models.select_related("provider").prefetch_related(keys)


def config_of(model: AIModel, program: str) -> tuple[str, JSON]:
    """The id and the object, with every secret masked."""
    return catalog.flat_id(model.provider.requester), flat_reading.config_of(model, program)


@transaction.atomic
def store(*, model: AIModel, provider_id: str | None, config: Mapping[str, Any] | None, program: str) -> AIModel:
    """Insert the model, or update it; its own columns are set already. None: as it is.

    `config` is the whole object; masks in it stand for what is stored. Just what `config_of` tells changes nothing.
    `program` names whose part of the rows' metadata is used. Raises ValidationError, and stores nothing then.
    """
    ConfigVersion.lock()
    before = AIModel.objects.filter(pk=model.pk).select_related("provider").first()
    _check_name(model, before)
    if provider_id is not None and (reason := problem(provider_id)):
        raise ValidationError(reason)
    shown = flat_reading.config_of(before, program) if before else {}
    requester = catalog.canonical(provider_id) if provider_id else before.provider.requester if before else ""
    if before and requester == before.provider.requester and config in (None, shown):
        _follow(model, before, shown)
    else:
        _connect(model, requester, dict(shown if config is None else config), shown, program)
    return managing.store(model=model)


def _check_name(model: AIModel, before: AIModel | None) -> None:
    """Such programs tell models apart by their names alone."""
    is_new = before is None or before.name != model.name
    if is_new and AIModel.objects.filter(name=model.name).exists():
        raise ValidationError(f"{model.name} already exists", code=TAKEN)


def _follow(model: AIModel, before: AIModel, shown: JSON) -> None:
    """Upstream's name is the model's own where the object has none."""
    flat = catalog.flat(before.provider.requester)
    if not shown.get(flat.name) and before.upstream_name == implicit_name(flat, before):
        model.upstream_name = implicit_name(flat, model)


def _connect(model: AIModel, requester: str, config: JSON, shown: JSON, program: str) -> None:
    if not requester:
        raise ValidationError("provider is required")
    written = flat_writing.written(model, requester, config, shown)
    if model._state.adding:
        model.provider = connections.find_or_make(connection=written.connection, program=program)
    else:
        connections.change_of_model(model=model, connection=written.connection, program=program)
    model.kind = written.kind
    model.upstream_name = written.upstream_name
    model.metadata = noted(model.metadata, program, {NOTES: {"requester": requester, "config": written.sent}})
