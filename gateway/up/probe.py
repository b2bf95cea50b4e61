"""`python -m gateway.up.probe HOST:PORT` ends with 0 when a server there takes calls. Needs neither Django nor curl."""

import http.client
import sys

PROBE_SECONDS = 2


def answers(server: str) -> bool:
    """Whether this host:port takes calls."""
    connection = http.client.HTTPConnection(server, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
