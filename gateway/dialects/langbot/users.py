"""/api/v1/user/*: the first account, log-in with a password, and passwords.

An account is whoever logs in to the console. A refused log-in has status 200 and code 1: clients look at the code.
"""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.services import people, tokens
from gateway.dialects.langbot import schema_users as schema
from gateway.dialects.langbot.authentication import BearerAuthentication, UserAuthentication
from gateway.dialects.langbot.bodies_users import (
    LogInSerializer,
    PasswordChangeSerializer,
    PasswordResetSerializer,
    PasswordSettingSerializer,
    RegistrationSerializer,
)
from gateway.dialects.langbot.envelope import DialectView, ok, parsed, person_of


class Initialization(DialectView):
    authentication_classes = ()

    @schema.INITIALIZED
    def get(self, request: Request) -> Response:
        return ok({"initialized": people.is_initialized()})

    @schema.INITIALIZE
    def post(self, request: Request) -> Response:
        asked = parsed(RegistrationSerializer, request)
        people.initialize(email=asked["user"], password=asked["password"])
        return ok({})


class LogIn(DialectView):
    authentication_classes = ()

    @schema.LOG_IN
    def post(self, request: Request) -> Response:
        asked = parsed(LogInSerializer, request, message="Invalid request parameters")
        user = people.log_in(name=asked["user"], password=asked["password"], origin=request.META)
        return ok({"token": tokens.issue(user=user)}, is_secret=True)


class TokenCheck(DialectView):
    """A good token is answered with a fresh one: who comes back within its time never logs in again."""

    authentication_classes = (BearerAuthentication,)

    @schema.CHECK_TOKEN
    def get(self, request: Request) -> Response:
        return ok({"token": tokens.issue(user=person_of(request))}, is_secret=True)


class PasswordReset(DialectView):
    authentication_classes = ()

    @schema.RESET_PASSWORD
    def post(self, request: Request) -> Response:
        asked = parsed(PasswordResetSerializer, request)
        user = people.reset_password(
            name=asked["user"], key=asked["recovery_key"], new=asked["new_password"], origin=request.META
        )
        return ok({"user": name_of(user)})


class PasswordChange(DialectView):
    authentication_classes = (BearerAuthentication,)

    @schema.CHANGE_PASSWORD
    def post(self, request: Request) -> Response:
        return _changed(request, parsed(PasswordChangeSerializer, request))


class PasswordSetting(DialectView):
    """The same, for those too who have none yet."""

    authentication_classes = (BearerAuthentication,)

    @schema.SET_PASSWORD
    def post(self, request: Request) -> Response:
        return _changed(request, parsed(PasswordSettingSerializer, request))


def _changed(request: Request, asked: dict[str, Any]) -> Response:
    user = people.change_password(
        user=person_of(request),
        current=asked["current_password"] or "",
        new=asked["new_password"],
        origin=request.META,
    )
    return ok({"user": name_of(user)})


class Account(DialectView):
    authentication_classes = (BearerAuthentication,)

    @schema.ACCOUNT
    def get(self, request: Request) -> Response:
        user = person_of(request)
        return ok(
            {
                "account_uuid": str(user.uuid),
                "user": name_of(user),
                "account_type": "local",
                "has_password": user.has_usable_password(),
            }
        )


class LogInWays(DialectView):
    """How one logs in here: by password, and no other way."""

    authentication_classes = ()

    @schema.LOG_IN_WAYS
    def get(self, request: Request) -> Response:
        return ok({"initialized": True, **WAYS} if people.is_initialized() else {"initialized": False})


WAYS = {
    "password_login_enabled": True,
    "space_login_enabled": False,
    "passkey_login_enabled": False,
    "passkey_supported": False,
    "invitation_registration_enabled": False,
    "authenticated_invitation_acceptance_enabled": False,
}


class Credits(DialectView):
    """There is no cloud behind this gateway, so there are no credits in it."""

    authentication_classes = (UserAuthentication,)

    @schema.CREDITS
    def get(self, request: Request) -> Response:
        is_owner = person_of(request).is_superuser
        return ok({"credits": None, "is_workspace_owner": is_owner, "owner_space_bound": False})


def name_of(user: User) -> str:
    return user.email or user.get_username()
