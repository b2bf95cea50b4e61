"""Who calls: `X-API-Key` decides alone, else `Authorization`, whose `Bearer ` may be missing.

What has a token's shape is read as one, anything else as a key (contract section 2).
"""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.errors import InvalidKey, InvalidToken
from accounts.services import principals
from accounts.services.principals import Principal
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.openai.schema import SECURITY_SCHEMES


class EitherAuthentication(BaseAuthentication):
    """A user's token or an API key."""

    missing = "No valid authentication provided (user token or API key required)"

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        key = _header(request, "HTTP_X_API_KEY")
        if key:
            return self.of_key(key), None
        text = _without_scheme(_header(request, "HTTP_AUTHORIZATION"))
        if not text:
            raise Refusal(401, self.missing)
        return self.of_text(text), None

    def of_text(self, text: str) -> Principal:
        return _recognised(principals.of_credentials, text)

    def of_key(self, secret: str) -> Principal:
        return _recognised(principals.of_secret, secret)


class UserAuthentication(EitherAuthentication):
    """A user's token alone: what keys may not do. `X-API-Key` says nothing here, whatever is in it."""

    missing = "No valid user token provided"

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        text = _without_scheme(_header(request, "HTTP_AUTHORIZATION"))
        if not text:
            raise Refusal(401, self.missing)
        return _recognised(principals.of_token, text), None


class BearerAuthentication(UserAuthentication):
    """A user's token, after the word Bearer."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        if not _header(request, "HTTP_AUTHORIZATION").lower().startswith("bearer "):
            raise Refusal(401, self.missing)
        return super().authenticate(request)


class KeyAuthentication(EitherAuthentication):
    """An API key alone."""

    missing = "No valid API key provided"

    def of_text(self, text: str) -> Principal:
        return self.of_key(text)


def _header(request: Request, name: str) -> str:
    value: str = request.META.get(name, "")
    return value.strip()


def _without_scheme(header: str) -> str:
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header


def _recognised(read: Callable[[str], Principal], text: str) -> Principal:
    try:
        return read(text)
    except (InvalidKey, InvalidToken) as error:
        raise Refusal(401, "Invalid authentication credentials", "invalid_authentication") from error


class EitherScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # spectacular's
    """One way or the other to send what one has; the document's root describes both."""

    target_class = EitherAuthentication
    match_subclasses = True
    name: list[str] = []
    ways = tuple(SECURITY_SCHEMES)

    def get_security_requirement(self, auto_schema: Any) -> Any:
        return [{way: []} for way in self.ways]

    def get_security_definition(self, auto_schema: Any) -> Any:
        return []


class UserScheme(EitherScheme):  # type: ignore[no-untyped-call]  # spectacular's
    target_class = UserAuthentication
    priority = 1
    ways = ("bearerAuth",)
