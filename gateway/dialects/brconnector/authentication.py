"""Who calls: `x-api-key` decides alone, else what follows the first seven characters of `Authorization`.

The original does not look at the scheme's word, and passes over a header of ten characters or fewer (contract A1).
"""

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.services import principals
from accounts.services.principals import Principal
from gateway.dialects.brconnector.refusals import NO_KEY, Refusal
from gateway.dialects.openai.schema import SECURITY_SCHEMES

SCHEME_LENGTH = len("Bearer ")
SHORTEST_HEADER = 11


class KeyAuthentication(BaseAuthentication):
    """An API key; the envelope tells what is wrong with it."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        secret = secret_of(request)
        if not secret:
            raise Refusal(NO_KEY, 401, "invalid_api_key")
        return principals.of_secret(secret), None


def secret_of(request: Request | HttpRequest) -> str:
    """The key's secret as it was sent; empty without one."""
    key: str = request.META.get("HTTP_X_API_KEY", "").strip()
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    return key or (header[SCHEME_LENGTH:].strip() if len(header) >= SHORTEST_HEADER else "")


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # spectacular's
    """One way or the other to send a key; the document's root describes both."""

    target_class = KeyAuthentication
    name: list[str] = []

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        return [{way: []} for way in SECURITY_SCHEMES]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, object]]:
        return []
