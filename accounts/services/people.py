"""People: the first of an installation, their log-in, and their passwords.

Failures are counted where the console's log-in counts them, for the pair of a name and an address: whoever is locked
out there is locked out here. `origin` is the request's META, for the address that it came from.
"""

from collections.abc import Mapping
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cache_timeout
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.errors import (
    AlreadyInitialized,
    LockedOut,
    NoRecoveryKey,
    NotInitialized,
    RegistrationClosed,
    UnknownPerson,
    WrongCredentials,
    WrongPassword,
    WrongRecoveryKey,
)
from accounts.models import User
from common.models import ConfigVersion

Origin = Mapping[str, Any]

LONGEST_NAME = 150  # characters: Django's username
RECOVERY = {"username": "(recovery key)"}  # no username: failures with the recovery key are counted for it
RECOVERY_ATTEMPTS = 5


def is_initialized() -> bool:
    """Whether there is a superuser, even one who is switched off: otherwise anybody could become the first again."""
    return User.objects.filter(is_superuser=True).exists()


def initialize(*, email: str, password: str) -> User:
    """Make the first superuser. Raises AlreadyInitialized, RegistrationClosed or ValidationError."""
    if is_initialized():
        raise AlreadyInitialized("There is a superuser already.")
    user = User(username=email, email=email, is_staff=True, is_superuser=True)
    _set_password(user, password)  # before the lock: hashing takes long
    user.validate_unique()  # no full_clean: an e-mail may have characters that Django's forms take for no username
    if User.objects.filter(email__iexact=email).exists():
        raise ValidationError({"email": "Somebody has this e-mail already."})
    with transaction.atomic():
        ConfigVersion.objects.select_for_update().get(pk=1)  # any row will do, as long as all take the same
        if is_initialized():
            raise RegistrationClosed("Somebody else was first.")
        user.save()
    return user


def log_in(*, name: str, password: str, origin: Origin) -> User:
    """Who has this username or e-mail, and this password. Raises WrongCredentials or LockedOut."""
    request = _request_of(origin)
    user = _authenticated(request, _username_of(name), password)
    if user is None:
        raise WrongCredentials("The name or the password is wrong.")
    user_logged_in.send(sender=User, request=request, user=user)  # notes the log-in and forgets the failures
    return user


def change_password(*, user: User, current: str, new: str, origin: Origin) -> User:
    """A new password for somebody who knows the present one; ends their tokens and sessions.

    Somebody who has none needs to know none. Raises WrongPassword, LockedOut or ValidationError.
    """
    if user.has_usable_password():
        if not current:
            raise WrongPassword("Current password is required")
        if _authenticated(_request_of(origin), user.get_username(), current) is None:
            raise WrongPassword("Current password is incorrect")
    return _with_password(user, new)


def reset_password(*, name: str, key: str, new: str, origin: Origin) -> User:
    """A new password for whoever holds the installation's recovery key; nobody else learns whether `name` exists.

    Raises LockedOut, NotInitialized, NoRecoveryKey, WrongRecoveryKey, UnknownPerson or ValidationError.
    """
    request = _request_of(origin)
    if AxesProxyHandler.get_failures(request, RECOVERY) >= RECOVERY_ATTEMPTS:
        raise _locked_out()
    if not is_initialized():
        raise NotInitialized("There is no superuser yet.")
    _check_recovery_key(request, key)
    user = User.objects.filter(username=_username_of(name), is_active=True).first()
    if user is None:
        raise UnknownPerson("There is nobody of that name.")
    _with_password(user, new)
    AxesProxyHandler.reset_attempts(username=user.get_username())  # else they would still be locked out
    return user


def _check_recovery_key(request: HttpRequest, key: str) -> None:
    if not settings.RECOVERY_KEY:
        raise NoRecoveryKey("This installation has no recovery key. Set RECOVERY_KEY, or use the console.")
    if not constant_time_compare(key, settings.RECOVERY_KEY):
        AxesProxyHandler.user_login_failed(__name__, RECOVERY, request)
        raise WrongRecoveryKey("This is not the recovery key.")


def _with_password(user: User, password: str) -> User:
    _set_password(user, password)
    user.save(update_fields=["password"])
    return user


def _set_password(user: User, password: str) -> None:
    """Raises ValidationError for one that the installation's rules refuse."""
    validate_password(password, user)
    user.set_password(password)


def _authenticated(request: HttpRequest, username: str, password: str) -> User | None:
    """Raises LockedOut, also for the right password while too many wrong ones are remembered."""
    user = authenticate(request, username=username, password=password)
    if getattr(request, "axes_locked_out", False):
        raise _locked_out()
    return user


def _username_of(name: str) -> str:
    """The username behind a name or an e-mail, so that failures with either are counted together."""
    if User.objects.filter(username=name).exists():
        return name
    found = User.objects.filter(email__iexact=name)[:2]
    return found[0].get_username() if len(found) == 1 else name


def _locked_out() -> LockedOut:
    return LockedOut("Too many attempts. Try again later.", get_cache_timeout() or 0)


def _request_of(origin: Origin) -> HttpRequest:
    """What the guard of log-ins needs to know: no session that it would open, no body that it would keep."""
    request = HttpRequest()
    request.META = dict(origin)
    return request
