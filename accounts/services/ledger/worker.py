"""Which process holds what: an identity that outlives no process, and a page of memory that outlives every crash."""

import mmap
import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

SLOT = struct.Struct("<40sBxxxIQQ")  # request id, state, prompt tokens, output tokens, reserved
FREE, ADMITTED, SENT = 0, 1, 2
SLOTS_PER_GROWTH = 4096


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RANDOM = secrets.token_hex(8)


def inflight_directory() -> Path:
    """Where this machine's processes keep their pages."""
    return Path(settings.VAR_DIR) / "inflight"


def identity() -> str:
    """Names this process so that another one on this machine can tell whether it still runs."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> str:
    """Machine boot, process namespace, process id and start; raises OSError when there is no such process.

    Where the system shows no /proc the identity is unique but can't be looked up: silence alone tells then.
    """
    if not BOOT_ID.exists():
        return f"{socket.gethostname()}/no proc/{pid}/{RANDOM}"
    boot = BOOT_ID.read_text().strip()
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)  # dead, but not yet reaped
    return f"{boot}/{namespace}/{pid}/{fields[19]}"


def is_gone(other: str) -> bool | None:
    """Whether the process of that identity is surely gone; None: it lives elsewhere, so this machine can't tell."""
    boot, namespace, pid, _ = other.rsplit("/", 3)
    if not BOOT_ID.exists() or [boot, namespace] != identity().rsplit("/", 3)[:2]:
        return None
    try:
        return identity_of(int(pid)) != other
    except OSError:
        return True


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a call had come to when its process died."""

    request_id: str
    was_sent: bool
    prompt_tokens: int
    output_tokens: int


class InFlightPage:
    """A memory-mapped file with a slot for each running call.

    Writing to it costs a memory store, and the kernel keeps it when the process is killed: the sweep reads there
    whether a call had left and how much of its answer had come.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._free: list[int] = []
        self._grow()

    def _grow(self) -> None:
        size = os.fstat(self._file).st_size
        grown = size + SLOTS_PER_GROWTH * SLOT.size
        os.ftruncate(self._file, grown)
        self._map = mmap.mmap(self._file, grown)
        self._free.extend(range(size, grown, SLOT.size))

    def take(self, request_id: str, prompt_tokens: int) -> int:
        """A slot for a call that is let in; the number is the caller's to give back."""
        with self._lock:
            if not self._free:
                self._grow()
            slot = self._free.pop()
        SLOT.pack_into(self._map, slot, request_id.encode(), ADMITTED, prompt_tokens, 0, 0)
        return slot

    def sent(self, slot: int) -> None:
        self._map[slot + 40] = SENT

    def produced(self, slot: int, output_tokens: int) -> None:
        struct.pack_into("<Q", self._map, slot + 48, output_tokens)

    def give_back(self, slot: int) -> None:
        self._map[slot + 40] = FREE
        with self._lock:
            self._free.append(slot)

    def close(self) -> None:
        os.close(self._file)
        self.path.unlink(missing_ok=True)


def read_page(path: Path) -> Iterator[InFlight]:
    """The calls that a page's process left running."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    for request_id, state, prompt, output, _ in SLOT.iter_unpack(content):
        if state != FREE:
            yield InFlight(request_id.rstrip(b"\0").decode(), state == SENT, prompt, output)
