"""What was said goes when its time is over; what it cost, and every total, stays."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from accounts.services.ledger.types import Deployment, Prices
from chat.models import Session, Thread, ThreadBody
from chat.services import partitions, retention
from chat.services.conversations import Record, retire_key, session_breaks
from common.months import next_month
from gateway.jobs import queue
from tests import factories
from tests.accounts.test_rollups import run
from tests.accounts.test_writer import USD, admission, done

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


@pytest.fixture
def key(database: None) -> IssuedKey:
    return factories.key()


@pytest.fixture
def deployment(database: None) -> Deployment:
    model = factories.model(factories.provider())
    return Deployment(model.pk, model.provider_id, model.name, "p", "u", Prices(0, 1000 * USD))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)


def say(key: IssuedKey, deployment: Deployment, *days_ago: float, prompt: str = "hello") -> list[Thread]:
    """Exchanges of one session, as the ledger writes them, and then as if that long ago."""
    record = Record("one", prompt, f'["{prompt}"]', "an answer", "a thought", '[{"name": "look"}]', "stop", False)
    asked = [admission(key, deployment) for _ in days_ago]
    run(*asked)
    run(*[done(each, record=record) for each in asked])
    threads = [Thread.objects.get(charge__request_id=each.request_id) for each in asked]
    for thread, days in zip(threads, days_ago, strict=True):
        ThreadBody.objects.filter(thread=thread.charge_id).update(created_at=timezone.now() - timedelta(days=days))
    return threads


def kept() -> list[int]:
    return list(ThreadBody.objects.order_by("pk").values_list("thread__id", flat=True))


def test_what_was_said_is_stored_apart_and_read_through_its_thread(key: IssuedKey, deployment: Deployment) -> None:
    say(key, deployment, 0, prompt="héllo")
    thread = Thread.objects.select_related("body").get()
    assert (thread.completion, thread.reasoning, thread.tool_calls) == ("an answer", "a thought", [{"name": "look"}])
    assert thread.messages == f'["{thread.prompt}"]'
    assert thread.body.thread_id == thread.charge_id


def test_bodies_go_after_their_days_and_totals_stay(key: IssuedKey, deployment: Deployment, settings: Any) -> None:
    settings.HISTORY_DAYS = 30
    old, new = say(key, deployment, 31, 29)
    before = Session.objects.values().get()
    assert retention.prune(before=timezone.now() - timedelta(days=30)).bodies == 1
    assert kept() == [new.pk]
    old = Thread.objects.get(pk=old.pk)
    assert (old.prompt, old.messages, old.completion, old.reasoning, old.tool_calls) == ("", "", "", "", [])
    assert old.finish_reason == "stop"
    assert Session.objects.values().get() == before
    assert session_breaks() == []
    assert Charge.objects.count() == 2
    assert [each for each in audit() if "worker" not in each.rule] == []


def test_nothing_goes_unless_it_is_set(key: IssuedKey, deployment: Deployment) -> None:
    say(key, deployment, 5000)
    assert retention.tidy() == retention.Pruned(0, 0)
    assert len(kept()) == 1
    with pytest.raises(CommandError, match="HISTORY_DAYS is not set"):
        call_command("prune")


def test_the_worker_prunes_while_it_tidies(key: IssuedKey, deployment: Deployment, settings: Any) -> None:
    settings.HISTORY_DAYS = 30
    _, new = say(key, deployment, 100, 29)
    queue.tidy()
    assert kept() == [new.pk]


def test_the_command_meets_the_moment_that_it_is_given(key: IssuedKey, deployment: Deployment) -> None:
    _, _, new = say(key, deployment, 12, 11, 9)
    out = StringIO()
    call_command("prune", before=timezone.now() - timedelta(days=10), stdout=out)
    assert "2" in out.getvalue().splitlines()[-1]
    assert kept() == [new.pk]


def test_rows_go_in_bounded_batches(key: IssuedKey, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    threads = say(key, deployment, *[20] * 7, 1, 20, 1)
    with CaptureQueriesContext(connection) as queries:
        retention.prune(before=timezone.now() - timedelta(days=10))
    assert kept() == [threads[7].pk, threads[9].pk]
    assert len([each for each in queries if each["sql"].startswith("DELETE")]) == 3


def test_reading_stops_at_the_first_batch_that_is_young(
    key: IssuedKey, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    say(key, deployment, *[1] * 9)
    with CaptureQueriesContext(connection) as queries:
        retention.prune(before=timezone.now() - timedelta(days=10))
    assert len([each for each in queries if each["sql"].startswith('SELECT "chat_threadbody"')]) == 1


def test_what_was_moved_in_among_younger_rows_goes_at_its_time(
    key: IssuedKey, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    threads = say(key, deployment, *[1] * 5, *[20] * 5, 1)
    for body in ThreadBody.objects.all():
        Charge.objects.filter(pk=body.pk).update(created_at=body.created_at)
    assert retention.prune(before=timezone.now() - timedelta(days=10)).bodies == 5
    assert kept() == [each.pk for each in (*threads[:5], threads[10])]


def test_without_history_no_body_is_written(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    run(asked)
    run(done(asked, record=Record("one", "", "", "", "", "[]", "stop", True)))
    assert (Thread.objects.count(), ThreadBody.objects.count()) == (1, 0)
    assert Thread.objects.get().prompt == ""


def test_a_key_that_is_retired_takes_its_words_along(key: IssuedKey, deployment: Deployment) -> None:
    say(key, deployment, 0, 1)
    retire_key(key=key.key)
    assert (Thread.objects.count(), ThreadBody.objects.count(), Session.objects.count()) == (0, 0, 0)


@pytest.mark.on_postgresql
def test_the_months_to_come_are_there(own_months: None) -> None:
    this = partitions.month_of(timezone.now())
    following = next_month(this)
    assert {this, following, next_month(following)} <= set(partitions.months())


@pytest.mark.on_postgresql
def test_a_body_goes_to_its_month_and_without_one_to_the_rest(
    key: IssuedKey, deployment: Deployment, own_months: None
) -> None:
    april, march = date(2020, 4, 1), date(2020, 3, 1)
    assert partitions.make(april) and not partitions.make(april)
    one, two = say(key, deployment, 0, 0)
    for thread, moment in ((one, "2020-04-30T23:59:59+00:00"), (two, "2020-03-31T23:59:59+00:00")):
        ThreadBody.objects.filter(thread=thread.charge_id).update(created_at=datetime.fromisoformat(moment))
    assert _rows("chat_threadbody_2020_04") == 1
    assert _rows("chat_threadbody_rest") == 1
    assert not partitions.make(march)  # its rows are in the rest already
    assert list(partitions.drop_before(datetime(2020, 5, 1, tzinfo=UTC))) == [april]
    assert kept() == [two.pk]


@pytest.mark.on_postgresql
def test_a_month_goes_only_as_a_whole(
    key: IssuedKey, deployment: Deployment, own_months: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HISTORY_DAYS = 30
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    for month in (date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)):
        partitions.make(month)
    threads = say(key, deployment, 55, 35, 5)  # March, April, May
    assert retention.tidy() == retention.Pruned(1, 0)
    assert kept() == [threads[1].pk, threads[2].pk]
    retention.prune(before=NOW - timedelta(days=30))
    assert kept() == [threads[2].pk]


@pytest.mark.on_postgresql
def test_what_is_in_the_rest_goes_by_rows(
    key: IssuedKey, deployment: Deployment, own_months: None, settings: Any
) -> None:
    settings.HISTORY_DAYS = 30
    say(key, deployment, 3000, 1)
    assert retention.tidy().bodies == 1


@pytest.mark.on_postgresql
def test_a_busy_table_is_left_for_later(own_months: None) -> None:
    names = ("dbname", "user", "password", "host", "port")
    parameters = {name: value for name, value in connection.get_connection_params().items() if name in names}
    with psycopg.connect(**parameters) as other:
        other.execute("LOCK TABLE chat_threadbody IN ACCESS SHARE MODE")
        assert not partitions.make(date(2019, 1, 1))
    assert partitions.make(date(2019, 1, 1))


@pytest.mark.on_postgresql
def test_the_columns_of_months_are_those_of_the_model(database: None) -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, "chat_threadbody")
    names = {field.column: field.null for field in ThreadBody._meta.concrete_fields}
    assert {column.name: column.null_ok for column in found} == names


def _rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        count: int = cursor.fetchone()[0]
        return count


@pytest.fixture
def _whole_schema(database: None) -> Iterator[None]:
    yield
    call_command("migrate", "chat", verbosity=0)


def test_migrations_move_what_was_said_there_and_back(
    _whole_schema: None, key: IssuedKey, deployment: Deployment, own_months: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = import_module("chat.migrations.0005_move_bodies")
    monkeypatch.setattr(move, "AT_ONCE", 1)
    threads = say(key, deployment, 40, 0, 0)
    ThreadBody.objects.filter(thread=threads[2].charge_id).delete()
    Thread.objects.update(created_at=timezone.now() - timedelta(days=40))
    ThreadBody.objects.update(created_at=timezone.now() - timedelta(days=40))
    said = list(ThreadBody.objects.order_by("pk").values("pk", "prompt", "messages", "completion", "tool_calls"))
    call_command("migrate", "chat", "0003", verbosity=0)
    assert "chat_threadbody" not in connection.introspection.table_names()
    with connection.cursor() as cursor:
        cursor.execute("SELECT prompt, completion FROM chat_thread ORDER BY id")
        assert cursor.fetchall() == [("hello", "an answer")] * 2 + [("", "")]
    call_command("migrate", "chat", "0005", verbosity=0)
    with connection.schema_editor() as editor:
        move.to_bodies(apps, editor)  # as after one that was cut off
    call_command("migrate", "chat", verbosity=0)
    assert list(ThreadBody.objects.order_by("pk").values(*said[0])) == said
