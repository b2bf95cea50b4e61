"""The process that does the tasks. While there is none it reads one row a second, and writes nothing.

The queue's own worker claims and calls; it is woken only when something waits, since it would take SQLite's lock on
every look, and knows nothing of workers that died.
"""

import logging
import os
import signal
import time
from types import FrameType
from uuid import uuid4

from django.db import Error, connection
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker
from django_tasks_db.models import DBTaskResult

from common.database import use_own_connection
from gateway.jobs import queue, runner

logger = logging.getLogger(__name__)

POLL_SECONDS = 1
RECOVER_SECONDS = 10
TIDY_SECONDS = 3600
AWAY_SECONDS = 5  # between two tries while the database does not answer

ENDING = (signal.SIGINT, signal.SIGTERM)


class Worker:
    """Does what waits, one task at a time, until it is told to end."""

    def __init__(self) -> None:
        self.is_asleep = False
        self.next_recovery = self.next_tidying = 0.0
        self.queue_worker = QueueWorker(
            queue_names=["*"],
            interval=0,
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=uuid4().hex,
            excluded_queue_names=[],
        )

    def run(self) -> None:
        for number in ENDING:
            signal.signal(number, self._end)
        use_own_connection(sqlite_timeout_seconds=runner.SQLITE_TIMEOUT_SECONDS)
        while not runner.stop.is_asked:
            self._sleep(self._step())

    def _end(self, number: int, frame: FrameType | None) -> None:
        """A running task is handed back at its next step; the process ends after it."""
        runner.stop.is_asked = True
        self.queue_worker.running = False
        if self.is_asleep:
            os._exit(os.EX_OK)  # nothing is under way but checks, which Python would wait for

    def _sleep(self, seconds: float) -> None:
        self.is_asleep = True
        if not runner.stop.is_asked:
            time.sleep(seconds)
        self.is_asleep = False

    def _step(self) -> float:
        """How many seconds it may sleep now."""
        try:
            self._look_after()
            if DBTaskResult.objects.ready().exists():
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
