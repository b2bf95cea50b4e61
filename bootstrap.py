"""`python3 bootstrap.py run|test|chaos|bench|install`: make .venv, install what is locked, then start. Used by `make`.

Standard library only, and in the grammar of Python 3.6, so that an old Python gets a sentence and no SyntaxError.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from typing import IO

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UNPACKING = os.path.join(VENV, "unpacking")  # exists while packages may be half there

# What a command needs, and how it then goes on.
COMMANDS = {
    "run": ("run", ["manage.py", "up"]),
    "bench": ("run", ["-m", "bench"]),
    "test": ("dev", ["-m", "tests"]),
    "chaos": ("dev", ["-m", "tests.chaos"]),
    "install": ("dev", []),
}
LOCKS = {"run": ["run.txt", "weights.txt"], "dev": ["dev.txt", "weights.txt"]}

# What pip says, in the order of asking, and what it means.
REASONS = (
    ("No space left on device", "The disk is full: make room, then run the same command again."),
    ("DO NOT MATCH THE HASHES", "A downloaded package is not the one that requirements/ locks, so nothing was used."),
    (
        "CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "The package registry's certificate can't be verified: behind a proxy, set PIP_CERT to its CA file.",
    ),
    (
        "Retrying \\(|ConnectionError|NewConnectionError|ConnectTimeout|Read timed out|ProxyError|Max retries exceeded"
        "|Temporary failure in name resolution|Network is unreachable|IncompleteRead|ProtocolError",
        "The package registry can't be reached: check the network (behind a proxy set HTTPS_PROXY, for a mirror"
        " PIP_INDEX_URL), then run the same command again; what was downloaded is kept.",
    ),
    ("Permission denied", "Something in .venv or pip's cache belongs to another user: remove .venv and try again."),
    (
        "No matching distribution found for (\\S+)",
        "There is no build of {} for this Python and machine; Python 3.11 to 3.13 are known to work, and"
        " `make run PYTHON=python3.12` chooses one.",
    ),
)


class Failure(Exception):
    """Why it does not go on, in one sentence."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def check_python() -> None:
    wanted = ".".join(map(str, OLDEST))
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise Failure(
            f"Weighbridge needs Python {wanted} or newer, and {sys.executable} is {found}: install one, or name it,"
            " as in `make run PYTHON=python3.12`."
        )


def check_venv_module() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Failure(
            "This Python can't make virtual environments: `apt install python3-venv` (Debian, Ubuntu) adds what is"
            " missing, then run the same command again."
        )


def is_whole_venv() -> bool:
    """Whether .venv has a Python that is new enough and runs, and pip, and no half-unpacked packages."""
    if os.path.exists(UNPACKING):
        return False
    question = "import sys, importlib.util as u; sys.exit(sys.version_info < {} or not u.find_spec('pip'))"
    try:
        return subprocess.call([PYTHON, "-I", "-c", question.format(OLDEST)], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv() -> None:
    check_venv_module()
    say("Making .venv with Python {}.{}.{} ...".format(*sys.version_info[:3]))
    process = subprocess.Popen(
        [sys.executable, "-m", "venv", "--clear", VENV],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    output = process.communicate()[0]
    if process.returncode:
        raise Failure(reason(output, "The virtual environment can't be made"))


def reason(output: str, otherwise: str) -> str:
    """One sentence for a known failure, else the last words of whoever failed."""
    for pattern, sentence in REASONS:
        match = re.search(pattern, output)
        if match:
            return sentence.format(*match.groups())
    return "{}:\n{}".format(otherwise, "\n".join(output.strip().splitlines()[-12:]))


def lock_files(lock: str) -> "list[str]":
    return [os.path.join(ROOT, "requirements", name) for name in LOCKS[lock]]


def fingerprint(lock: str) -> str:
    """Of what is to be installed; when it changes, so must .venv."""
    digest = hashlib.sha256()
    for path in lock_files(lock):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def stamp_file(lock: str) -> str:
    return os.path.join(VENV, "installed-" + lock)


def is_installed(lock: str) -> bool:
    try:
        with open(stamp_file(lock)) as file:
            return file.read() == fingerprint(lock)
    except OSError:
        return False


def stamp(lock: str) -> None:
    with open(stamp_file(lock), "w") as file:
        file.write(fingerprint(lock))


class Progress:
    """Counts packages while pip works: one line that changes on a terminal, a line every few seconds elsewhere."""

    SECONDS_BETWEEN_LINES = 2

    def __init__(self, total: int) -> None:
        self.total = total
        self.count = 0
        self.is_terminal = sys.stdout.isatty()
        self.last_line = 0.0

    def note(self, line: str) -> None:
        """Take one line of pip's output."""
        if line.startswith("Ignoring "):  # not for this Python or system
            self.total -= 1
        elif line.startswith(("Collecting ", "Requirement already satisfied: ")):
            self.count += 1
            self.show(line.split(": ")[-1].replace("Collecting ", "").split(" ")[0])
        elif "Retrying (" in line:
            self.tell("The package registry does not answer; trying again ...")
        elif line.startswith("Installing collected packages"):
            open(UNPACKING, "w").close()
            self.tell("Unpacking {} packages; this takes a moment ...".format(line.count(",") + 1))

    def show(self, name: str) -> None:
        text = f"  {self.count} of {self.total}: {name}"
        if self.is_terminal:
            sys.stdout.write("\r\033[K" + text)
            sys.stdout.flush()
        elif self.count in (1, self.total) or time.time() - self.last_line > self.SECONDS_BETWEEN_LINES:
            self.last_line = time.time()
            say(text)

    def tell(self, text: str) -> None:
        say(("\r\033[K" if self.is_terminal else "") + text)


def packages(lock: str) -> int:
    """How many packages the lock names."""
    count = 0
    for path in lock_files(lock):
        with open(path) as file:
            count += sum(1 for line in file if re.match(r"[A-Za-z0-9]", line))
    return count


def pip_command(lock: str) -> "list[str]":
    """The lock is complete, so no package's own wishes are asked: --no-deps."""
    options = ["--no-deps", "--require-hashes", "--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    options += ["--only-binary", ":all:"]  # a wheel or a plain refusal, never minutes of compiling that then fail
    command = [PYTHON, "-m", "pip", "install", *options]
    for path in lock_files(lock):
        command += ["-r", path]
    return command


def install(lock: str, inherited: int) -> None:
    """`inherited` is the file that is locked: should this process be killed, pip keeps others out until it ends."""
    progress = Progress(packages(lock))
    say("Downloading packages (about 250 MB the first time) ...")
    environment = dict(os.environ, PIP_RESUME_RETRIES="5", PYTHONUNBUFFERED="1", LC_ALL="C.UTF-8")
    process = subprocess.Popen(
        pip_command(lock),
        env=environment,
        pass_fds=[inherited],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        progress.note(line.strip())
    if process.wait():
        progress.tell("")
        raise Failure(reason("".join(lines), "Installing failed, and pip's last words are"))
    if os.path.exists(UNPACKING):
        os.remove(UNPACKING)
    stamp(lock)
    progress.tell("Installed.")


def wait_for_turn(file: "IO[str]") -> None:
    """Two at once would unpack into each other's .venv. The kernel lets go of the lock with the last process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another set-up is running in this folder; waiting for it ...")
        fcntl.flock(file, fcntl.LOCK_EX)


def prepare(lock: str) -> None:
    with open(__file__, "a") as file:
        wait_for_turn(file)
        if not is_whole_venv():
            make_venv()
        if not is_installed(lock):
            install(lock, file.fileno())


def main(arguments: "list[str]") -> None:
    name = arguments[0] if arguments else "run"
    if name not in COMMANDS:
        raise Failure("Usage: python3 bootstrap.py {} [ARGUMENTS]".format("|".join(COMMANDS)))
    lock, command = COMMANDS[name]
    check_python()
    prepare(lock)
    if command:
        os.chdir(ROOT)
        os.execv(PYTHON, [PYTHON, *command, *arguments[1:]])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit("\nStopped; the same command goes on from here.")
    except OSError as error:
        sys.exit(reason(str(error), "Setting up failed"))
