"""The connection that a model is sent over, as programs name it that know no providers: found, made, moved.

Such programs give each model its own requester, address and keys. Here those are a provider's, which several models
share; so an edit through one model never changes what its siblings use (copy on write).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from common.models import ConfigVersion
from providers import catalog
from providers.models import AIModel, Provider
from providers.services import keyrings, providers
from providers.services.keyrings import Entry

JSON = dict[str, Any]

NEW_ADDRESS = "The address leads elsewhere: enter the keys again for the new address."
NEW_SETTINGS = (
    "The address leads elsewhere: secrets in its settings, or in its models' arguments, must be entered again for it."
)
UNREADABLE = "A stored key can't be read any more: enter the keys again."
BUSY = "Others are making providers for the same address: try again."
AUTO = "auto"  # in a provider's metadata: made for a model, not by somebody who wanted a provider
TRIES = 5


@dataclass(frozen=True, slots=True)
class Connection:
    """What a program says of it; None: nothing. `secrets` may have masks; `names` says what to call new ones' keys.

    `config` is the whole of the settings. `keeps_secrets`: some in there, or in arguments that are sent along, were
    stored before and not sent in clear.
    `timeout` in seconds, `retries` as the provider counts them.
    """

    requester: str | None = None
    base_url: str | None = None
    secrets: tuple[str, ...] | None = field(default=None, repr=False)
    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)
    keeps_secrets: bool = False
    timeout: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A provider's row as it is to be, not stored yet, and its keys then."""

    row: Provider
    entries: list[Entry]
    has_moved: bool
    is_any: bool


@transaction.atomic
def find_or_make(*, connection: Connection, program: str) -> Provider:
    """The provider with this requester, address and set of keys, and with these settings as far as any are named; else
    a new one, named after its host.

    Raises ValidationError.
    """
    secrets = new_secrets(connection)
    ConfigVersion.lock()
    return _found_or_made(_draft(connection), secrets, connection, program)


@transaction.atomic
def change(*, provider: Provider, connection: Connection, name: str | None = None) -> None:
    """Change the provider itself, for all of its models. `name` None: as it is.

    Stored keys stay behind when the address leads elsewhere. Keys that are sent in clear in the same request are used
    there, and rows whose masks come with them stay, switched off; masks alone, or nothing said of keys that are in use,
    is refused. So it is with secrets in the settings. Raises ValidationError, and stores nothing then.
    """
    ConfigVersion.lock()
    locked = Provider.objects.select_for_update().get(pk=provider.pk)
    changed = _changed(locked, connection)
    changed.row.name = locked.name if name is None else name
    _store(changed, connection)


@transaction.atomic
def change_of_model(*, model: AIModel, connection: Connection, program: str) -> None:
    """Give one model another connection: its provider is edited where nobody else uses it, else it gets another one.

    Sets `model.provider`, without saving the model. Raises ValidationError, and stores nothing then.
    """
    ConfigVersion.lock()
    provider = Provider.objects.select_for_update().get(pk=model.provider_id)
    changed = _changed(provider, connection)
    if not changed.is_any:
        return
    if is_made_for_a_model(provider, program) and provider.models.count() == 1:
        _rename(provider, changed.row)
        _store(changed, connection)
        model.provider = changed.row
        return
    row = changed.row
    said = Connection(config=row.config, timeout=row.first_byte_timeout, retries=row.retries, names=connection.names)
    model.provider = _found_or_made(row, _going_along(changed, connection), said, program)


def move(*, model: AIModel, to: Provider, keeps_secrets: bool) -> None:
    """Send a model's calls to another provider, without saving the model. `keeps_secrets`: some in its arguments were
    stored before and not sent in clear; they don't go along to another origin.

    Raises ValidationError, or Provider.DoesNotExist once the provider has gone.
    """
    to = providers.locked(provider=to)
    if keeps_secrets and model.provider_id and providers.has_moved(model.provider, to):
        raise ValidationError(NEW_SETTINGS)
    model.provider = to


def new_secrets(connection: Connection) -> list[str]:
    """Those of a connection that is not stored yet. Raises ValidationError for a mask, which nothing is behind."""
    given = connection.secrets or ()
    if keyrings.has_mask(given):
        raise ValidationError(keyrings.NO_VALUE)
    return keyrings.normalised(given)


def is_made_for_a_model(provider: Provider, program: str) -> bool:
    return bool(provider.metadata.get(program, {}).get(AUTO, False))


# What changes

SETTINGS = ("requester", "config", "first_byte_timeout", "idle_timeout", "retries")


def _changed(provider: Provider, connection: Connection) -> Change:
    """Raises ValidationError."""
    row = Provider.objects.get(pk=provider.pk)
    _apply(row, connection)
    row.clean_fields()
    row.clean()
    if row.address != provider.address:
        providers.check_egress(row.address)
    rows = keyrings.rows_of(provider)
    entries: list[Entry] = list(rows)
    if connection.secrets is not None:
        entries = keyrings.resolved(connection.secrets, rows)
    has_moved = providers.has_moved(provider, row)
    if has_moved:
        _check_secrets(connection, entries)
    is_entered = bool(keyrings.in_clear(connection.secrets or ())) and not all(key.is_enabled for key in rows)
    return Change(row, entries, has_moved, is_entered or entries != rows or _differs(provider, row))


def _differs(before: Provider, after: Provider) -> bool:
    is_elsewhere = before.address != after.address
    return is_elsewhere or any(getattr(before, name) != getattr(after, name) for name in SETTINGS)


def _check_secrets(connection: Connection, entries: Sequence[Entry]) -> None:
    """Of a connection that leads elsewhere; raises ValidationError."""
    if connection.keeps_secrets:
        raise ValidationError(NEW_SETTINGS)
    is_entered = bool(keyrings.in_clear(connection.secrets or ()))
    if not is_entered and any(entry.is_enabled for entry in entries if not isinstance(entry, str)):
        raise ValidationError(NEW_ADDRESS)


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
    if connection.timeout not in (None, provider.first_byte_timeout):
        provider.first_byte_timeout = provider.idle_timeout = connection.timeout
    if connection.retries is not None:
        provider.retries = connection.retries


def _store(changed: Change, connection: Connection) -> None:
    changed.row.full_clean()
    providers.change(provider=changed.row)
    keyrings.store(
        provider=changed.row, entries=changed.entries, entered=connection.secrets or (), names=connection.names
    )


def _going_along(changed: Change, connection: Connection) -> list[str]:
    """The secrets that a copy gets: what was entered, and of the stored ones those that are on, at the same place."""
    entered = keyrings.in_clear(connection.secrets or ())
    secrets: list[str] = []
    for entry in changed.entries:
        secret = entry if isinstance(entry, str) else entry.readable_secret
        stays = not isinstance(entry, str) and (changed.has_moved or not entry.is_enabled)
        if stays and secret not in entered:
            continue
        if secret is None:
            raise ValidationError(UNREADABLE)
        secrets.append(secret)
    return secrets


# Finding and making


def _draft(connection: Connection) -> Provider:
    if not connection.requester:
        raise ValidationError({"requester": "This field is required."})
    provider = Provider(name="draft")
    _apply(provider, connection)
    provider.clean_fields()
    provider.clean()
    providers.check_egress(provider.address)
    return provider


def _found_or_made(wanted: Provider, secrets: list[str], said: Connection, program: str) -> Provider:
    """Two at once that want the same end at one row: who comes second to the name finds the first one's."""
    for _ in range(TRIES):
        found = _same_as(wanted, secrets, said)
        if found:
            return found
        with suppress(IntegrityError):
            return _make(wanted, secrets, said, program)
    raise ValidationError(BUSY)


def _same_as(wanted: Provider, secrets: list[str], said: Connection) -> Provider | None:
    """Looked at again once nobody can change it any more."""
    for each in Provider.objects.filter(requester=wanted.requester, is_enabled=True).order_by("id"):
        if _is_same(each, wanted, secrets, said):
            kept = Provider.objects.select_for_update().filter(pk=each.pk, is_enabled=True).first()
            if kept and _is_same(kept, wanted, secrets, said):
                return kept
    return None


def _is_same(provider: Provider, wanted: Provider, secrets: list[str], said: Connection) -> bool:
    is_there = provider.address.rstrip("/") == wanted.address.rstrip("/")
    is_as_said = said.config is None or provider.config == wanted.config
    is_as_patient = said.timeout is None or provider.first_byte_timeout == wanted.first_byte_timeout
    is_as_stubborn = said.retries is None or provider.retries == wanted.retries
    return is_there and is_as_said and is_as_patient and is_as_stubborn and keyrings.opens_with(provider, secrets)


@transaction.atomic
def _make(wanted: Provider, secrets: list[str], said: Connection, program: str) -> Provider:
    """Raises IntegrityError when somebody else has just taken the name."""
    fields = {name: getattr(wanted, name) for name in ("base_url", *SETTINGS)}
    provider = Provider(name=_free_name(wanted), metadata={program: {AUTO: True}}, **fields)
    provider.full_clean(validate_unique=False)
    provider.save()
    keyrings.store(provider=provider, entries=secrets, names=said.names)
    return provider


def _host(provider: Provider) -> str:
    return urlsplit(provider.address).netloc or provider.requester


def _free_name(provider: Provider) -> str:
    """Its host and port, else its requester, with a number where that is taken."""
    name = _host(provider)[:200]
    taken = set(Provider.objects.filter(name__startswith=name).values_list("name", flat=True))
    numbered = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(each for each in numbered if each not in taken)


def _rename(before: Provider, after: Provider) -> None:
    """One that is still named after its host is so at another one, too."""
    if before.name.startswith(_host(before)) and _host(before) != _host(after):
        after.name = _free_name(after)
