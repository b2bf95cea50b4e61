"""Background tasks through the API: who may start, see, fetch and cancel them."""

from typing import Any

import pytest

from accounts.models import Scope, User
from common.models import Job, JobState
from gateway.jobs import runner
from providers.models import Provider
from tests import factories
from tests.fakes.lister import FakeLister
from tests.gateway.langbot.conftest import Api, caller

pytestmark = pytest.mark.django_db


def with_scopes(*scopes: str) -> Api:
    return caller(**{"X-API-Key": factories.key(scopes=list(scopes)).secret})


def started(answer: Any) -> int:
    assert answer.status_code == 200, answer.content
    return int(answer.json()["data"]["task_id"])


def test_who_may_export_alone_can_watch_and_fetch_it(key: Api) -> None:
    started(key("post", "provider/check"))
    exporter = with_scopes(Scope.DATA_EXPORT)
    id = started(exporter("post", "system/exports", {"kind": "charges"}))
    runner.run(id)
    assert exporter("get", f"system/tasks/{id}").json()["data"]["status"] == "succeeded"
    assert exporter("get", f"system/tasks/{id}/file").getvalue().startswith(b"time,request_id")
    assert [task["id"] for task in exporter("get", "system/tasks").json()["data"]["tasks"]] == [id]
    other = Job.objects.exclude(pk=id).get()
    assert exporter("get", f"system/tasks/{other.pk}").status_code == 404


def test_an_auditor_fetches_charges_but_not_the_set_up(key: Api) -> None:
    auditor = with_scopes(Scope.AUDIT_VIEW, Scope.RESOURCE_VIEW)
    charges, config = (started(key("post", "system/exports", {"kind": kind})) for kind in ("charges", "config"))
    for id in (charges, config):
        runner.run(id)
    assert auditor("get", f"system/tasks/{charges}/file").status_code == 200
    assert auditor("get", f"system/tasks/{config}/file").status_code == 403


def test_the_set_up_takes_the_right_to_see_it() -> None:
    refused = with_scopes(Scope.DATA_EXPORT)("post", "system/exports", {"kind": "config"})
    assert (refused.status_code, refused.json()["msg"]) == (403, "Missing Workspace permission: resource.view")
    assert not Job.objects.exists()


def test_an_import_takes_the_chosen_ones(user: Api, admin: User) -> None:
    with FakeLister("seer", "oracle", "sibyl") as lister:
        provider: Provider = factories.provider(lister, name="acme")
        body = {"models": ["seer", "sibyl", "seer"], "prefix": "acme/"}
        id = started(user("post", f"provider/providers/{provider.uuid}/import-models", body))
        runner.run(id)
    task = user("get", f"system/tasks/{id}").json()["data"]
    assert task["result"]["added"] == 2
    assert task["task_context"]["metadata"] == {"made_by": str(admin)}
    assert set(provider.models.values_list("name", flat=True)) == {"acme/seer", "acme/sibyl"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00"])
def test_moments_at_the_ends_of_time_are_taken_for_the_nearest_that_every_zone_has(
    key: Api, settings: Any, moment: str
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    answer = key("post", "system/exports", {"kind": "charges", "since": moment, "until": moment})
    assert answer.status_code in (200, 400), answer.content  # the library itself refuses what no zone can hold
    for job in Job.objects.all():
        runner.run(job.pk)
        job.refresh_from_db()
        assert job.state == JobState.SUCCEEDED


def test_a_file_is_answered_once_it_is_whole(key: Api) -> None:
    id = started(key("post", "system/exports", {"kind": "charges"}))
    assert key("get", f"system/tasks/{id}/file").status_code == 404
    runner.run(id)
    head = key("head", f"system/tasks/{id}/file")
    assert (head.status_code, head["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "no-store" in head["Cache-Control"]


@pytest.mark.parametrize("query", ["kind=%00", "type=%ED%A0%80", "kind=" + "x" * 5000])
def test_an_odd_filter_finds_nothing(key: Api, query: str) -> None:
    started(key("post", "provider/check"))
    assert key("get", f"system/tasks?{query}").json()["data"]["tasks"] == []


def test_a_cancelled_task_is_told_as_such(key: Api) -> None:
    id = started(key("post", "provider/check"))
    assert key("post", f"system/tasks/{id}/cancel").status_code == 200
    assert key("get", f"system/tasks/{id}").json()["data"]["error"]["type"] == "task_cancelled"
