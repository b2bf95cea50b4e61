"""A task's life in its row, one statement at a time."""

import gzip
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.models import User
from accounts.services.principals import Principal, of_user
from common import jobs
from common.jobs import Cancelled, Lost, Running, Stopped
from common.models import Job, JobPart, JobState
from gateway.jobs import kinds, queue, runner, starting
from gateway.jobs.kinds import Kind
from gateway.jobs.queue import QueueFull
from gateway.jobs.worker import Worker
from tests import factories
from tests.fakes.lister import FakeLister

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(db: None) -> Principal:
    return of_user(User.objects.create_superuser("root", password="x"))


@pytest.fixture
def job(by: Principal) -> Job:
    return starting.check_providers(by=by)


def claimed(job: Job) -> Running:
    task = jobs.claim(job.pk, lambda: False)
    assert task is not None
    return task


def fall_silent(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - 2 * jobs.SILENT_FOR)


def state_of(job: Job) -> str:
    return str(Job.objects.get(pk=job.pk).state)


class TestFence:
    def test_a_task_is_taken_once(self, job: Job) -> None:
        assert claimed(job).attempt == 1
        assert jobs.claim(job.pk, lambda: False) is None

    @pytest.mark.parametrize(
        "write",
        [
            lambda task: task.beat(),
            lambda task: task.report(done=1),
            lambda task: task.add_part(0, "x"),
            lambda task: task.succeed({}),
            lambda task: task.fail("why"),
            lambda task: task.cancel(),
            lambda task: task.hand_back(),
        ],
    )
    def test_who_lost_a_task_can_write_nothing_of_it(self, job: Job, write: Any) -> None:
        slow = claimed(job)
        fall_silent(job)
        queue.recover()
        claimed(job)
        before = Job.objects.filter(pk=job.pk).values().get()
        with pytest.raises(Lost):
            write(slow)
        assert Job.objects.filter(pk=job.pk).values().get() == before
        assert not JobPart.objects.exists()

    def test_a_task_that_is_over_is_not_written_to(self, job: Job) -> None:
        task = claimed(job)
        task.succeed({"well": 1})
        with pytest.raises(Lost):
            task.fail("too late")


class TestTakeOver:
    def test_a_worker_that_gives_signs_of_life_keeps_its_task(self, job: Job) -> None:
        claimed(job)
        jobs.take_over()
        assert state_of(job) == JobState.RUNNING

    def test_what_a_dead_worker_left_is_in_the_queue_again(self, job: Job) -> None:
        claimed(job).report(memory={"after": 7})
        DBTaskResult.objects.all().delete()
        fall_silent(job)
        queue.recover()
        assert DBTaskResult.objects.ready().count() == 1
        assert claimed(job).memory == {"after": 7}

    def test_it_is_given_up_after_three_crashes(self, job: Job) -> None:
        for _ in range(jobs.MOST_CRASHES):
            claimed(job)
            fall_silent(job)
            queue.recover()
        job.refresh_from_db()
        assert (job.state, job.error) == (JobState.FAILED, jobs.CRASHED)

    def test_one_that_was_to_be_cancelled_is(self, job: Job) -> None:
        claimed(job)
        assert jobs.cancel(job=job)
        fall_silent(job)
        queue.recover()
        assert state_of(job) == JobState.CANCELLED

    def test_a_message_that_died_with_its_worker_is_sent_again(self, job: Job) -> None:
        """Taken from the queue, and killed before it took the task."""
        DBTaskResult.objects.update(status="RUNNING")
        queue.recover()
        assert not DBTaskResult.objects.ready().exists(), "that may just be about to happen"
        Job.objects.update(queued_at=Now() - 2 * jobs.SILENT_FOR)
        queue.recover()
        assert DBTaskResult.objects.ready().count() == 1


class TestEnds:
    def test_going_on_is_refused_when_it_was_cancelled_or_the_worker_is_to_end(self, job: Job) -> None:
        task = claimed(job)
        task.go_on()
        jobs.cancel(job=job)
        with pytest.raises(Cancelled):
            task.go_on()
        task.is_stopping = lambda: True
        with pytest.raises(Stopped):
            task.go_on()

    def test_a_waiting_task_is_cancelled_at_once_and_never_run(self, job: Job) -> None:
        assert jobs.cancel(job=job)
        assert not jobs.cancel(job=job)
        runner.run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.attempt, job.error) == (JobState.CANCELLED, 0, jobs.CANCELLED)

    def test_what_nobody_expected_is_told_in_the_log_alone(
        self, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(task: Running) -> dict[str, Any]:
            raise RuntimeError("sk-something-secret")

        monkeypatch.setitem(kinds.KINDS, job.kind, Kind("Broken", broken, start=()))
        runner.run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.error) == (JobState.FAILED, runner.UNEXPECTED)
        assert "sk-something-secret" not in str(Job.objects.values().get(pk=job.pk))
        assert "RuntimeError" in caplog.text

    def test_a_kind_of_another_version_fails(self, job: Job) -> None:
        Job.objects.update(kind="from-the-future")
        runner.run(job.pk)
        assert Job.objects.get().error == runner.UNKNOWN

    def test_without_the_database_it_is_left_for_later(
        self, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def cut_off(task: Running) -> dict[str, Any]:
            raise OperationalError("the server closed the connection")

        monkeypatch.setitem(kinds.KINDS, job.kind, Kind("Cut off", cut_off, start=()))
        monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's
        with caplog.at_level(logging.WARNING):
            runner.run(job.pk)
        assert state_of(job) == JobState.RUNNING
        assert "left for later" in caplog.text


class TestStart:
    def test_the_same_once_more_is_the_one_that_is_not_over(self, job: Job, by: Principal) -> None:
        assert starting.check_providers(by=by) == job
        claimed(job).succeed({})
        assert starting.check_providers(by=by) != job

    def test_other_arguments_are_another_task(self, by: Principal) -> None:
        since = timezone.now()
        first = starting.export_charges(by=by)
        assert len({first, starting.export_charges(since=since, by=by)}) == 2

    def test_one_that_is_being_cancelled_is_no_answer(self, job: Job, by: Principal) -> None:
        claimed(job)
        jobs.cancel(job=job)
        assert starting.check_providers(by=by) != job

    def test_a_hundred_that_are_not_over_are_enough(self, by: Principal) -> None:
        factories_ = (Job(kind="x", label="x", arguments={"number": number}) for number in range(100))
        Job.objects.bulk_create(factories_)
        with pytest.raises(QueueFull):
            starting.check_providers(by=by)
        assert not DBTaskResult.objects.exists()

    def test_it_says_who_started_it(self, by: Principal) -> None:
        key = factories.key(name="ci").key
        assert starting.check_providers(by=by).made_by == "root"
        assert starting.export_config(by=Principal(key.rights, key=key)).made_by == f"key {key}"


class TestWaiting:
    def test_a_task_waits_for_a_worker_when_nobody_is_at_work(self, job: Job) -> None:
        assert not jobs.waits_for_worker(), "it has only just been started"
        Job.objects.update(queued_at=Now() - 2 * jobs.UNCLAIMED_FOR)
        assert jobs.waits_for_worker()

    def test_it_waits_for_its_turn_while_another_one_runs(self, job: Job, by: Principal) -> None:
        Job.objects.update(queued_at=Now() - 2 * jobs.UNCLAIMED_FOR)
        running = starting.export_config(by=by)
        claimed(running)
        assert not jobs.waits_for_worker()
        fall_silent(running)
        assert jobs.waits_for_worker()


class TestTidying:
    def test_the_last_two_hundred_and_what_is_not_over_stay(self, job: Job) -> None:
        old = [
            Job(kind="x", label=str(number), state=JobState.SUCCEEDED, finished_at=timezone.now())
            for number in range(jobs.MOST_KEPT + 5)
        ]
        Job.objects.bulk_create(old)
        queue.tidy()
        assert Job.objects.over().count() == jobs.MOST_KEPT
        assert min(Job.objects.over().values_list("pk", flat=True)) == old[5].pk
        assert Job.objects.unfinished().get() == job
        assert DBTaskResult.objects.count() == 1

    def test_what_is_over_for_a_month_goes(self, job: Job) -> None:
        claimed(job).succeed({})
        queue.tidy()
        assert Job.objects.exists() and not DBTaskResult.objects.exists()
        Job.objects.update(finished_at=Now() - jobs.KEPT_FOR - timedelta(days=1))
        queue.tidy()
        assert not Job.objects.exists()

    def test_files_go_earlier(self, by: Principal) -> None:
        job = starting.export_config(by=by)
        runner.run(job.pk)
        queue.tidy()
        assert JobPart.objects.count() == 1
        Job.objects.update(finished_at=Now() - jobs.FILE_KEPT_FOR - timedelta(days=1))
        queue.tidy()
        assert not JobPart.objects.exists()
        assert Job.objects.get().file_name == ""

    def test_what_a_cancelled_export_has_written_goes(self, by: Principal) -> None:
        job = starting.export_charges(by=by)
        task = claimed(job)
        task.add_part(0, "time")
        queue.tidy()
        assert JobPart.objects.exists()
        task.cancel()
        queue.tidy()
        assert not JobPart.objects.exists()


class TestFile:
    def test_its_pieces_are_one_file(self, by: Principal) -> None:
        task = claimed(starting.export_charges(by=by))
        for number, text in enumerate(("time\n", "été\n")):
            task.add_part(number, text, memory={"parts": number + 1})
        job = Job.objects.get()
        assert b"".join(jobs.read_file(job)).decode() == "time\nété\n"
        assert job.file_size == len("time\nété\n".encode())
        assert gzip.decompress(b"".join(bytes(part.data) for part in job.parts.all())) == "time\nété\n".encode()


class TestImport:
    def test_names_that_the_upstream_has_not_are_told(self, by: Principal) -> None:
        with FakeLister("seer", "oracle") as lister:
            provider = factories.provider(lister, name="acme")
            job = starting.import_models(provider=provider, names=["seer", "nobody"], by=by)
            runner.run(job.pk)
        job.refresh_from_db()
        assert (job.result["added"], job.result["missing"]) == (1, ["nobody"])

    def test_none_of_them_there_is_a_failure(self, by: Principal) -> None:
        with FakeLister("seer") as lister:
            job = starting.import_models(provider=factories.provider(lister), names=["nobody"], by=by)
            runner.run(job.pk)
        assert Job.objects.get(pk=job.pk).error == "The upstream has none of these models."

    def test_what_the_database_refuses_is_told_and_the_rest_imported(self, by: Principal) -> None:
        with FakeLister("seer", "x" * 300, "oracle") as lister:
            provider = factories.provider(lister)
            job = starting.import_models(provider=provider, by=by)
            runner.run(job.pk)
        job.refresh_from_db()
        assert (job.result["added"], len(job.result["refused"]), job.done) == (2, 1, 3)
        assert set(provider.models.values_list("name", flat=True)) == {"seer", "oracle"}

    def test_a_refused_key_is_no_part_of_the_error(self, by: Principal) -> None:
        with FakeLister("seer", status=401) as lister:
            job = starting.import_models(provider=factories.provider(lister), by=by)
            runner.run(job.pk)
            job.refresh_from_db()
            assert job.error == "Model scan failed: 401."
            assert lister.key not in job.log + job.error

    def test_a_provider_that_is_gone_is_told(self, by: Principal) -> None:
        provider = factories.provider()
        job = starting.import_models(provider=provider, by=by)
        provider.delete()
        runner.run(job.pk)
        assert Job.objects.get(pk=job.pk).error == "The provider is not there any more."


class TestIdle:
    def test_an_idle_worker_reads_one_row_and_takes_no_lock(self, db: None) -> None:
        worker = Worker()
        worker._step()
        with CaptureQueriesContext(connection) as seen:
            worker._step()
        assert len(seen) == 1
        assert seen[0]["sql"].startswith("SELECT")

    def test_looking_after_others_writes_nothing_when_there_is_nothing_to_do(self, db: None) -> None:
        with CaptureQueriesContext(connection) as seen:
            queue.recover()
        assert [query["sql"].split()[0] for query in seen] == ["SELECT", "SELECT"]
