"""/api/me: somebody about themselves."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.services import personal_keys, reports
from gateway.dialects.providers_api import schema_me as schema
from gateway.dialects.providers_api.authentication import PersonAuthentication
from gateway.dialects.providers_api.envelope import DialectView, principal_of
from gateway.dialects.providers_api.keys import held_by, told
from gateway.dialects.providers_api.schema_keys import ROTATED
from gateway.dialects.providers_api.shapes import key_shape, number, user_shape


class PersonView(DialectView):
    authentication_classes = (PersonAuthentication,)

    def person(self, request: Request) -> User:
        person = principal_of(request).person
        assert person is not None, "the authentication lets nobody else in"
        return person


class Profile(PersonView):
    @schema.PROFILE
    def get(self, request: Request) -> Response:
        return Response({"user": user_shape(self.person(request))})


class OwnKeys(PersonView):
    @schema.KEYS
    def get(self, request: Request) -> Response:
        held = personal_keys.of(user=self.person(request)).select_related("owner")
        return Response({"keys": [key_shape(key) for key in held]})


class OwnUsage(PersonView):
    @schema.USAGE
    def get(self, request: Request) -> Response:
        usage = reports.usage_of(self.person(request))
        counted = {
            "totalRequests": usage.ever.calls,
            "requestsToday": usage.today.calls,
            "requestsThisMonth": usage.month.calls,
            "totalInputTokens": usage.ever.input_tokens,
            "totalOutputTokens": usage.ever.output_tokens,
            "currentDailySpend": number(usage.today.fee),
            "currentMonthlySpend": number(usage.month.fee),
            "totalSpend": number(usage.ever.fee),
        }
        return Response({"usage": counted})


class RotateOwn(PersonView):
    @schema.ROTATE
    def post(self, request: Request) -> Response:
        """A key that asks is rotated itself, and never another one of the same person."""
        principal, person = principal_of(request), self.person(request)
        issued = personal_keys.rotate(by=principal, key=principal.key or held_by(person)[0])
        return told(person, issued, ROTATED, 200)
