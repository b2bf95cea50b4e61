"""Commands of manage.py, one after the other in a process that stays: to start one for each takes a second.

`python -m tests.served.desk` reads a JSON list of arguments a line and answers each with one line: [exit code, what
was printed, what went to stderr].
"""

import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import django
from django.core.management import ManagementUtility

from tests.served.databases import ROOT


class Desk:
    """Begins with its first command, and ends with `close()` or when nobody holds it any more."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.lock:
            self.process = self.process or self._started()
            assert self.process.stdin and self.process.stdout
            print(json.dumps(arguments), file=self.process.stdin, flush=True)
            return subprocess.CompletedProcess(arguments, *json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        if self.process:
            self.process.communicate()
            self.process = None

    def _started(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "tests.served.desk"]
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, text=True, stdin=pipe, stdout=pipe)


def act(arguments: Sequence[str]) -> list[Any]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = _exit_code(arguments)
    return [code, out.getvalue(), err.getvalue()]


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        ManagementUtility(["manage.py", *arguments]).execute()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    django.setup()
    for line in sys.stdin:
        print(json.dumps(act(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
