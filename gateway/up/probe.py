"""`python -m gateway.up.probe HOST:PORT` ends with 0 when a server there takes calls. Needs neither Django nor curl."""

import http.client
import os
import sys

PROBE_SECONDS = 2


def answers(server: str) -> bool:
    """Whether this host:port takes calls. Any answer but a 5xx will do: settings may refuse a probe."""
    connection = http.client.HTTPConnection(server, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health", headers={"Host": _host(), "X-Forwarded-Proto": "https"})
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _host() -> str:
    """A name that the gateway takes for its own."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    return first.lstrip(".*") or "localhost"


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
