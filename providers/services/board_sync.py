"""What a process's board tells the others, and what it hears from them: once a second, over two small tables.

A thread (under gevent: a greenlet) of its own, so that no call ever waits for it; when the database is away, each
process goes by what it has seen itself.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import Error, IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from common.database import use_own_connection
from providers.models import Load, Rest
from providers.services.board import MINUTE, Board, Resting, Subject, board

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
LOCK_TRY_SECONDS = 0.02
SILENT_FOR = timedelta(seconds=10)  # a process that says nothing for so long sends nothing either
KEPT_FOR = timedelta(hours=24)  # rests that are over and that nobody has tried to end since


class Exchange:
    """Writes what is new on a board, and reads what is new elsewhere."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.worker = uuid.uuid4()
        self._told: dict[int, tuple[int, int, int, int]] = {}

    def run(self) -> None:
        self._write_rests()
        self.read_rests()
        if self.board.shared:
            self._write_loads()
            self._read_loads()

    # Rests

    def _write_rests(self) -> None:
        with self.board.lock:
            changed = {subject: self.board.rests.get(subject) for subject in self.board.unwritten}
        for subject, rest in changed.items():
            _write_rest(subject, rest)
            with self.board.lock:
                if self.board.rests.get(subject) is rest:  # it may have changed meanwhile
                    self.board.unwritten.discard(subject)

    def read_rests(self) -> None:
        standing = Rest.objects.of_what_stands().filter(until__gt=timezone.now() - KEPT_FOR)
        rows = {(row.model_id, row.key_id): row for row in standing}
        with self.board.lock:
            rests, mine = self.board.rests, self.board.unwritten
            for subject in [each for each in rests if each not in rows and each not in mine]:
                del rests[subject]
            for subject, row in rows.items():
                if subject not in mine:
                    _hear(rests, subject, row)

    # Loads

    def _write_loads(self) -> None:
        now = timezone.now()
        for model_id in list(self.board.shared):
            traffic = self.board.traffic.get(model_id)
            if traffic is None:
                continue
            traffic.turn(int(time.time()) // MINUTE)
            told = (traffic.running, traffic.minute, traffic.requests, traffic.tokens)
            if any((traffic.running, traffic.requests)) or self._told.get(model_id) != told:
                counts = dict(zip(("running", "minute", "requests", "tokens"), told, strict=True))
                Load.objects.update_or_create(
                    worker=self.worker, model_id=model_id, defaults={**counts, "seen_at": now}
                )
                self._told[model_id] = told

    def _read_loads(self) -> None:
        minute = int(time.time()) // MINUTE
        recent = Load.objects.filter(seen_at__gt=timezone.now() - SILENT_FOR).exclude(worker=self.worker).order_by()
        running = dict(recent.values_list("model_id").annotate(Sum("running")))
        counted = recent.filter(minute=minute).values_list("model_id").annotate(Sum("requests"), Sum("tokens"))
        by_model = {model_id: (requests, tokens) for model_id, requests, tokens in counted}
        for model_id in list(self.board.shared):
            traffic = self.board.traffic.get(model_id)
            if traffic is not None:
                traffic.running_elsewhere = running.get(model_id, 0)
                traffic.minute_elsewhere = minute
                traffic.requests_elsewhere, traffic.tokens_elsewhere = by_model.get(model_id, (0, 0))


def tidy() -> None:
    """Remove what processes that are gone have left."""
    now = timezone.now()
    Load.objects.filter(seen_at__lt=now - KEPT_FOR).delete()
    Rest.objects.filter(until__lt=now - KEPT_FOR).delete()


def _write_rest(subject: Subject, rest: Resting | None) -> None:
    model_id, key_id = subject
    if rest is None:
        Rest.objects.filter(model_id=model_id, key_id=key_id).delete()
        return
    values = {
        "until": _moment(rest.until),
        "since": _moment(rest.since),
        "reason": rest.reason,
        "code": rest.code,
        "failures": rest.failures,
        "is_firm": rest.is_firm,
    }
    try:
        with transaction.atomic():
            Rest.objects.update_or_create(model_id=model_id, key_id=key_id, defaults=values)
    except IntegrityError:
        logger.debug("another process has just written the rest of %s", subject)


def _hear(rests: dict[Subject, Resting], subject: Subject, row: Rest) -> None:
    known = rests.get(subject)
    until = row.until.timestamp()
    if known is not None and abs(known.until - until) < 0.001:
        return
    trial_until = known.trial_until if known else 0.0
    since = row.since.timestamp()
    rests[subject] = Resting(until, since, row.reason, row.code, row.failures, row.is_firm, trial_until)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class BoardSync:
    """A thread that exchanges. Started with the first call; ends with the process."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="board-sync", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        use_own_connection(sqlite_timeout_seconds=LOCK_TRY_SECONDS)
        self._guarded(tidy)
        try:
            while not self._stopping.is_set():
                self._guarded(self._exchange.run)
                self._stopping.wait(EVERY_SECONDS)
        finally:
            connection.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Error as error:  # a locked SQLite among them: the next second will do
            logger.debug("the board was not told: %s", error)
            connection.close()
        except Exception:
            logger.exception("the board could not be told")


_sync: BoardSync | None = None
_sync_lock = threading.Lock()


def start() -> None:
    """Let this process's board speak with the others, if it does not yet."""
    global _sync
    if _sync is None:
        with _sync_lock:
            if _sync is None:
                _sync = BoardSync(Exchange(board()))


def hear() -> None:
    """Hear at once what the others say: for answers that no call follows. Raises the database's errors."""
    Exchange(board()).read_rests()


def stop() -> None:
    """End the conversation."""
    global _sync
    with _sync_lock:
        running, _sync = _sync, None
    if running is not None:
        running.stop()
