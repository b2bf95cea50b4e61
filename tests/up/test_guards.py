import os
import sys
import time
from pathlib import Path

import pytest

from gateway.up import CannotStart, guards
from gateway.up.processes import Child, Keeper, Program
from tests.up.running import are_gone

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def program(code: str, log: Path | None = None) -> Program:
    return Program(["-c", code], dict(os.environ), log)


def test_a_free_port_is_fine() -> None:
    guards.check_port("127.0.0.1", guards.free_port())


def test_a_busy_port_names_another(busy_port: int) -> None:
    with pytest.raises(CannotStart, match=f"PORT={busy_port + 1} make run"):
        guards.check_port("127.0.0.1", busy_port)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_number_that_is_no_port(port: int) -> None:
    with pytest.raises(CannotStart, match="from 1 to 65535"):
        guards.check_port("127.0.0.1", port)


def test_a_host_that_is_not_this_machine() -> None:
    with pytest.raises(CannotStart, match="no address of this machine"):
        guards.check_port("192.0.2.1", 8000)


def test_addresses_as_in_a_url() -> None:
    assert guards.own_address("0.0.0.0", 80) == "127.0.0.1:80"
    assert guards.own_address("::", 80) == "[::1]:80"
    assert guards.address("::1", 80) == "[::1]:80"


def test_a_folder_is_for_one(tmp_path: Path) -> None:
    with (
        guards.only_one(tmp_path),
        pytest.raises(CannotStart, match=rf"\(process {os.getpid()}\)"),
        guards.only_one(tmp_path),
    ):
        pytest.fail("two at once")
    with guards.only_one(tmp_path):
        assert (tmp_path / "up.lock").read_text() == str(os.getpid())


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    child = Child(program(STUBBORN, tmp_path / "log"))
    while "deaf" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    child.stop(0.2, lambda: False)
    assert child.code == 137


def test_an_urgent_stop_does_not_wait(tmp_path: Path) -> None:
    child = Child(program(STUBBORN, tmp_path / "log"))
    started = time.monotonic()
    child.stop(60, lambda: True)
    assert time.monotonic() - started < 10


def test_what_a_process_has_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        f"import subprocess; p = subprocess.Popen([{sys.executable!r}, '-c', {STUBBORN!r}]); print(p.pid, flush=True)"
    )
    child = Child(program(code, tmp_path / "log"))
    child.process.wait(10)
    grandchild = int((tmp_path / "log").read_text().split()[0])
    child.stop(1, lambda: False)
    assert are_gone([grandchild])


def test_a_process_that_keeps_ending_is_told_once_and_restarted_ever_later() -> None:
    told: list[int] = []
    keeper = Keeper(program("raise SystemExit(3)"), told.append)
    deadline = time.monotonic() + 20
    while keeper.failures < 2 and time.monotonic() < deadline:
        keeper.tend()
        time.sleep(0.02)
    assert told == [3]
    assert keeper.next_start is not None and keeper.next_start - time.monotonic() > 2
