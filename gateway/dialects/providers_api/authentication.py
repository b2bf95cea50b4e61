"""Who calls: `X-API-Key` decides alone, else `Authorization: Bearer` with a person's token or an API key."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.errors import InvalidKey, InvalidToken, TokenExpired
from accounts.services import principals
from accounts.services.principals import Principal
from gateway.dialects.providers_api.refusals import Refusal


class AdminAuthentication(BaseAuthentication):
    """Whatever is wrong with the credentials, there is one answer."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        return self.principal(credentials_of(request)), None

    def principal(self, credentials: str) -> Principal:
        try:
            return principals.of_credentials(credentials)
        except (InvalidKey, InvalidToken) as error:
            raise Refusal(401, "Admin authentication required. Please login.", "ADMIN_AUTH_REQUIRED") from error


class PersonAuthentication(AdminAuthentication):
    """Somebody about themselves, with their token or with a key that they have: told what is wrong with it."""

    def principal(self, credentials: str) -> Principal:
        if not credentials:
            raise Refusal(401, "Authentication token required", "TOKEN_REQUIRED")
        try:
            principal = principals.of_credentials(credentials)
        except TokenExpired as error:
            raise Refusal(401, "Token expired", "TOKEN_EXPIRED") from error
        except (InvalidKey, InvalidToken) as error:
            raise Refusal(401, "Invalid token", "INVALID_TOKEN") from error
        if principal.person is None or not principal.person.is_active:
            raise Refusal(401, "This API key belongs to nobody", "INVALID_TOKEN")
        return principal


def credentials_of(request: Request) -> str:
    """The key or the token that was sent; empty without one."""
    key: str = request.META.get("HTTP_X_API_KEY", "").strip()
    scheme, _, rest = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return key or (rest.strip() if scheme.lower() == "bearer" else "")
