"""The queue between those who start tasks and the workers: django-tasks' own, in the database.

It carries a task's number and nothing else. It knows neither progress nor workers that die: that is the row's.
"""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from accounts.services import limits, notices
from chat.services import idempotency, retention
from chat.services.bots import events as bot_events
from common import jobs
from common.database import remove
from common.models import Job, JobState
from gateway.jobs import runner
from gateway.jobs.kinds import BOTS, HEAVY, KINDS, SHOWN

JSON = dict[str, Any]

MOST_UNFINISHED = 100
MOST_OF = {BOTS: 1000}


class QueueFull(Exception):
    """Too many tasks wait."""


@task()
def run(job_id: int) -> None:
    runner.run(job_id)


@transaction.atomic
def start(*, kind: str, label: str, arguments: JSON, made_by: str) -> Job:
    """The new task, or the one that does just the same and is not over yet. Raises QueueFull."""
    unfinished = Job.objects.unfinished()
    same = unfinished.filter(kind=kind, arguments=arguments, is_cancel_asked=False).first()
    if same is not None:
        return same
    if unfinished.filter(_beside(kind)).count() >= MOST_OF.get(KINDS[kind].queue, MOST_UNFINISHED):
        raise QueueFull("Too many tasks wait; try again when some are done.")
    job = Job.objects.create(
        kind=kind, label=label[: jobs.LONGEST_TEXT], arguments=arguments, made_by=made_by[: jobs.LONGEST_TEXT]
    )
    put(job)
    return job


def _beside(kind: str) -> Q:
    """Those in the same queue; what a newer version has put there as well."""
    elsewhere = [name for name, each in KINDS.items() if each.queue != KINDS[kind].queue]
    return ~Q(kind__in=elsewhere)


@transaction.atomic
def put(job: Job) -> None:
    """Into the queue, again or for the first time. Should it be there twice, it is run once all the same."""
    queue = KINDS[job.kind].queue if job.kind in KINDS else HEAVY
    message = run.using(queue_name=queue).enqueue(job.pk)
    Job.objects.filter(pk=job.pk).update(message=message.id, queued_at=Now())


def recover() -> None:
    """Put back what dead workers left, and what was taken from the queue by one that died before it began."""
    jobs.take_over()
    waiting = Job.objects.filter(state=JobState.QUEUED)
    is_overdue = Q(queued_at__lt=Now() - jobs.SILENT_FOR) & ~Q(message__in=DBTaskResult.objects.ready().values("id"))
    for job in waiting.filter(Q(message=None) | is_overdue):
        put(job)


def tidy() -> None:
    """What the queue remembers of its messages is of no use to anybody, nor are tasks that nobody looks at."""
    remove(Job.objects.over().filter(kind__in=KINDS.keys() - SHOWN).order_by("id"))
    bot_events.tidy()
    retention.tidy()
    idempotency.tidy()
    limits.prune()
    notices.tidy()
    jobs.tidy()
    kept = Job.objects.unfinished().exclude(message=None).values("message")
    DBTaskResult.objects.exclude(id__in=kept).delete()
