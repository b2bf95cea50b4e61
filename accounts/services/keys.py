"""API keys: made, recognised, revoked, paid for."""

import hmac
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import Error, IntegrityError, transaction
from django.utils import timezone

from accounts.errors import InvalidKey, KeyExpired, KeyRevoked, LedgerUnavailable, RightMissing
from accounts.models import ApiKey, Group, KeyGrant, Role, Scope, User
from accounts.services.ledger.decisions import this_month
from accounts.services.payments import Maker
from accounts.services.payments import recharge as recharge  # part of what is done with keys
from common.database import borrowed_connection
from common.models import ConfigVersion

SECRET_START = "wb-"
ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 40  # 238 bits
PREFIX_LENGTH = 10
SUFFIX_LENGTH = 5
REFERENCES = frozenset({"group", "owner", "made_by"})
REMEMBERED = 20_000
USE_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its secret, which exists only here: the database keeps a digest."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key.prefix}…)"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a process remembers of a key. Only a hint: the admission reads the row itself."""

    id: int
    digest: str
    name: str
    role: str
    group_id: int | None
    all_models: bool
    granted: frozenset[int]
    config_version: int
    email: str = ""


def digest(secret: str) -> str:
    """HMAC-SHA256 of the whole secret under the server's pepper, in hex."""
    return hmac.digest(settings.API_KEY_PEPPER.encode(), secret.encode(), "sha256").hex()


def new_secret(start: str = SECRET_START, length: int = SECRET_LENGTH) -> str:
    """`length` is that of what follows `start`."""
    return start + "".join(secrets.choice(ALPHABET) for _ in range(length))


def traces_of(secret: str) -> dict[str, str]:
    """What a key's row keeps of its secret, by column: enough to recognise it by, too little to use it."""
    return {"prefix": secret[:PREFIX_LENGTH], "suffix": secret[-SUFFIX_LENGTH:], "digest": digest(secret)}


def draft(*, start: str = SECRET_START, length: int = SECRET_LENGTH, **columns: Any) -> IssuedKey:
    """A key that is not stored yet. Raises ValidationError for texts and amounts that can't be."""
    secret = new_secret(start, length)
    key = ApiKey(month=this_month(), **columns, **traces_of(secret))
    key.clean_fields(exclude=REFERENCES)
    return IssuedKey(key, secret)


def issue(
    *,
    name: str,
    email: str = "",
    role: str = Role.USER,
    group: Group | None = None,
    month_quota: Decimal | None = None,
    balance: Decimal = Decimal(0),
    expires_at: datetime | None = None,
    all_models: bool = False,
    model_ids: Iterable[int] = (),
    is_internal: bool = False,
    made_by: User | None = None,
    owner: User | None = None,
    description: str = "",
    scopes: Iterable[str] = (),
    start: str = SECRET_START,
    length: int = SECRET_LENGTH,
) -> IssuedKey:
    """Make a key. `month_quota` None: no limit. `start`, `length`: its secret's, for clients that look at it.

    Raises ValidationError for values that can't be.
    """
    issued = draft(
        start=start,
        length=length,
        name=name,
        description=description,
        email=email,
        owner=owner,
        made_by=made_by,
        scopes=sorted(scopes),
        role=role,
        group=group,
        month_quota=month_quota,
        expires_at=expires_at,
        all_models=all_models,
        is_internal=is_internal,
    )
    key = issued.key
    key.full_clean()
    with transaction.atomic():
        key.save()
        KeyGrant.objects.bulk_create(KeyGrant(key=key, model_id=model_id) for model_id in model_ids)
        if balance:
            recharge(key=key, amount=balance, note="opening balance", by=Maker(made_by))
    return issued


@transaction.atomic
def store_all(drafts: Sequence[IssuedKey], *, group: Group | None) -> None:
    """All of these keys, or none, in this group; in few statements, as calls wait meanwhile."""
    for each in drafts:
        each.key.group = group
    ApiKey.objects.bulk_create([each.key for each in drafts])


def hand_out(
    *,
    rights: frozenset[str],
    name: str,
    scopes: Iterable[str] | None = None,
    description: str = "",
    expires_at: datetime | None = None,
    made_by: User | None = None,
    start: str = SECRET_START,
) -> IssuedKey:
    """Make a key that manages, with no more than the `rights` of whoever asks: all of them unless `scopes` says less.

    It calls models only with the right to. Raises RightMissing, or ValidationError.
    """
    given = rights if scopes is None else frozenset(scopes)
    if given - rights:
        raise RightMissing(min(given - rights))
    return issue(
        name=name,
        description=description,
        scopes=given,
        all_models=Scope.RUNTIME_OPERATE in given,
        expires_at=expires_at,
        made_by=made_by,
        start=start,
    )


def change(*, key: ApiKey, **fields: Any) -> ApiKey:
    """Other values for these columns, none of them a counter of the ledger. Raises ValidationError."""
    for name, value in fields.items():
        setattr(key, name, value)
    key.full_clean()
    key.save(update_fields=[*fields, "updated_at"])
    return key


def describe(*, key: ApiKey, name: str | None = None, description: str | None = None) -> ApiKey:
    """Rename a key or say what it is for; None leaves what there is. Raises ValidationError."""
    changed = {field: value for field, value in (("name", name), ("description", description)) if value is not None}
    for field, value in changed.items():
        setattr(key, field, value)
    key.clean_fields(exclude={field.name for field in key._meta.fields} - changed.keys())
    if changed:
        key.save(update_fields=[*changed, "updated_at"])
    return key


def note_use(key: ApiKey) -> None:
    """Remember when it was used last, to the minute: a write for each request would be a poor bargain."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= USE_IS_NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def find(secret: str) -> ApiKey | None:
    """Whose secret this is, whether or not the key may still be used."""
    return ApiKey.objects.filter(digest=digest(secret), is_internal=False).first()


@transaction.atomic
def renew(*, key: ApiKey, start: str = SECRET_START, length: int = SECRET_LENGTH) -> IssuedKey:
    """The same key with a new secret: what it may call, its quota and what it has spent stay as they are."""
    # What other processes remember of the old secret is stale from now on: they look it up again, and find nobody.
    ConfigVersion.bump()
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    forget_one(locked.digest)
    secret = new_secret(start, length)
    traces = traces_of(secret)
    for column, value in traces.items():
        setattr(locked, column, value)
    locked.save(update_fields=[*traces, "updated_at"])
    return IssuedKey(locked, secret)


def revoke(*, key: ApiKey) -> ApiKey:
    """Switch a key off, at once and in every process: the next admission reads it."""
    key.is_active = False
    key.save(update_fields=["is_active", "updated_at"])
    return key


@transaction.atomic
def retire(*, key: ApiKey) -> ApiKey:
    """Revoke a key that its people are done with: its grants go, too. What it has cost and what was paid stays.

    The row stays locked until the transaction ends, so no call is settled before that.
    """
    ConfigVersion.lock()
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    locked.grants.all().delete()
    return revoke(key=locked)


_remembered: dict[str, Caller] = {}


def authenticate(secret: str) -> Caller:
    """Who calls, from memory when known; raises InvalidKey. The admission decides whether the key still holds."""
    value = digest(secret)
    return _remembered.get(value) or look_up(value)


def look_up(value: str) -> Caller:
    """Who has the secret of this digest, from the database; raises an `InvalidKey` or LedgerUnavailable."""
    _remembered.pop(value, None)
    try:
        with borrowed_connection():
            caller = caller_of(ApiKey.objects.filter(digest=value).first())
    except Error as error:
        raise LedgerUnavailable() from error
    if len(_remembered) >= REMEMBERED:
        _remembered.clear()
    _remembered[value] = caller
    return caller


def caller_of(key: ApiKey | None) -> Caller:
    """The caller behind a key's row; raises an `InvalidKey` unless the key may call."""
    if key is None:
        raise InvalidKey()
    check_usable(key)
    version = ConfigVersion.current()  # read first: grants that change afterwards make it stale, never too new
    granted = frozenset(key.grants.values_list("model_id", flat=True))
    return Caller(key.id, key.digest, key.name, key.role, key.group_id, key.all_models, granted, version, key.email)


def check_usable(key: ApiKey) -> None:
    """Raises KeyRevoked or KeyExpired unless the key may authenticate now."""
    if not key.is_active:
        raise KeyRevoked("This API key has been revoked.")
    if not key.is_usable:
        raise KeyExpired("This API key has expired.")


def forget_one(value: str) -> None:
    """Drop what is remembered of the key with this digest: the ledger said that it is no good."""
    _remembered.pop(value, None)


def forget() -> None:
    """Drop what is remembered of all keys."""
    _remembered.clear()


def console_key() -> ApiKey:
    """The key that pays for the console's own test calls. Nobody knows its secret, so nobody else can use it."""
    try:
        return _internal_key() or issue(name="console", role=Role.ADMIN, all_models=True, is_internal=True).key
    except (IntegrityError, ValidationError):  # somebody else has just made it
        return ApiKey.objects.get(is_internal=True)


def _internal_key() -> ApiKey | None:
    """Switched on again if need be: it pays for tests only, and there must be one."""
    ApiKey.objects.filter(is_internal=True, is_active=False).update(is_active=True)
    return ApiKey.objects.filter(is_internal=True).first()
