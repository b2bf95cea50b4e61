"""Real workers on both databases: progress, kill -9, a worker that stands still, cancelling, files."""

import csv
import io
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.served.gateway import ServedGateway
from tests.served.workers.working import SlowLister, Tasks, Worker, declare, multiply_charges

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(300)]

PROVIDERS = [f"acme-{number:02}" for number in range(32)]  # four times as many as are checked at once
MODELS = 1000
MINE = "FROM providers_aimodel WHERE name LIKE 'acme/%'"
CHARGES = 40_000


@contextmanager
def checking(gateway: ServedGateway, tasks: Tasks, seconds: float) -> Iterator[tuple[SlowLister, int]]:
    """The number of a check of all providers, which waits for a worker; each takes that long."""
    with SlowLister("seer", seconds=seconds) as upstream:
        declare(gateway, upstream, *PROVIDERS)
        yield upstream, tasks.start("provider/check")


def checks_of(upstream: SlowLister) -> int:
    return sum(seen.path == "/v1/models" for seen in upstream.seen)


class TestCheck:
    def test_progress_rises_and_everything_is_checked_once(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with checking(gateway, tasks, seconds=0.3) as (upstream, id):
            assert tasks.task(id)["progress"]["done"] == 0
            seen: list[int] = []
            with Worker(gateway):
                tasks.wait(id, lambda task: seen.append(task["progress"]["done"]) or task["status"] != "running")
            assert {8, 16, 24} <= set(seen)
            assert seen == sorted(seen)
            assert checks_of(upstream) == len(PROVIDERS)
        task = tasks.task(id)
        assert task["result"] == {"providers": 32, "keys": 32, "well": 32, "failed": []}
        assert task["progress"] == {"done": 32, "total": 32, "percent": 100}

    def test_a_killed_worker_s_task_goes_on_where_it_was(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with checking(gateway, tasks, seconds=0.5) as (upstream, id):
            with Worker(gateway) as worker:
                tasks.wait_for_progress(id)
                worker.kill()
            with Worker(gateway):
                task = tasks.wait_for_end(id)
            assert task["result"]["providers"] == task["result"]["keys"] == len(PROVIDERS)
            assert checks_of(upstream) <= len(PROVIDERS) + 8  # what it was at when it died is checked again
        assert tasks.row(id, "attempt", "crashes") == (2, 1)

    def test_a_worker_that_is_told_to_end_hands_its_task_back(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with checking(gateway, tasks, seconds=0.5) as (upstream, id):
            with Worker(gateway) as worker:
                tasks.wait_for_progress(id)
                worker.send(signal.SIGTERM)
                assert worker.process.wait(10) == 0
            assert tasks.task(id)["status"] == "running"
            with Worker(gateway):
                task = tasks.wait_for_end(id)
            assert task["result"]["providers"] == len(PROVIDERS) == checks_of(upstream)
        assert tasks.row(id, "attempt", "crashes") == (2, 0)

    def test_a_running_task_is_cancelled_before_its_next_step(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with checking(gateway, tasks, seconds=0.5) as (upstream, id):
            with Worker(gateway):
                tasks.wait_for_progress(id)
                assert tasks.cancel(id).status_code == 200
                task = tasks.wait_for_end(id)
            assert checks_of(upstream) < len(PROVIDERS)
        assert (task["status"], task["error"]["type"]) == ("cancelled", "task_cancelled")
        assert tasks.cancel(id).status_code == 409

    def test_a_worker_that_stood_still_can_t_end_what_another_one_took(
        self, gateway: ServedGateway, tasks: Tasks
    ) -> None:
        with checking(gateway, tasks, seconds=0.5) as (_, id), Worker(gateway) as slow:
            tasks.wait_for_progress(id)
            slow.send(signal.SIGSTOP)
            with Worker(gateway):
                tasks.wait(id, lambda task: tasks.row(id, "attempt") == (2,))
                slow.send(signal.SIGCONT)
                task = tasks.wait_for_end(id)
                time.sleep(1.5)  # the slow one has come to its next step as well
            assert slow.process.poll() is None
        assert task == tasks.task(id)
        assert task["result"]["providers"] == len(PROVIDERS)
        assert tasks.row(id, "attempt") == (2,)
        assert f"task {id} is no longer this worker's" in slow.log.read_text()

    def test_a_task_that_kills_every_worker_is_given_up(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with checking(gateway, tasks, seconds=1) as (_, id):
            for attempt in (1, 2, 3):
                with Worker(gateway) as worker:
                    tasks.wait(id, lambda task, attempt=attempt: tasks.row(id, "attempt") == (attempt,))
                    worker.kill()
            with Worker(gateway):
                task = tasks.wait_for_end(id)
        assert task["error"] == {
            "type": "task_failed",
            "message": "It was cut off 3 times: its worker died or stood still.",
        }


def test_a_killed_import_goes_on_and_doubles_nothing(gateway: ServedGateway, tasks: Tasks) -> None:
    entries = [f"family-{number % 7}/model-{number}" for number in range(MODELS)]
    with SlowLister(*entries, seconds=0) as upstream:
        declare(gateway, upstream, "acme-00")
        [(uuid,)] = gateway.rows("SELECT uuid FROM providers_provider WHERE name = 'acme-00'")
        id = tasks.start(f"provider/providers/{uuid}/import-models", {"prefix": "acme/"})
        with Worker(gateway) as worker:
            tasks.wait_for_progress(id)
            worker.kill()
        left = gateway.rows(f"SELECT count(*) {MINE}")[0][0]
        assert 0 < left < MODELS and left % 100 == 0
        with Worker(gateway):
            task = tasks.wait_for_end(id)
    assert task["result"] == {
        "provider": "acme-00",
        "added": MODELS,
        "unpriced": MODELS,
        "already_there": 0,
        "missing": [],
        "refused": [],
    }
    assert gateway.rows(f"SELECT count(*), count(DISTINCT name) {MINE}") == [(MODELS, MODELS)]
    assert task["progress"]["done"] == MODELS


class TestExports:
    def test_a_killed_export_goes_on_and_has_each_charge_once(
        self, gateway: ServedGateway, tasks: Tasks, one_charge: None
    ) -> None:
        multiply_charges(gateway, CHARGES)
        id = tasks.start("system/exports", {"kind": "charges"})
        with Worker(gateway) as worker:
            tasks.wait_for_progress(id)
            worker.kill()
        with Worker(gateway):
            task = tasks.wait_for_end(id)
        assert task["result"] == {"charges": CHARGES + 1}
        text = tasks.file(id)
        assert task["file"] == {"name": "charges.csv", "size": len(text.encode())}
        lines = list(csv.DictReader(io.StringIO(text)))
        assert len({line["request_id"] for line in lines}) == len(lines) == CHARGES + 1
        assert (lines[0]["key"], lines[0]["model"], lines[0]["outcome"]) == ("tester", "echo", "ok")
        assert float(lines[0]["fee"]) > 0

    def test_the_set_up_is_exported_without_secrets(self, gateway: ServedGateway, tasks: Tasks) -> None:
        with SlowLister("seer", seconds=0) as upstream:
            declare(gateway, upstream, "acme-00")
            id = tasks.start("system/exports", {"kind": "config"})
            with Worker(gateway):
                tasks.wait_for_end(id)
            text = tasks.file(id)
            assert upstream.key not in text
        assert "acme-00" in {provider["name"] for provider in yaml.safe_load(text)["providers"]}


def test_of_two_workers_each_task_has_one(gateway: ServedGateway, tasks: Tasks) -> None:
    started: list[Any] = [
        tasks.start("system/exports", {"kind": "charges", "until": f"20{year:02}-01-01T00:00:00Z"})
        for year in range(20)
    ]
    with Worker(gateway), Worker(gateway):
        for id in started:
            tasks.wait_for_end(id)
    rows = gateway.rows(f"SELECT state, attempt, crashes FROM common_job WHERE id >= {started[0]}")
    assert rows == [("succeeded", 1, 0)] * len(started)
