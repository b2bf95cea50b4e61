"""Whether this replica can take calls."""

import uuid
from datetime import UTC, datetime

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse

SESSION = str(uuid.uuid4())  # of this process: another one after a restart


def health(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, else 503; for load balancers and container probes."""
    if not database_answers():
        return JsonResponse({"status": "database unavailable"}, status=503)
    return JsonResponse(facts())


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def facts() -> dict[str, str]:
    """What a healthy replica says of itself."""
    return {"status": "ok", "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "sessionId": SESSION}
