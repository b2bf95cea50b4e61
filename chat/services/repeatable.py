"""A call whose caller may send it again under the same Idempotency-Key.

Its answer is gathered as it goes out, in the inner form, and stored in the very transaction that settles the call: a
key has an answer exactly when the charge behind it is written.
"""

import gzip
import time
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import orjson
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.errors import LedgerUnavailable
from accounts.services.ledger.types import Settled
from chat.models import IdempotentCall
from chat.services.tally import EVENTS
from common.money import show
from providers.requesters.base import Answer

MOST_BYTES = 8 * 1024 * 1024  # of one answer, compressed
PIECE_BYTES = 64 * 1024
FASTEST = 1  # of gzip's levels; what repeats itself in events is found all the same
OK = 200  # nothing else is kept
ADMITTED_WITHIN_SECONDS = 20.0  # others take a key over that was claimed, and no call is seen, somewhat later
# What a caller is told of the call itself. Limits are told as they stand when somebody asks.
KEPT_HEADERS = ("x-weighbridge-max-tokens", "x-weighbridge-dropped", "x-weighbridge-route")

TABLE = IdempotentCall._meta.db_table
# As long as the key is still this call's: one that was taken for dead may have lost it to another.
MINE = "api_key_id = %s AND key = %s AND request_id = %s AND status IS NULL"
STORE = f"UPDATE {TABLE} SET status = %s, content_type = %s, headers = %s, body = %s WHERE {MINE}"
FREE = f"DELETE FROM {TABLE} WHERE {MINE}"


class Repeatable:
    """A key in the hands of one call, and what is being answered to it."""

    def __init__(self, api_key_id: int, key: str, request_id: str) -> None:
        self.mine = (api_key_id, key, request_id)
        self.request_id = request_id
        self.is_whole = False
        self._claimed_at = time.monotonic()
        self._content_type = EVENTS
        self._headers: Mapping[str, str] = {}
        self._loose: list[bytes] = []
        self._loose_bytes = 0
        self._packed: list[bytes] = []
        self._packed_bytes = 0

    def begin_anew(self) -> None:
        """The charge of a router's question has just shown everybody that the call goes on."""
        self._claimed_at = time.monotonic()

    def check_claim(self) -> None:
        """Raises LedgerUnavailable where the call was let in so late that others may have its key by now."""
        if time.monotonic() - self._claimed_at > ADMITTED_WITHIN_SECONDS:
            raise LedgerUnavailable("The call was not let in in time. Try again shortly.")

    def take(self, data: bytes) -> None:
        """The next part of what the caller gets."""
        self._loose.append(data)
        self._loose_bytes += len(data)
        if self._loose_bytes >= PIECE_BYTES:
            self._pack()

    def take_answer(self, answer: Answer) -> None:
        """All that the caller gets."""
        self._content_type = answer.content_type
        data = orjson.dumps(answer.json) if answer.raw is None else answer.raw
        for start in range(0, len(data), PIECE_BYTES):
            self.take(data[start : start + PIECE_BYTES])
            time.sleep(0)  # other calls go on while a large one is packed

    def complete(self, headers: Mapping[str, str]) -> None:
        """Nothing is missing: the settlement that comes now is the one to store it with."""
        self._pack()
        self.is_whole, self._headers = True, headers

    def _pack(self) -> None:
        if self._packed_bytes <= MOST_BYTES:
            piece = gzip.compress(b"".join(self._loose), FASTEST, mtime=0)
            self._packed_bytes += len(piece)
            self._packed.append(piece)
        if self._packed_bytes > MOST_BYTES:
            self._packed = []
        self._loose, self._loose_bytes = [], 0

    @classmethod
    def write(cls, connection: BaseDatabaseWrapper, settled: Sequence[Settled]) -> None:
        """Store the answers that are whole; a call that brought none gives its key back, for whoever tries again."""
        for each in settled:
            if isinstance(call := each.settlement.answer, Repeatable):
                call.write_one(connection, {"x-weighbridge-cost": show(each.fee)})

    def write_one(self, connection: BaseDatabaseWrapper, more_headers: Mapping[str, str]) -> None:
        """Once, when the call is over."""
        if not self.is_whole:
            self.give_back(connection)
            return
        with connection.cursor() as cursor:
            cursor.execute(STORE, (*self._stored(more_headers), *self.mine))

    def give_back(self, connection: BaseDatabaseWrapper) -> None:
        """The key is free for the next one."""
        with connection.cursor() as cursor:
            cursor.execute(FREE, self.mine)

    def _stored(self, more_headers: Mapping[str, str]) -> tuple[Any, ...]:
        told = {name: self._headers[name] for name in KEPT_HEADERS if name in self._headers}
        headers = {"x-request-id": self.request_id, **told, **more_headers}
        body = b"".join(self._packed) if self._packed else None
        return OK, self._content_type, orjson.dumps(headers).decode(), body


def unpacked(body: bytes) -> Iterator[bytes]:
    """What was stored, a piece at a time."""
    with gzip.GzipFile(fileobj=BytesIO(body)) as file:
        while piece := file.read1(PIECE_BYTES):
            yield piece
