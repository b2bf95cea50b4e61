"""Providers and models as programs manage them: all rules checked, also when two programs write at once."""

from typing import Any

from django.db import transaction

from common.duplicates import told_duplicate
from common.models import ConfigVersion
from providers.models import AIModel, Kind, Provider
from providers.services import connections, keyrings, providers
from providers.services.connections import Connection

DUPLICATE = "A model of this name and kind exists on this provider already."
NAME_TAKEN = "A provider of this name exists already."


def add_provider(*, name: str, connection: Connection) -> Provider:
    """Raises ValidationError, and stores nothing then."""
    secrets = connections.new_secrets(connection)
    with told_duplicate(name=NAME_TAKEN):
        provider = providers.add(
            name=name,
            requester=connection.requester or "",
            base_url=connection.base_url or "",
            config=dict(connection.config or {}),
        )
        if connection.timeout is not None:
            connections.change(provider=provider, connection=Connection(timeout=connection.timeout))
        keyrings.store(provider=provider, entries=secrets, names=connection.names)
    return provider


def change_provider(*, provider: Provider, name: str | None, connection: Connection) -> None:
    """For all of its models. `name` None: as it is. Raises ValidationError, and stores nothing then."""
    with told_duplicate(name=NAME_TAKEN):
        connections.change(provider=provider, connection=connection, name=name)


def store(*, model: AIModel) -> AIModel:
    """Insert or update, with everything checked. Raises ValidationError, and stores nothing then.

    Raises Provider.DoesNotExist when its provider has gone meanwhile.
    """
    with told_duplicate(name=DUPLICATE):
        ConfigVersion.lock()
        Provider.objects.select_for_update().get(pk=model.provider_id)
        model.full_clean()
        model.save()
    return model


def locked_model(**columns: Any) -> AIModel:
    """For nobody else to change until the caller's transaction ends. Raises AIModel.DoesNotExist."""
    ConfigVersion.lock()
    return AIModel.objects.select_for_update(of=("self",)).select_related("provider").get(**columns)


class StillInUse(Exception):
    """The provider has models of this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"The provider still has models: {kind}.")
        self.kind = kind


@transaction.atomic
def remove_provider(*, provider: Provider, with_models: bool) -> None:
    """Its keys go with it. Raises StillInUse for the first kind of model that it has, unless they go too."""
    ConfigVersion.lock()
    locked = Provider.objects.select_for_update().get(pk=provider.pk)
    kinds = set(locked.models.values_list("kind", flat=True))
    if kinds and not with_models:
        raise StillInUse(min(kinds, key=Kind.values.index))
    locked.delete()
