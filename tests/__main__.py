"""The whole suite: `python -m tests [pytest's arguments]`. SQLite first, then what touches a database on PostgreSQL."""

import os
import subprocess
import sys

from bench.postgres import PostgresServer
from bench.processes import BenchError

ON_POSTGRESQL = [
    f"tests/{name}" for name in ("accounts", "chat", "commands", "common", "console", "gateway", "providers", "routing")
]
# Browsers, the embedded model and served gateways choose their databases themselves.
NOT_AGAIN = "not browser and not embedded"


def pytest(arguments: list[str], **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}).returncode


def main() -> int:
    arguments = sys.argv[1:]
    try:
        with PostgresServer({"fsync": "off"}) as server:
            if arguments:
                return pytest(arguments)
            print("== on SQLite ==", flush=True)
            failed = pytest([])
            print("== on PostgreSQL ==", flush=True)
            return pytest(["-m", NOT_AGAIN, *ON_POSTGRESQL], DATABASE_URL=server.url) or failed
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
