"""Whether this replica can take calls."""

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def health(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, else 503; for load balancers and container probes."""
    if not database_answers():
        return JsonResponse({"status": "database unavailable"}, status=503)
    return JsonResponse({"status": "ok"})
