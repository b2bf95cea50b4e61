"""Log-ins of programs: a short-lived access token, and a refresh token that each use replaces.

The refresh token is what a thief wants, so each is good once (RFC 9700, section 4.14): one that comes back has been
copied, and the log-in that it descends from ends. An access token that is out already holds until its hour is over.
"""

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.errors import InvalidToken, TokenExpired, TokenReused, WrongCredentials
from accounts.models import RefreshToken, User
from accounts.services import keys, people, tokens

ACCESS_LIFETIME = timedelta(hours=1)
REFRESH_LIFETIME = timedelta(days=7)
LONGEST = timedelta(days=30)  # then somebody has to enter the password again
REFRESH_BYTES = 32


class UserInactive(Exception):
    """The log-in's person has been switched off."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a program gets to go on with. `expires_in` is the access token's, in seconds."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int = int(ACCESS_LIFETIME.total_seconds())

    def __repr__(self) -> str:
        return f"Session({self.user})"


def log_in(*, name: str, password: str, origin: people.Origin) -> User:
    """Who has this username or e-mail, and this password. Raises WrongCredentials, LockedOut or UserInactive."""
    try:
        return people.log_in(name=name, password=password, origin=origin)
    except WrongCredentials:
        if _is_switched_off(name, password):
            raise UserInactive("The user has been switched off.") from None
        raise


def _is_switched_off(name: str, password: str) -> bool:
    """Only who knows the password learns so."""
    alike = User.objects.filter(Q(username=name) | Q(email__iexact=name), is_active=False)[:2]
    return any(user.check_password(password) for user in alike)


@transaction.atomic
def start(*, user: User) -> Session:
    """A new log-in of somebody whose password has been checked."""
    RefreshToken.objects.filter(user=user, expires_at__lt=timezone.now()).delete()
    return _next(user, uuid.uuid4(), timezone.now() + LONGEST)


def refresh(*, token: str) -> Session:
    """The next pair of tokens. Raises InvalidToken, TokenExpired, TokenReused or UserInactive."""
    digest = keys.digest(token)
    with transaction.atomic():
        # One at a time for each person: a log-out must not miss a token that is just being made.
        owners = RefreshToken.objects.filter(digest=digest).values("user_id")
        user = User.objects.select_for_update().filter(pk__in=owners).first()
        row = RefreshToken.objects.filter(digest=digest).first()
        problem = _problem(row, user)
        if row and user and problem is None:
            RefreshToken.objects.filter(pk=row.pk).update(spent_at=timezone.now())
            return _next(user, row.family, row.ends_at)
        if row and isinstance(problem, TokenReused):
            _revoke(family=row.family)
    raise problem or InvalidToken("The refresh token is not one of ours.")


def end(*, token: str) -> None:
    """Log out: end the log-in that this token belongs to. One that is unknown ends nothing."""
    row = RefreshToken.objects.filter(digest=keys.digest(token)).first()
    if row is not None:
        with transaction.atomic():
            User.objects.select_for_update().filter(pk=row.user_id).first()
            _revoke(family=row.family)


def end_all(*, user: User) -> None:
    """End every log-in of somebody."""
    with transaction.atomic():
        User.objects.select_for_update().filter(pk=user.pk).first()
        _revoke(user=user)


def _revoke(**of: object) -> None:
    RefreshToken.objects.filter(revoked_at=None, **of).update(revoked_at=timezone.now())


def _problem(row: RefreshToken | None, user: User | None) -> Exception | None:
    """Why nothing follows from this token."""
    if row is None or user is None:
        return InvalidToken("The refresh token is not one of ours.")
    if row.revoked_at or row.expires_at <= timezone.now():
        return TokenExpired("The log-in is over.")
    if row.spent_at:
        return TokenReused("The refresh token was used before, so its log-in has been ended.")
    if not user.is_active:
        return UserInactive("The user has been switched off.")
    if not constant_time_compare(row.stamp, tokens.stamp_of(user)):
        return TokenExpired("The user has a new password.")
    return None


def _next(user: User, family: uuid.UUID, ends_at: datetime) -> Session:
    secret = secrets.token_urlsafe(REFRESH_BYTES)
    RefreshToken.objects.create(
        user=user,
        family=family,
        digest=keys.digest(secret),
        stamp=tokens.stamp_of(user),
        expires_at=min(timezone.now() + REFRESH_LIFETIME, ends_at),
        ends_at=ends_at,
    )
    return Session(user, tokens.issue(user=user, lifetime=ACCESS_LIFETIME), secret)
