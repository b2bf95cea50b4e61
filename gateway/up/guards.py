"""What must hold before anything is started: the port is free, and no other `up` uses the same folder."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.up import CannotStart

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
HIGHEST_PORT = 65_535


def address(host: str, port: int) -> str:
    """As in a URL: an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_address(host: str, port: int) -> str:
    """Where a client on this machine finds a server that is bound to `host`."""
    return address(EVERYWHERE.get(host, host), port)


def check_port(host: str, port: int) -> None:
    """Raises CannotStart unless a server could listen there now."""
    if not 0 < port <= HIGHEST_PORT:
        raise CannotStart(f"PORT is {port}, which is no port: choose one from 1 to {HIGHEST_PORT}.")
    try:
        _bind(host, port)
    except OSError as error:
        raise CannotStart(_why(error, host, port)) from error


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
        probe.bind(target)


def _why(error: OSError, host: str, port: int) -> str:
    other = port + 1 if port < HIGHEST_PORT else port - 1
    reasons = {
        errno.EADDRINUSE: f"Port {port} is in use by another program: choose another, as in `PORT={other} make run`.",
        errno.EACCES: f"Port {port} is for the system's own services: choose another, as in `PORT=8000 make run`.",
    }
    elsewhere = f"HOST is {host!r}, which is no address of this machine: unset it, or set 127.0.0.1 or 0.0.0.0."
    return reasons.get(error.errno or 0, elsewhere)


def free_port(preferred: int | None = None) -> int:
    """A port of 127.0.0.1 that nobody listens on: the preferred one when it is still free."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("This machine has no free port left on 127.0.0.1.")


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder. The kernel lets go of it with the process, however that ends."""
    with (folder / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip()
            raise CannotStart(
                f"Weighbridge is already running in {folder} (process {holder}): stop that one, or set another VAR_DIR."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
