"""/api/auth: log-in with a password, and tokens that follow each other from there on."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import InvalidToken, LockedOut, TokenExpired, TokenReused, WrongCredentials
from accounts.models import User
from accounts.services import principals, sessions
from accounts.services.sessions import Session, UserInactive
from gateway.dialects.providers_api import schema_login as schema
from gateway.dialects.providers_api.bodies import body_of, parsed
from gateway.dialects.providers_api.envelope import DialectView
from gateway.dialects.providers_api.refusals import Refusal
from gateway.dialects.providers_api.serializers import AdminCredentials, RefreshTokenBody, UserCredentials
from gateway.dialects.providers_api.shapes import name_of, role, user_id, uuid_of

JSON = dict[str, Any]

# The narrow come before the broad.
REFRESH_CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (TokenReused, 401, "TOKEN_REUSE_DETECTED"),
    (TokenExpired, 401, "REFRESH_TOKEN_INVALID"),
    (InvalidToken, 401, "INVALID_REFRESH_TOKEN"),
    (UserInactive, 403, "USER_INACTIVE"),
)


class OpenView(DialectView):
    """Who logs in has nothing to show yet."""

    authentication_classes = ()


class AdminLogin(OpenView):
    """For those who may manage something; to anybody else it says no more than that a password is wrong."""

    @schema.ADMIN_LOGIN
    def post(self, request: Request) -> Response:
        fields = parsed(AdminCredentials, body_of(request))
        user = checked(request, fields.get("username") or fields.get("email"), fields, "ACCOUNT_DISABLED")
        if not principals.of_user(user).rights:
            raise wrong()
        return answer(sessions.start(user=user))


class UserLogin(OpenView):
    @schema.USER_LOGIN
    def post(self, request: Request) -> Response:
        fields = parsed(UserCredentials, body_of(request))
        name = fields.get("userId") or ""
        uuid = uuid_of(name)
        known = User.objects.filter(uuid=uuid).first() if uuid else None
        user = checked(request, known.get_username() if known else name, fields, "USER_INACTIVE")
        return answer(sessions.start(user=user))


class Refresh(OpenView):
    @schema.REFRESH
    def post(self, request: Request) -> Response:
        token = parsed(RefreshTokenBody, body_of(request)).get("refreshToken")
        if not token:
            raise Refusal(400, "Refresh token is required", "MISSING_REFRESH_TOKEN")
        try:
            return answer(sessions.refresh(token=token))
        except (InvalidToken, UserInactive) as error:
            raise refused(error) from error


class Logout(OpenView):
    @schema.LOGOUT
    def post(self, request: Request) -> Response:
        sessions.end(token=parsed(RefreshTokenBody, body_of(request)).get("refreshToken") or "")
        return Response({"success": True})


def checked(request: Request, name: str | None, fields: JSON, disabled_code: str) -> User:
    """Whose name and password these are; raises Refusal."""
    password = fields.get("password")
    if not name or not password:
        raise Refusal(400, "A name and a password are required", "MISSING_CREDENTIALS")
    try:
        return sessions.log_in(name=name, password=password, origin=request.META)
    except WrongCredentials as error:
        raise wrong() from error
    except UserInactive as error:
        raise Refusal(403, "This account is disabled", disabled_code) from error
    except LockedOut as error:
        raise Refusal(429, str(error), "TOO_MANY_ATTEMPTS", retry_after=error.retry_after) from error


def wrong() -> Refusal:
    return Refusal(401, "Invalid credentials", "INVALID_CREDENTIALS")


def refused(error: Exception) -> Refusal:
    status, code = next((status, code) for kind, status, code in REFRESH_CODES if isinstance(error, kind))
    return Refusal(status, str(error), code)


def answer(session: Session) -> Response:
    user = session.user
    content = {
        "accessToken": session.access_token,
        "refreshToken": session.refresh_token,
        "expiresIn": session.expires_in,
        "tokenType": "Bearer",
        "user": {"userId": user_id(user), "email": user.email, "role": role(user), "name": name_of(user)},
    }
    return Response(content, headers={"Cache-Control": "no-store"})
