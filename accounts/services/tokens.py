"""Tokens of people: signed, short-lived proofs that somebody has logged in (RFC 7519, HS256)."""

import time
from datetime import timedelta

import jwt
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.errors import InvalidToken, TokenExpired
from accounts.models import User

ISSUER = "weighbridge"
ALGORITHM = "HS256"
SALT = "accounts.services.tokens"
LIFETIME = timedelta(days=7)
REQUIRED = ("exp", "iat", "iss", "sub")


def issue(*, user: User, lifetime: timedelta = LIFETIME) -> str:
    """A token that names its user by UUID, until `lifetime` is over or the password changes."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": str(user.uuid),
        "user": user.email or user.get_username(),
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
        "stamp": stamp_of(user),
    }
    return jwt.encode(claims, _secret(), ALGORITHM)


def read(token: str) -> User:
    """Whose it is. Raises InvalidToken, or TokenExpired."""
    try:
        claims = jwt.decode(token, _secret(), [ALGORITHM], issuer=ISSUER, options={"require": list(REQUIRED)})
        user = User.objects.filter(uuid=claims["sub"], is_active=True).first()
    except jwt.ExpiredSignatureError as error:
        raise TokenExpired("The token has expired.") from error
    except (jwt.InvalidTokenError, ValidationError, ValueError, TypeError) as error:
        raise InvalidToken("The token is not one of ours.") from error
    if user is None or not constant_time_compare(str(claims.get("stamp")), stamp_of(user)):
        raise InvalidToken("The token's user is gone, or has a new password.")
    return user


def is_like_one(text: str) -> bool:
    """Whether this has a token's shape; a key's secret never has."""
    return text.count(".") == 2


def _secret() -> str:
    return salted_hmac(SALT, "", algorithm="sha256").hexdigest()


def stamp_of(user: User) -> str:
    """Changes with the password, so that a new one ends all tokens."""
    return salted_hmac(SALT, user.get_session_auth_hash(), algorithm="sha256").hexdigest()[:16]
