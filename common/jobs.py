"""The life of a background task, in short statements of SQL: taken, told of, taken over, ended, tidied away.

Times are the database's, so that no replica's clock counts. Every write names the attempt that it belongs to: who has
lost a task to somebody else, while it stood still, can write nothing of it any more.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from common.database import borrowed_connection, remove
from common.models import Job, JobPart, JobState

JSON = dict[str, Any]

SILENT_FOR = timedelta(seconds=30)  # a worker that says nothing for so long is taken for dead
UNCLAIMED_FOR = timedelta(seconds=5)  # an idle worker takes a task within two
MOST_CRASHES = 3
CRASHED = f"It was cut off {MOST_CRASHES} times: its worker died or stood still."
CANCELLED = "It was cancelled."

KEPT_FOR = timedelta(days=30)
FILE_KEPT_FOR = timedelta(days=7)
MOST_KEPT = 200
PARTS_AT_ONCE = 50

LONGEST_LOG = 4000  # characters
LONGEST_TEXT = 255


class JobFailed(Exception):
    """Why a task can't be done, in one sentence for whoever started it."""


class Lost(Exception):
    """The task is somebody else's by now, or over."""


class Cancelled(Exception):
    """Whoever started the task wants it no more."""


class Stopped(Exception):
    """The worker is to end; the task goes on with the next one."""


@dataclass(slots=True)
class Running:
    """A task in the hands of this worker. Every method that writes raises Lost once it is somebody else's."""

    id: int
    kind: str
    attempt: int
    arguments: JSON
    memory: JSON
    lines: str
    is_stopping: Callable[[], bool] = field(repr=False)

    def go_on(self) -> None:
        """To be asked between two steps. Raises Cancelled or Stopped."""
        if self.is_stopping():
            raise Stopped
        if self._mine().values_list("is_cancel_asked", flat=True).first():
            raise Cancelled

    def beat(self) -> None:
        """Say that this worker lives."""
        self._write(heartbeat_at=Now())

    def report(self, *, log: str = "", memory: JSON | None = None, **progress: Any) -> None:
        """Write down `done`, `total` and `action` as given, a line of `log`, and what the next attempt must know."""
        if log:
            self.lines = f"{self.lines}{log}\n"[-LONGEST_LOG:]
        self.memory = {**self.memory, **(memory or {})}
        if "action" in progress:
            progress["action"] = progress["action"][:LONGEST_TEXT]
        self._write(heartbeat_at=Now(), log=self.lines, memory=self.memory, **progress)

    @transaction.atomic
    def add_part(self, number: int, text: str, **report: Any) -> None:
        """The next piece of the file, together with its report: neither is there without the other."""
        data = text.encode()
        self._write(file_size=F("file_size") + len(data))
        self.report(**report)
        JobPart.objects.create(job_id=self.id, number=number, data=gzip.compress(data, mtime=0))

    def succeed(self, result: JSON, file_name: str = "") -> None:
        self._end(JobState.SUCCEEDED, result=result, file_name=file_name)

    def fail(self, why: str) -> None:
        self._end(JobState.FAILED, error=why[:500])

    def cancel(self) -> None:
        self._end(JobState.CANCELLED, error=CANCELLED)

    def hand_back(self) -> None:
        """For whoever comes next, who starts where this attempt ends."""
        self._write(state=JobState.QUEUED, message=None, queued_at=Now(), action="")

    def _end(self, state: JobState, **fields: Any) -> None:
        self._write(state=state, finished_at=Now(), action="", memory={}, **fields)

    def _write(self, **fields: Any) -> None:
        if not self._mine().update(**fields):
            raise Lost(f"task {self.id} is no longer this worker's")

    def _mine(self) -> Any:
        return Job.objects.filter(pk=self.id, state=JobState.RUNNING, attempt=self.attempt)


@transaction.atomic
def claim(job_id: int, is_stopping: Callable[[], bool]) -> Running | None:
    """Take a task that waits. None: it is over, or somebody else has it."""
    taken = Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(
        state=JobState.RUNNING,
        attempt=F("attempt") + 1,
        heartbeat_at=Now(),
        started_at=Coalesce(F("started_at"), Now()),
    )
    if not taken:
        return None
    job = Job.objects.get(pk=job_id)
    return Running(job.pk, job.kind, job.attempt, job.arguments, job.memory, job.log, is_stopping)


def cancel(*, job: Job) -> bool:
    """At once if it waits; if it runs, before its next step. False: it was over already."""
    row = Job.objects.filter(pk=job.pk)
    ended = row.filter(state=JobState.QUEUED).update(
        state=JobState.CANCELLED, error=CANCELLED, finished_at=Now(), memory={}
    )
    return bool(ended or row.filter(state=JobState.RUNNING).update(is_cancel_asked=True))


def take_over() -> None:
    """Put what a dead worker has left back among those that wait, unless that happened too often."""
    silent = Job.objects.filter(state=JobState.RUNNING, heartbeat_at__lt=Now() - SILENT_FOR)
    if not silent.exists():  # an UPDATE of nothing would take SQLite's lock all the same
        return
    over: JSON = {"finished_at": Now(), "action": "", "memory": {}, "crashes": F("crashes") + 1}
    silent.filter(is_cancel_asked=True).update(state=JobState.CANCELLED, error=CANCELLED, **over)
    silent.filter(crashes__gte=MOST_CRASHES - 1).update(state=JobState.FAILED, error=CRASHED, **over)
    silent.update(
        state=JobState.QUEUED, message=None, queued_at=Now(), action="", crashes=F("crashes") + 1, heartbeat_at=None
    )


def waits_for_worker() -> bool:
    """Whether a task waits that no worker takes, though none is busy with another."""
    waiting = Job.objects.filter(state=JobState.QUEUED, queued_at__lt=Now() - UNCLAIMED_FOR)
    busy = Job.objects.filter(state=JobState.RUNNING, heartbeat_at__gte=Now() - SILENT_FOR)
    return waiting.exists() and not busy.exists()


def read_file(job: Job) -> Iterator[bytes]:
    """The file that a task made, piece by piece; no connection is held between two of them."""
    with borrowed_connection():
        numbers = list(job.parts.values_list("number", flat=True))
    for number in numbers:
        with borrowed_connection():
            data = job.parts.values_list("data", flat=True).get(number=number)
        yield gzip.decompress(data)


def tidy() -> None:
    """Remove old files, and old tasks that are over; a little at a time, as SQLite has one lock for all."""
    over = Job.objects.over()
    for job in over.filter(~Q(file_name=""), finished_at__lt=Now() - FILE_KEPT_FOR):
        Job.objects.filter(pk=job.pk).update(file_name="", file_size=0)
    _remove_parts(over.filter(file_name=""))
    oldest = over.order_by("-id").values_list("id", flat=True)[MOST_KEPT - 1 : MOST_KEPT].first()
    beyond = over.filter(Q(finished_at__lt=Now() - KEPT_FOR) | Q(id__lt=oldest or 0))
    _remove_parts(beyond)
    for pk in list(beyond.values_list("id", flat=True)):
        Job.objects.filter(pk=pk).delete()


def _remove_parts(of: Any) -> None:
    """Also those that a task left which failed or was cancelled half-way."""
    remove(JobPart.objects.filter(job__in=of), at_once=PARTS_AT_ONCE)
