"""Who calls: `X-API-Key` decides alone, else `Authorization`, whose `Bearer ` may be missing."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.errors import InvalidKey
from accounts.services import keys
from accounts.services.keys import Caller
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.openai.schema import SECURITY_SCHEMES


class KeyAuthentication(BaseAuthentication):
    """An API key of the gateway, read as it is now: what manages must not go by what a process remembers."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        secret = secret_of(request)
        if not secret:
            raise Refusal(401, "No valid authentication provided (user token or API key required)")
        try:
            return keys.look_up(keys.digest(secret)), None
        except InvalidKey as error:
            raise Refusal(401, "Invalid authentication credentials", "invalid_authentication") from error


def secret_of(request: Request) -> str:
    secret: str = request.META.get("HTTP_X_API_KEY", "").strip()
    if secret:
        return secret
    header: str = request.META.get("HTTP_AUTHORIZATION", "").strip()
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header


class KeyAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # spectacular's
    """Both ways to send a key, under the names that the traffic's description has for them."""

    target_class = KeyAuthentication
    name = list(SECURITY_SCHEMES)

    def get_security_definition(self, auto_schema: Any) -> Any:
        return list(SECURITY_SCHEMES.values())
