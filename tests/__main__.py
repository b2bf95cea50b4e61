"""The whole suite: `python -m tests [pytest's arguments]`. On SQLite; what touches a database on PostgreSQL, too."""

import os
import shutil
import subprocess
import sys
import tempfile

from bench.postgres import PostgresServer
from bench.processes import BenchError

AREAS = ("accounts", "chat", "commands", "common", "console", "gateway", "jobs", "providers", "routing")
ON_POSTGRESQL = [f"tests/{area}" for area in AREAS]
# Browsers, the embedded model and served gateways choose their databases themselves.
NOT_AGAIN = "not browser and not embedded"
# What takes minutes is left to the shorter half: made-up calls, and workers that choose their databases themselves.
LEFT_BESIDE = ("-m", "not made_up", "--ignore", "tests/jobs/test_work.py")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def both(postgresql: str) -> int:
    """On SQLite for all to see, and on PostgreSQL beside it, told afterwards: two cores, and each mostly waits."""
    environment = {**os.environ, "DATABASE_URL": postgresql}
    with tempfile.TemporaryFile("w+") as output:
        beside = subprocess.Popen(
            command("-m", NOT_AGAIN, *ON_POSTGRESQL), env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            print("== on SQLite ==", flush=True)
            failed = subprocess.run(command(*LEFT_BESIDE)).returncode
            failed = beside.wait() or failed
        finally:
            beside.kill()
        print("== on PostgreSQL ==", flush=True)
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout)
    return failed


def main() -> int:
    arguments = sys.argv[1:]
    try:
        with PostgresServer({"fsync": "off"}) as server:
            return subprocess.run(command(*arguments)).returncode if arguments else both(server.url)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
