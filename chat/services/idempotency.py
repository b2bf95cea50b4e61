"""Idempotency-Key: the same request under the same key within a day is not called again, and not charged again.

A key is claimed by inserting its row, before the call is admitted. It is free again when the call brought no whole
answer: when it was refused or failed, when its caller left, when its process died.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

from django.conf import settings
from django.db import Error, IntegrityError, connection
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.errors import InvalidKey, LedgerUnavailable
from accounts.models import ApiKey, Charge, Outcome, State
from accounts.services import keys
from accounts.services.ledger.sql import Insert, columns
from accounts.services.ledger.worker import is_gone
from chat.errors import AnswerNotKept, KeyReused, StillRunning
from chat.models import IdempotentCall
from chat.services import smart
from chat.services.repeatable import ADMITTED_WITHIN_SECONDS, TABLE, Repeatable, unpacked
from common.database import Done, remove, written
from providers.requesters.base import Answer

logger = logging.getLogger(__name__)

KEPT_FOR = timedelta(hours=24)
UNADMITTED_FOR = timedelta(seconds=ADMITTED_WITHIN_SECONDS + 10)
TRIES = 5
REMOVED_AT_ONCE = 50  # they may be large
CLAIM = Insert(
    TABLE,
    columns("api_key_id key fingerprint request_id content_type headers"),
    on_conflict="(api_key_id, key) DO NOTHING",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given before, in the inner form."""

    content_type: str
    headers: dict[str, str]
    packed: bytes = field(repr=False)

    @property
    def pieces(self) -> Iterator[bytes]:
        return unpacked(self.packed)

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key. `fingerprint` tells whether it is the same one."""

    api_key_id: int
    digest: str  # of the API key's secret
    key: str
    fingerprint: str
    request_id: str

    @property
    def claimed(self) -> Repeatable:
        return Repeatable(self.api_key_id, self.key, self.request_id)


def fingerprint(path: str, content: bytes) -> str:
    """Of a request: where it goes and what it says."""
    digest = hashlib.sha256(path.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest()


def claim(asked: Asked) -> Repeatable | Kept:
    """The key for this call alone, or what was answered to it before.

    Raises KeyReused, StillRunning or AnswerNotKept; an InvalidKey; LedgerUnavailable.
    """
    try:
        return _written(lambda: asked.claimed if _insert(asked) else _claim_used(asked))
    except Error as error:
        raise LedgerUnavailable() from error


def keep(call: Repeatable, make: Callable[[], bytes]) -> bytes:
    """What `make` returns, in JSON, stored for whoever asks again; what it raises frees the key. For what is no call of
    a model, and so has no settlement to be stored with: make it such that it does nothing the second time."""
    try:
        content = make()
    except BaseException:
        free(call)
        raise
    call.take_answer(Answer({}, content))
    call.complete({})
    try:
        _written(lambda: call.write_one(connection, {}))
    except Error as error:
        logger.warning("%s: its answer was not kept: %s", call.request_id, type(error).__name__)
    return content


def free(call: Repeatable) -> None:
    """The call was not admitted: who tries again shall be heard. Where the database is away, the key is free half a
    minute later."""
    try:
        _written(lambda: call.give_back(connection))
    except Error as error:
        logger.warning("%s: its Idempotency-Key was not given back: %s", call.request_id, type(error).__name__)


def _written(write: Callable[[], Done]) -> Done:
    return written(write, within_seconds=settings.LEDGER_WAIT_SECONDS)


def _insert(asked: Asked) -> bool:
    row = (asked.api_key_id, asked.key, asked.fingerprint, asked.request_id, "", "{}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM.for_one_row, row)
            return bool(cursor.rowcount)
    except IntegrityError as error:
        raise InvalidKey() from error


def _claim_used(asked: Asked) -> Repeatable | Kept:
    """What the row that is there already means for this request."""
    rows = IdempotentCall.objects.filter(api_key_id=asked.api_key_id, key=asked.key).select_related("api_key")
    for _ in range(TRIES):
        row = rows.all().first()
        if row is not None:
            _check_key(row.api_key, asked)
        standing = _standing_of(row)
        if standing == Standing.FREE:
            if _take_over(row, asked):
                return asked.claimed
        elif row and row.fingerprint != asked.fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request. Use a new one for each request.")
        elif row and standing == Standing.ANSWERED:
            return _kept(row)
        elif standing == Standing.RUNNING:
            raise StillRunning("The first request with this Idempotency-Key is still running. Try again shortly.")
    raise AnswerNotKept("The first request with this Idempotency-Key was answered, and its answer is not kept.")


def _check_key(key: ApiKey, asked: Asked) -> None:
    """As it is now: no admission checks the answers that come from here."""
    if key.digest != asked.digest:
        raise InvalidKey()
    keys.check_usable(key)


class Standing(Enum):
    """What a key's row says."""

    FREE = auto()
    RUNNING = auto()
    ANSWERED = auto()
    LOST = auto()  # its charge is written and it has no answer: so it was read between the two, or it was not storable


def _standing_of(row: IdempotentCall | None) -> Standing:
    if row is None or row.created_at < timezone.now() - KEPT_FOR:
        return Standing.FREE
    if row.status is not None:
        return Standing.ANSWERED
    ids = (row.request_id, *smart.question_ids(row.request_id))
    charges = {each.request_id: each for each in Charge.objects.filter(request_id__in=ids).select_related("worker")}
    if any(map(_is_running, charges.values())):
        return Standing.RUNNING
    own = charges.get(row.request_id)
    if own is not None:
        return Standing.LOST if own.outcome == Outcome.OK else Standing.FREE
    latest = max((row.created_at, *(each.updated_at for each in charges.values())))
    return Standing.RUNNING if latest > timezone.now() - UNADMITTED_FOR else Standing.FREE


def _is_running(charge: Charge) -> bool:
    """A hold whose process is surely gone will be swept; what its process would have answered comes no more."""
    return charge.state == State.HELD and not (charge.worker and is_gone(charge.worker.identity))


def _take_over(row: IdempotentCall | None, asked: Asked) -> bool:
    """False: the row has moved, so it must be read again."""
    if row is None:
        return _insert(asked)
    as_read = IdempotentCall.objects.filter(pk=row.pk, request_id=row.request_id, status__isnull=row.status is None)
    news = {"fingerprint": asked.fingerprint, "request_id": asked.request_id, "created_at": Now()}
    return bool(as_read.update(status=None, content_type="", headers={}, body=None, **news))


def _kept(row: IdempotentCall) -> Kept:
    if row.body is None:
        raise AnswerNotKept("The answer to the first request with this Idempotency-Key was too large to be kept.")
    return Kept(row.content_type, row.headers, bytes(row.body))


def tidy() -> None:
    """Forget what has been kept long enough, a little at a time."""
    old = IdempotentCall.objects.filter(created_at__lt=Now() - KEPT_FOR)
    remove(old, at_once=REMOVED_AT_ONCE)


def breaks() -> list[str]:
    """Answers that are kept of calls that are not over, or somebody else's; an empty list is the proof."""
    charge = Charge.objects.filter(request_id=OuterRef("request_id"))
    is_wrong = Exists(charge.filter(Q(state=State.HELD) | ~Q(key_id=OuterRef("api_key_id"))))
    rows = IdempotentCall.objects.filter(is_wrong, status__isnull=False)
    return [f"idempotent call {pk}: its answer is not its charge's" for pk in rows.values_list("pk", flat=True)]
