"""One task, from the moment it is taken to its end, with a sign of life all the while."""

import logging
import threading
from types import TracebackType
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import Error, connection

from common import jobs
from common.database import use_own_connection
from common.jobs import Cancelled, JobFailed, Lost, Running, Stopped
from gateway.jobs.kinds import KINDS

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

BEATS_PER_SILENCE = 6
SQLITE_TIMEOUT_SECONDS = 30  # no call waits in this process
UNEXPECTED = "It failed unexpectedly; the server's log says more."
UNKNOWN = "This version knows no such task."


class Stop:
    """Set when the process is to end."""

    def __init__(self) -> None:
        self.is_asked = False

    def __call__(self) -> bool:
        return self.is_asked


stop = Stop()


class Heartbeat:
    """A thread that says that the worker lives, however long a step lasts."""

    def __init__(self, task: Running) -> None:
        self.task = task
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"heartbeat of task {task.id}", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.is_over.set()
        self.thread.join()

    def _run(self) -> None:
        use_own_connection(sqlite_timeout_seconds=SQLITE_TIMEOUT_SECONDS)
        try:
            while not self.is_over.wait(jobs.SILENT_FOR.total_seconds() / BEATS_PER_SILENCE):
                self._beat()
        except Lost:
            logger.info("task %s is another worker's by now", self.task.id)
        finally:
            connection.close()

    def _beat(self) -> None:
        try:
            self.task.beat()
        except Error as error:
            logger.warning("no sign of life of task %s: %s", self.task.id, error)
            connection.close()


def run(job_id: int) -> None:
    """Take it and do it, if it still waits. Raises nothing: what comes of it stands in its row."""
    try:
        task = jobs.claim(job_id, stop)
        if task is not None:
            with Heartbeat(task):
                _finish(task)
    except Lost as error:
        logger.info("%s", error)
    except Error as error:  # nobody says anything of it any more, so it is taken over when the database is back
        logger.warning("task %s is left for later, as the database does not answer: %s", job_id, error)
        connection.close()


def _finish(task: Running) -> None:
    try:
        kind = KINDS.get(task.kind)
        if kind is None:
            raise JobFailed(UNKNOWN)
        task.succeed(kind.work(task), kind.file_name)
    except Stopped:
        task.hand_back()
    except Cancelled:
        task.cancel()
    except JobFailed as error:
        task.fail(str(error))
    except ValidationError as error:
        task.fail(" ".join(error.messages))
    except (Lost, Error):
        raise
    except Exception:  # of whatever kind: the worker goes on with other tasks
        logger.exception("task %s failed", task.id)
        task.fail(UNEXPECTED)
