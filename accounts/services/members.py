"""People: asked in, changed, given a new password, switched off. Nobody reaches above themselves.

Whoever may write a person's password can be that person, so every change asks whether the one who makes it may do all
that the other may.
"""

import secrets
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.errors import EmailTaken, NotAllowed
from accounts.models import User
from accounts.services import personal_keys, principals, sessions
from accounts.services.people import LONGEST_NAME
from accounts.services.principals import Principal
from common.models import noted

PASSWORD_BYTES = 15  # 20 characters


@dataclass(frozen=True, slots=True)
class WithPassword:
    """Somebody and their new password, which exists only here."""

    user: User
    password: str

    def __repr__(self) -> str:
        return f"WithPassword({self.user})"


def invite(
    *, by: Principal, email: str, name: str, is_admin: bool = False, metadata: dict[str, Any] | None = None
) -> WithPassword:
    """Somebody new with a password made here; without rights in the console unless `is_admin`.

    Raises EmailTaken, NotAllowed or ValidationError.
    """
    if is_admin:
        _check_may_make_admins(by)
    _check_email(email)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    user = User(username=_username(email), email=email, first_name=name, metadata=metadata or {})
    user.is_staff = user.is_superuser = is_admin
    user.set_password(password)
    _save(user)
    return WithPassword(user, password)


@transaction.atomic
def change(
    *,
    by: Principal,
    user: User,
    email: str | None = None,
    name: str | None = None,
    is_admin: bool | None = None,
    metadata: Mapping[str, dict[str, Any]] | None = None,
) -> User:
    """What is None stays as it is; of `metadata`, each program's own entries. Raises as `invite` does."""
    user = _locked(user)
    check_rank(by=by, user=user)
    if email is not None:
        _rename(user, email)
    if name is not None:
        user.first_name, user.last_name = name, ""
    if is_admin is not None and {is_admin} != {user.is_superuser, user.is_staff}:
        _promote(by, user, is_admin)
    for program, entries in (metadata or {}).items():
        user.metadata = noted(user.metadata, program, entries)
    _save(user)
    return user


@transaction.atomic
def reset_password(*, by: Principal, user: User) -> WithPassword:
    """A new password, which also ends all that was logged in with the old one. Raises NotAllowed."""
    user = _locked(user)
    check_rank(by=by, user=user)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    user.set_password(password)
    user.save(update_fields=["password"])
    return WithPassword(user, password)


@transaction.atomic
def switch_off(*, by: Principal, user: User) -> User:
    """They can log in no more, and their keys are revoked; what they did stays on record. Raises NotAllowed."""
    user = _locked(user)
    check_rank(by=by, user=user)
    _check_is_somebody_else(by, user)
    for key in personal_keys.of(user=user):
        personal_keys.check_rank(by=by, key=key)
    user.is_active = False
    user.save(update_fields=["is_active"])
    shut_out(user=user)
    return user


def shut_out(*, user: User) -> None:
    """End what somebody who has been switched off still holds: log-ins, and keys, which call models as well."""
    sessions.end_all(user=user)
    user.keys.filter(is_active=True).update(is_active=False)


def check_rank(*, by: Principal, user: User) -> None:
    """Raises NotAllowed when this person may do anything that the other may not, or might once switched on again.

    The permissions of whoever has a key are not the key's.
    """
    if _is_superuser(by):
        return
    active = copy(user)
    active.is_active = True
    permissions = active.get_all_permissions() if user.is_staff else set()
    own = by.user.get_all_permissions() if by.user else set()
    if user.is_superuser or not principals.of_user(active).rights <= by.rights or not permissions <= own:
        raise NotAllowed("They have more rights than you.")


def _is_superuser(by: Principal) -> bool:
    """A person, or a key that a person has: its scopes can't be more than the superuser it was made for."""
    return by.person is not None and by.person.is_active and by.person.is_superuser and by.rights == principals.ALL


def _check_may_make_admins(by: Principal) -> None:
    if not _is_superuser(by):
        raise NotAllowed("Only an admin makes admins.")


def _check_is_somebody_else(by: Principal, user: User) -> None:
    if by.person == user:
        raise NotAllowed("Nobody takes away their own access.")


def _promote(by: Principal, user: User, is_admin: bool) -> None:
    _check_may_make_admins(by)
    _check_is_somebody_else(by, user)
    user.is_staff = user.is_superuser = is_admin


def _locked(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)


def _username(email: str) -> str:
    return email.lower()


def _rename(user: User, email: str) -> None:
    """Their name for the log-in follows where it is the address."""
    _check_email(email, user)
    if user.username == _username(user.email):
        user.username = _username(email)
    user.email = email


def _check_email(email: str, user: User | None = None) -> None:
    """Raises EmailTaken, or ValidationError for one that makes no name for the log-in."""
    if len(_username(email)) > LONGEST_NAME:  # some letters become two when they are made small
        raise ValidationError({"email": f"Give an address of at most {LONGEST_NAME} characters."})
    others = User.objects.exclude(pk=user.pk) if user else User.objects.all()
    if others.filter(Q(email__iexact=email) | Q(username__iexact=email)).exists():
        raise EmailTaken("Somebody has this e-mail address already.")


def _save(user: User) -> None:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:  # somebody else has just taken the name
        raise EmailTaken("Somebody has this e-mail address already.") from error
