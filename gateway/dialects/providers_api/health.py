"""/api/health, and what answers under /api where no dialect has anything."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import LedgerUnavailable
from gateway import health
from gateway.dialects.base import json_response
from gateway.dialects.incoming import discard_body
from gateway.dialects.providers_api import schema_login as schema
from gateway.dialects.providers_api.login import OpenView
from gateway.dialects.providers_api.refusals import no_path


class Health(OpenView):
    @schema.HEALTH
    def get(self, request: Request) -> Response:
        if not health.database_answers():
            raise LedgerUnavailable()
        return Response(health.facts())


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """404 whatever the method; there is nothing here to log in for."""
    discard_body(request)
    refusal = no_path(request.method or "", request.path)
    return json_response(refusal.content, refusal.status)
