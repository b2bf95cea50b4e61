"""The background tasks that the recorded requests meet."""

from collections.abc import Callable
from typing import Any

from accounts.services.principals import of_user
from common import jobs
from common.jobs import Running
from common.models import Job
from gateway.jobs import queue, runner, starting
from providers.models import Provider
from tests import factories
from tests.wire.world import World


def task_waiting(world: World) -> Job:
    """One that no worker has taken yet."""
    return starting.check_providers(by=of_user(world.admin))


def task_running(world: World) -> Job:
    """One that has done 3 of 4."""
    job = starting.check_providers(by=of_user(world.admin))
    _taken(job).report(done=3, total=4, action="Checking acme", log="acme: well")
    return job


def task_done(world: World) -> Job:
    """One that has checked a provider that is well."""
    factories.provider(world.upstream, name="acme")
    job = starting.check_providers(by=of_user(world.admin))
    runner.run(job.pk)
    return job


def task_failed(world: World) -> Job:
    job = starting.import_models(provider=factories.provider(name="broken"), by=of_user(world.admin))
    _taken(job).fail("The provider has no enabled key.")
    return job


def task_cancelled(world: World) -> Job:
    job = starting.check_providers(by=of_user(world.admin))
    jobs.cancel(job=job)
    return job


def task_charges(world: World) -> Job:
    """An export of no charges at all: its file has the names of the columns."""
    job = starting.export_charges(by=of_user(world.admin))
    runner.run(job.pk)
    return job


def task_config(world: World) -> Job:
    job = starting.export_config(by=of_user(world.admin))
    runner.run(job.pk)
    return job


def tasks_enough(world: World) -> None:
    """As many as may wait."""
    for number in range(queue.MOST_UNFINISHED):
        Job.objects.create(kind="provider-check", label="One of many", arguments={"number": number})


def task_provider(world: World) -> Provider:
    return factories.provider(world.upstream, name="acme")


def _taken(job: Job) -> Running:
    task = jobs.claim(job.pk, lambda: False)
    assert task is not None
    return task


GIVEN: dict[str, Callable[[World], Any]] = {
    each.__name__: each
    for each in (
        *(task_waiting, task_running, task_done, task_failed, task_cancelled, task_charges, task_config),
        *(tasks_enough, task_provider),
    )
}
