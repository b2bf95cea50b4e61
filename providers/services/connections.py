"""The connection that a model is sent over, as programs name it that know no providers: found, made, moved.

Such programs give each model its own requester, address and keys. Here those are a provider's, which several models
share; so an edit through one model never changes what its siblings use (copy on write).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction

from providers import catalog
from providers.models import AIModel, Provider
from providers.services import keyrings, providers
from providers.services.keyrings import Entry

JSON = dict[str, Any]

NEW_ADDRESS = "The address leads elsewhere: enter the keys again for it."
AUTO = "auto"  # in a provider's metadata: made for a model, not by somebody who wanted a provider


@dataclass(frozen=True, slots=True)
class Connection:
    """What a program says of it; None: nothing. `secrets` may have masks. `timeout` in seconds."""

    requester: str | None = None
    base_url: str | None = None
    secrets: tuple[str, ...] | None = field(default=None, repr=False)
    config: Mapping[str, Any] | None = None
    timeout: float | None = None

    @property
    def is_empty(self) -> bool:
        return self == Connection()


@transaction.atomic
def find_or_make(*, connection: Connection, program: str) -> Provider:
    """The provider with this requester, address, settings and set of keys; else a new one, named after its host.

    Raises ValidationError.
    """
    if connection.secrets and keyrings.has_mask(connection.secrets):
        raise ValidationError(keyrings.NO_VALUE)
    wanted = _draft(connection)
    secrets = keyrings.normalised(connection.secrets or ())
    return _same_as(wanted, secrets) or _make(wanted, secrets, program)


def changed(*, provider: Provider, connection: Connection) -> tuple[Provider, list[Entry], bool]:
    """A copy of the row with what the connection says, its keys then, and whether anything differs. Nothing is stored.

    Raises ValidationError.
    """
    copy = Provider.objects.get(pk=provider.pk)
    _apply(copy, connection)
    copy.clean_fields()
    copy.clean()
    rows = keyrings.rows_of(provider)
    entries: list[Entry] = list(rows)
    if connection.secrets is not None:
        entries = keyrings.resolved(connection.secrets, rows)
    _check_move(provider, copy, connection, rows)
    return copy, entries, _differs(provider, copy) or entries != rows


@transaction.atomic
def change(*, provider: Provider, connection: Connection) -> None:
    """Change the provider itself, for all of its models. Raises ValidationError, and stores nothing then."""
    Provider.objects.select_for_update().get(pk=provider.pk)
    copy, entries, is_changed = changed(provider=provider, connection=connection)
    if is_changed:
        _store(copy, entries, connection)


@transaction.atomic
def change_of_model(*, model: AIModel, connection: Connection, program: str) -> None:
    """Give one model another connection: its provider is edited where nobody else uses it, else it gets another one.

    Sets `model.provider`, without saving the model. Raises ValidationError, and stores nothing then.
    """
    provider = Provider.objects.select_for_update().get(pk=model.provider_id)
    copy, entries, is_changed = changed(provider=provider, connection=connection)
    if not is_changed:
        return
    is_its_own = provider.metadata.get(program, {}).get(AUTO, False) and provider.models.count() == 1
    if is_its_own:
        _store(copy, entries, connection)
        model.provider = copy
        return
    secrets = [entry if isinstance(entry, str) else entry.readable_secret or "" for entry in entries]
    model.provider = _same_as(copy, secrets) or _make(copy, secrets, program)


# Comparing


def _check_move(before: Provider, after: Provider, connection: Connection, rows: list[Any]) -> None:
    """Secrets don't move along to another origin unless they are entered again."""
    is_entered = connection.secrets is not None and not keyrings.has_mask(connection.secrets)
    if rows and not is_entered and providers.has_moved(before, after):
        raise ValidationError(NEW_ADDRESS)


SETTINGS = ("name", "requester", "config", "first_byte_timeout", "idle_timeout")


def _differs(before: Provider, after: Provider) -> bool:
    is_elsewhere = before.address != after.address
    return is_elsewhere or any(getattr(before, name) != getattr(after, name) for name in SETTINGS)


def _same_as(wanted: Provider, secrets: list[str]) -> Provider | None:
    alike = Provider.objects.filter(requester=wanted.requester, is_enabled=True).order_by("id")
    for each in alike:
        is_same = (each.address, each.config) == (wanted.address, wanted.config)
        is_as_patient = each.first_byte_timeout == wanted.first_byte_timeout
        if is_same and is_as_patient and set(keyrings.secrets_of(each)) == set(secrets):
            return each
    return None


# Making


def _draft(connection: Connection) -> Provider:
    if not connection.requester:
        raise ValidationError({"requester": "This field is required."})
    if reason := catalog.refusal(connection.requester):
        raise ValidationError({"requester": reason})
    provider = Provider(name="draft")
    _apply(provider, connection)
    provider.clean_fields()
    provider.clean()
    return provider


def _apply(provider: Provider, connection: Connection) -> None:
    """What the connection says, into the row. An address that is the vendor's own needs no column."""
    if connection.requester is not None:
        if reason := catalog.refusal(connection.requester):
            raise ValidationError({"requester": reason})
        provider.requester = catalog.canonical(connection.requester)
    if connection.base_url is not None and connection.base_url.rstrip("/") != provider.address.rstrip("/"):
        provider.base_url = connection.base_url
    if connection.config is not None:
        provider.config = dict(connection.config)
    if connection.timeout is not None:
        provider.first_byte_timeout = provider.idle_timeout = connection.timeout
    providers.check_egress(provider.base_url)


def _make(wanted: Provider, secrets: list[str], program: str) -> Provider:
    fields = {name: getattr(wanted, name) for name in ("requester", "base_url", *SETTINGS[2:])}
    provider = Provider(name=_free_name(wanted), metadata={program: {AUTO: True}}, **fields)
    provider.full_clean()
    provider.save()
    keyrings.store(provider=provider, entries=[secret for secret in secrets if secret])
    return provider


def _free_name(provider: Provider) -> str:
    """Its host and port, else its requester, with a number where that is taken."""
    name = urlsplit(provider.address).netloc or provider.requester
    taken = set(Provider.objects.filter(name__startswith=name).values_list("name", flat=True))
    numbered = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(each for each in numbered if each not in taken)


def _store(copy: Provider, entries: list[Entry], connection: Connection) -> None:
    copy.full_clean()
    providers.change(provider=copy)
    keyrings.store(provider=copy, entries=entries, entered=connection.secrets or ())
