"""The process that does the tasks. While there is none it reads one row a second, another one four times a second for
the bots, one every two seconds for notices of limits, and writes nothing.

The queue's own worker claims and calls; it is woken only when something waits, since it would take SQLite's lock on
every look, and knows nothing of workers that died.
"""

import logging
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from uuid import uuid4

from django.db import Error, connection
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker
from django_tasks_db.models import DBTaskResult

from common.database import use_own_connection
from gateway.jobs import queue, runner, starting
from gateway.jobs.kinds import BOTS

logger = logging.getLogger(__name__)

POLL_SECONDS = 1
BOTS_POLL_SECONDS = 0.25  # somebody is looking at the chat
BOTS_AT_ONCE = 4
RECOVER_SECONDS = 10
NOTICE_SECONDS = 2
TIDY_SECONDS = 3600
END_SECONDS = 4
AWAY_SECONDS = 5  # between two tries while the database does not answer

ENDING = (signal.SIGINT, signal.SIGTERM)


class Woken(BaseException):
    """Told to end while nothing was under way."""


def queue_worker(*, only: str = "*", but: tuple[str, ...] = ()) -> QueueWorker:
    """The library's, which returns when nothing waits in these queues any more."""
    return QueueWorker(
        queue_names=[only],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=uuid4().hex,
        excluded_queue_names=list(but),
    )


class BotWorkers:
    """Threads that answer for bots, beside the one loop for everything else: an answer is little work and long waiting.

    One of them looks out for all; once something waits it leaves that to the next one and does it.
    """

    def __init__(self) -> None:
        self.look_out = threading.Lock()
        self.next_notices = 0.0
        self.workers = [queue_worker(only=BOTS) for _ in range(BOTS_AT_ONCE)]
        self.threads = [threading.Thread(target=self._run, args=(each,), name="bots") for each in self.workers]

    def start(self) -> None:
        for thread in self.threads:
            thread.daemon = True
            thread.start()

    def end(self) -> None:
        """No new answers; those that are under way stop at their next update and are handed back."""
        for worker in self.workers:
            worker.running = False

    def wait(self) -> None:
        """Who waits for an upstream longer than that is cut off, and taken over by the next worker."""
        deadline = time.monotonic() + END_SECONDS
        for thread in self.threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _run(self, worker: QueueWorker) -> None:
        use_own_connection(sqlite_timeout_seconds=runner.SQLITE_TIMEOUT_SECONDS)
        while not runner.stop.is_asked:
            try:
                if self._wait():
                    worker.run()
            except Error as error:
                logger.warning("the bots wait for the database: %s", error)
                connection.close()
                time.sleep(BOTS_POLL_SECONDS)
            except Exception:  # a thread that ends would be missed by nobody but people in chats
                logger.exception("a bots' worker failed")
        connection.close()

    def _wait(self) -> bool:
        with self.look_out:
            while not runner.stop.is_asked:
                self._look_for_notices()
                if DBTaskResult.objects.ready().filter(queue_name=BOTS).exists():
                    return True
                time.sleep(BOTS_POLL_SECONDS)
        return False

    def _look_for_notices(self) -> None:
        """Here, as the other loop looks at nothing while it imports models, say."""
        now = time.monotonic()
        if now >= self.next_notices:
            starting.tell_notices()
            self.next_notices = now + NOTICE_SECONDS


class Worker:
    """Does what waits, one task at a time and the bots' beside it, until it is told to end."""

    def __init__(self) -> None:
        self.is_asleep = False
        self.next_recovery = self.next_tidying = 0.0
        self.queue_worker = queue_worker(but=(BOTS,))
        self.bots = BotWorkers()

    def run(self) -> None:
        for number in ENDING:
            signal.signal(number, self._end)
        use_own_connection(sqlite_timeout_seconds=runner.SQLITE_TIMEOUT_SECONDS)
        self.bots.start()
        while not runner.stop.is_asked:
            self._sleep(self._step())
        self.bots.wait()

    def _end(self, number: int, frame: FrameType | None) -> None:
        """A running task is handed back at its next step; the process ends after it."""
        runner.stop.is_asked = True
        self.queue_worker.running = False
        self.bots.end()
        if self.is_asleep:
            self.is_asleep = False
            raise Woken

    def _sleep(self, seconds: float) -> None:
        with suppress(Woken):
            self.is_asleep = True
            if not runner.stop.is_asked:
                time.sleep(seconds)
            self.is_asleep = False

    def _step(self) -> float:
        """How many seconds it may sleep now."""
        try:
            self._look_after()
            if DBTaskResult.objects.ready().exclude(queue_name=BOTS).exists():
                self.queue_worker.run()
        except Error as error:
            logger.warning("the worker waits for the database: %s", error)
            connection.close()
            return AWAY_SECONDS
        return POLL_SECONDS

    def _look_after(self) -> None:
        now = time.monotonic()
        if now >= self.next_recovery:
            queue.recover()
            self.next_recovery = now + RECOVER_SECONDS
        if now >= self.next_tidying:
            queue.tidy()
            self.next_tidying = now + TIDY_SECONDS
