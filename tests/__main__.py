"""The whole suite: `python -m tests [pytest's arguments]`. On SQLite; what touches a database on PostgreSQL, too."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.postgres import PostgresServer
from bench.processes import BenchError

AREAS = ("accounts", "chat", "commands", "common", "console", "gateway", "jobs", "providers", "routing")
ON_POSTGRESQL = [f"tests/{area}" for area in AREAS]
# Browsers and the embedded model choose their databases themselves.
NOT_AGAIN = "not browser and not embedded"
# Made-up calls take a minute, and one database is enough for them.
NOT_HERE = "not made_up"
# Gateways and workers as processes of their own; they choose their databases themselves.
SERVED = ("tests/served", "tests/chaos")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


@contextmanager
def beside(title: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A part of the suite, run beside the block and told after it."""
    with tempfile.TemporaryFile("w+") as output:
        part = subprocess.Popen(
            command(*arguments), env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield part
            part.wait()
        finally:
            part.kill()
        print(f"== {title} ==", flush=True)
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout)
        sys.stdout.flush()


def whole(postgresql: str) -> int:
    """On SQLite for all to see, the other two parts beside it: two cores, and each mostly waits."""
    left_out = [f"--ignore={folder}" for folder in SERVED]
    database = {"DATABASE_URL": postgresql}
    with (
        beside("on PostgreSQL", ("-m", NOT_AGAIN, *ON_POSTGRESQL), database) as one,
        beside("served", SERVED, {}) as two,
    ):
        print("== on SQLite ==", flush=True)
        failed = subprocess.run(command("-m", NOT_HERE, *left_out)).returncode
    return failed or one.returncode or two.returncode


def main() -> int:
    arguments = sys.argv[1:]
    try:
        with PostgresServer({"fsync": "off"}) as server:
            return subprocess.run(command(*arguments)).returncode if arguments else whole(server.url)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
