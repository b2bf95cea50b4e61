"""The ledger writer: each process has one, with a connection of its own, and every hold and fee passes through it.

It takes all requests that wait at that moment, commits them in one transaction and wakes their callers. There is
no timer: an idle gateway commits a batch of one at once, a busy one grows its batches by itself.
"""

import logging
import queue
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.utils import timezone

from accounts.errors import LedgerUnavailable
from accounts.models import Outcome, Worker
from accounts.services.ledger import sweep
from accounts.services.ledger.batch import Batch, Request, Result
from accounts.services.ledger.types import Admission, Admitted, Settled, Settlement
from accounts.services.ledger.worker import InFlightPage, identity, inflight_directory
from common.database import LOCK_TRY_SECONDS, use_own_connection

logger = logging.getLogger(__name__)

MAX_BATCH = 256
HEARTBEAT_SECONDS = 5.0
SWEEP_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 5.0
UNSTORABLE = "Its text could not be stored."


class Ticket:
    """A request on its way through the writer, and the place where its caller waits."""

    __slots__ = ("_done", "_guard", "is_abandoned", "request", "result")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.result: Result | None = None
        self.is_abandoned = False
        self._guard = threading.Lock()
        self._done = threading.Lock()
        self._done.acquire()

    def wait(self, timeout: float) -> Result:
        if not self._done.acquire(timeout=timeout):
            with self._guard:
                self.is_abandoned = self.result is None
        return self.result or LedgerUnavailable("The ledger does not answer. Try again shortly.")

    def deliver(self, result: Result) -> bool:
        """Hand the result over; False when the caller has gone away meanwhile."""
        with self._guard:
            self.result = result
            self._done.release()
            return not self.is_abandoned


class Writer:
    """One thread (under gevent: one greenlet) that owns the ledger's connection."""

    def __init__(self, inflight_dir: Path | None = None) -> None:
        self.worker_id = uuid.uuid4()
        self._queue: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._retry: list[Ticket] = []
        self._pause_seconds = 0.0
        self._heartbeat_at = 0.0
        self._is_known = False
        self._swept_at = time.monotonic()
        self.page = InFlightPage((inflight_dir or inflight_directory()) / f"{self.worker_id}.slots")
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def admit(self, admission: Admission) -> Admitted:
        """Take a hold; raises a `Refused` or `StaleResolution`."""
        result = self._submit(admission)
        if isinstance(result, Admitted):
            return result
        if isinstance(result, BaseException):
            raise result
        raise TypeError(f"an admission came back as {type(result).__name__}")

    def settle(self, settlement: Settlement) -> Settled:
        """Turn a hold into a fee. When the database is away the settlement stays in line and is written later."""
        result = self._submit(settlement)
        if isinstance(result, Settled):
            return result
        logger.warning("settlement of %s waits for the database", settlement.request_id)
        return Settled(settlement)

    def stop(self, timeout: float = 10.0) -> None:
        """Write what waits, then end the thread and its connection."""
        self._queue.put(None)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self.page.close()

    def _submit(self, request: Request) -> Result:
        ticket = Ticket(request)
        self._queue.put(ticket)
        return ticket.wait(settings.LEDGER_WAIT_SECONDS)

    # The thread's own side

    def _run(self) -> None:
        use_own_connection(sqlite_timeout_seconds=LOCK_TRY_SECONDS)
        try:
            while self._survives_turn():
                pass
        finally:
            connection.close()

    def _survives_turn(self) -> bool:
        try:
            return self._turn()
        except Exception:  # without this thread there is no ledger; its callers time out, and the sweep finds them
            logger.critical("the ledger writer failed", exc_info=True)
            return True

    def _turn(self) -> bool:
        """One batch; False when told to stop and nothing is left to write."""
        tickets = self._take()
        is_last = None in tickets
        waiting = [ticket for ticket in tickets if ticket is not None]
        if is_last and self._retry:
            waiting, self._retry = [*self._retry, *waiting], []
        if waiting:
            self._commit(waiting)
        elif not is_last:
            self._try_to_beat()
        if not is_last:
            self._sweep()
        return not is_last

    def _take(self) -> list[Ticket | None]:
        """What waits: first what an absent database made wait, then new arrivals."""
        tickets: list[Ticket | None] = []
        if self._retry:
            time.sleep(self._pause_seconds)
            tickets, self._retry = list(self._retry), []
        else:
            try:
                tickets.append(self._queue.get(timeout=HEARTBEAT_SECONDS))
            except queue.Empty:
                return tickets
        while len(tickets) < MAX_BATCH:
            try:
                tickets.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return tickets

    def _commit(self, tickets: Sequence[Ticket]) -> None:
        try:
            results = self._run_batch([ticket.request for ticket in tickets])
        except (OperationalError, InterfaceError) as error:
            self._postpone(tickets, error)
        except Exception as error:  # whatever one request did wrong, the others must not pay for it
            self._isolate(tickets, error)
        else:
            self._pause_seconds = 0.0
            for ticket, result in zip(tickets, results, strict=True):
                self._deliver(ticket, result)

    def _run_batch(self, requests: Sequence[Request]) -> list[Result]:
        """On SQLite another process may hold the lock: wait for it in small steps, in which streams go on."""
        deadline = time.monotonic() + settings.LEDGER_WAIT_SECONDS
        while True:
            try:
                self._beat()  # a hold whose process nobody knows could not be swept soon
                return Batch(connection, self.worker_id).run(requests)
            except OperationalError as error:
                if "database is locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(LOCK_TRY_SECONDS)

    def _deliver(self, ticket: Ticket, result: Result) -> None:
        if not ticket.deliver(result) and isinstance(result, Admitted):
            self._retry.append(Ticket(_release(ticket.request)))  # its caller gave up waiting: nothing was sent

    def _isolate(self, tickets: Sequence[Ticket], error: Exception) -> None:
        """One request spoilt the batch: each goes by itself, and the bad one alone is told."""
        if len(tickets) > 1:
            for ticket in tickets:
                self._commit([ticket])
            return
        (ticket,) = tickets
        request = ticket.request
        # A database's own message quotes the row, and with it what was said.
        logger.error(
            "the ledger could not write %s: %s",
            request.request_id,
            type(error).__name__,
            exc_info=None if isinstance(error, Error) else error,
        )
        if isinstance(request, Settlement) and request.error != UNSTORABLE:
            # What was said can't be stored (its text, say); what it cost can, and must.
            ticket.request = replace(request, record=None, answer=None, error=UNSTORABLE)
            self._commit([ticket])
        else:
            ticket.deliver(LedgerUnavailable("The ledger could not write this call."))

    def _postpone(self, tickets: Sequence[Ticket], error: Error) -> None:
        """The database is away. New calls are refused; settlements stay, and so does the money they hold."""
        logger.error("the ledger's database does not answer: %s", error)
        connection.close()
        self._pause_seconds = min(max(self._pause_seconds * 2, 0.1), LONGEST_PAUSE_SECONDS)
        for ticket in tickets:
            if isinstance(ticket.request, Settlement):
                self._retry.append(ticket)
            else:
                ticket.deliver(LedgerUnavailable())
                # The answer to COMMIT may be what got lost, so the hold may stand: take it back when we can.
                self._retry.append(Ticket(_release(ticket.request)))

    def _beat(self) -> None:
        """Say that this process lives, so that no other sweeps its holds. Raises what the database raises."""
        if self._is_known and time.monotonic() - self._heartbeat_at < HEARTBEAT_SECONDS:
            return
        self._is_known = False
        Worker.objects.update_or_create(
            uuid=self.worker_id, defaults={"identity": identity(), "seen_at": timezone.now()}
        )
        self._heartbeat_at, self._is_known = time.monotonic(), True

    def _try_to_beat(self) -> None:
        try:
            self._beat()
        except Error as error:
            logger.warning("no heartbeat: %s", error)
            connection.close()

    def _sweep(self) -> None:
        """Now and then, look for holds that a process on another machine left behind."""
        if time.monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            sweep.sweep()
        except Error as error:
            logger.warning("no sweep: %s", error)
            connection.close()


def _release(request: Request) -> Settlement:
    return Settlement(request.request_id, request.key_id, Outcome.GATEWAY_ERROR, error="not sent: no ledger")


_writer: Writer | None = None
_writer_lock = threading.Lock()


def writer() -> Writer:
    """This process's writer; it starts with the first call."""
    return _writer or _start()


def _start() -> Writer:
    global _writer
    with _writer_lock:
        if _writer is None:
            _writer = Writer()
        return _writer


def stop() -> None:
    """End this process's writer, if it has one, with everything written."""
    global _writer
    with _writer_lock:
        running, _writer = _writer, None
    if running is not None:
        running.stop()
