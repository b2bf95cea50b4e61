"""`make run` before anything is installed: every likely failure is one sentence, and nothing is done twice."""

import ast
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bootstrap

ROOT = Path(bootstrap.ROOT)
UNREACHABLE = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Temporary failure in name
ERROR: Could not find a version that satisfies the requirement anyio==4.16.0 (from versions: none)
ERROR: No matching distribution found for anyio==4.16.0
"""
SENTENCES = {
    UNREACHABLE: "The package registry can't be reached",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "The disk is full",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.": "not the one that requirements/ locks",
    "SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))": "set PIP_CERT",
    "ERROR: No matching distribution found for xllamacpp==1": "There is no build of xllamacpp==1",
    "ERROR: [Errno 13] Permission denied: '/x'": "belongs to another user",
}
# Stands for .venv's Python: whole, with a pip that answers what the test wants.
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    *find_spec*) exit 0 ;;
    "-m pip install"*) echo "$*" >> {folder}/pip-calls; cat {folder}/pip-says; exit $(cat {folder}/pip-code) ;;
    *) echo "started: $*" ;;
esac
"""
PIP_SAYS = """\
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
Collecting anyio==4.16.0 (from -r requirements/run.txt (line 1))
Requirement already satisfied: orjson==3.13.0 in ./lib (from -r requirements/run.txt (line 9)) (3.13.0)
Installing collected packages: anyio
Successfully installed anyio-4.16.0
"""


class Copy:
    """The project's top folder with a fake .venv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bootstrap.py", "Makefile"):
            shutil.copy(ROOT / name, folder)
        (folder / "requirements").mkdir()
        for name in ("run.txt", "weights.txt"):
            (folder / "requirements" / name).write_text("one==1 \\\n    --hash=sha256:00\n")
        executable(folder / ".venv/bin/python", FAKE_PYTHON.format(folder=folder))
        self.pip(PIP_SAYS, 0)

    def pip(self, says: str, code: int) -> None:
        (self.folder / "pip-says").write_text(says)
        (self.folder / "pip-code").write_text(str(code))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "bootstrap.py", *(arguments or ("run",))]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)

    @property
    def pip_calls(self) -> int:
        path = self.folder / "pip-calls"
        return len(path.read_text().splitlines()) if path.exists() else 0


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_an_old_python_can_read_it() -> None:
    assert ast.parse((ROOT / "bootstrap.py").read_text(), feature_version=(3, 6)).body


def test_an_old_python_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST", (99, 0))
    with pytest.raises(bootstrap.Failure, match=r"needs Python 99\.0 or newer, and .* is 3\."):
        bootstrap.main(["run"])


def test_a_python_without_ensurepip_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else name)
    with pytest.raises(bootstrap.Failure, match="apt install python3-venv"):
        bootstrap.check_venv_module()


@pytest.mark.parametrize("output", SENTENCES)
def test_a_known_failure_is_one_sentence(copy: Copy, output: str) -> None:
    copy.pip(output, 1)
    done = copy.run()
    assert done.returncode == 1 and "started" not in done.stdout
    assert SENTENCES[output] in done.stderr and done.stderr.count("\n") == 1


def test_an_unknown_failure_ends_with_pips_last_words(copy: Copy) -> None:
    copy.pip("something\n" * 50 + "the last word\n", 2)
    done = copy.run()
    assert done.returncode == 1 and done.stderr.endswith("the last word\n") and done.stderr.count("\n") < 20


def test_packages_are_counted_and_named(copy: Copy) -> None:
    done = copy.run()
    assert "  1 of 1: anyio==4.16.0" in done.stdout and done.stdout.endswith("started: manage.py up\n")


def test_nothing_is_installed_twice_until_the_lock_changes(copy: Copy) -> None:
    copy.run()
    assert copy.run().stdout == "started: manage.py up\n"
    assert copy.pip_calls == 1
    (copy.folder / "requirements/run.txt").write_text("two==2 --hash=sha256:00\n")
    copy.run()
    assert copy.pip_calls == 2


def test_after_a_failure_the_next_run_installs_again(copy: Copy) -> None:
    copy.pip(UNREACHABLE, 1)
    copy.run()
    copy.pip(PIP_SAYS, 0)
    assert copy.run().returncode == 0
    assert copy.pip_calls == 2


def test_a_half_unpacked_environment_is_made_anew(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.pip("Installing collected packages: anyio\nERROR: the power went\n", 1)
    copy.run()
    for name in ("VENV", "PYTHON", "UNPACKING"):
        monkeypatch.setattr(bootstrap, name, getattr(bootstrap, name).replace(str(ROOT), str(copy.folder)))
    assert os.path.exists(bootstrap.UNPACKING) and not bootstrap.is_whole_venv()
    bootstrap.make_venv()
    assert bootstrap.is_whole_venv()


@pytest.mark.parametrize("broken", ["#!/nowhere/python\n", "#!/bin/sh\nexit 1\n"])
def test_a_broken_environment_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    executable(tmp_path / "python", broken)
    monkeypatch.setattr(bootstrap, "PYTHON", str(tmp_path / "python"))
    assert not bootstrap.is_whole_venv()


def test_make_takes_the_first_python_that_is_new_enough(copy: Copy, tmp_path: Path) -> None:
    old, new = "#!/bin/sh\nexit 1\n", '#!/bin/sh\n[ "$1" = -c ] || echo "python3.12 $*"\n'
    for name, text in {"python3": old, "python3.13": old, "python3.12": new}.items():
        executable(tmp_path / "bin" / name, text)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    assert make(copy, environment, "run") == "python3.12 bootstrap.py run\n"


def test_make_takes_the_python_it_is_told(copy: Copy, tmp_path: Path) -> None:
    executable(tmp_path / "mine", '#!/bin/sh\necho "mine $*"\n')
    assert (
        make(copy, dict(os.environ), "test", f"PYTHON={tmp_path / 'mine'}", "ARGS=-x") == "mine bootstrap.py test -x\n"
    )


def make(copy: Copy, environment: dict[str, Any], *arguments: str) -> str:
    inherited = {name: value for name, value in environment.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=copy.folder, env=inherited, capture_output=True, text=True, check=True).stdout
