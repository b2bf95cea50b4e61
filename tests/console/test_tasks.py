"""The pages of background tasks: who sees and starts what, and that they move by themselves."""

import csv
import io
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from accounts.models import User
from accounts.services import charge_export
from accounts.services.principals import of_user
from common import jobs
from common.models import Job, JobState
from gateway.jobs import queue, runner, starting
from gateway.jobs.kinds import CHARGES, CHECK, CONFIG, IMPORT
from tests import factories
from tests.console import rows
from tests.console.browser import Visit, chromium
from tests.fakes.lister import FakeLister

LIST = "/admin/common/job/"
WAITS = "No worker takes what waits"


def page_of(job: Job) -> str:
    return reverse("admin:common_job_change", args=[job.pk])


def start_page(kind: str) -> str:
    return reverse("admin:common_job_start", args=[kind])


def visitor(*rights: str) -> Client:
    user = User.objects.create_user(f"visitor {User.objects.count()}", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


class TestPages:
    def test_each_state_is_shown(self, console: Client, admin: User) -> None:
        rows.history(days=2, most_per_day=5)
        rows.tasks(admin)
        listed = console.get(LIST).content.decode()
        for state in JobState:
            assert state.label in listed
        assert "24 of 53" in listed and "width: 45%" in listed
        for job in Job.objects.all():
            page = console.get(page_of(job)).content.decode()
            assert ("data-unfinished" in page) is not job.is_over
            assert escape(job.error) in page and "weighbridge/tasks.js" in page

    def test_a_result_is_told_in_words(self, console: Client, admin: User) -> None:
        factories.provider(name="acme")
        job = starting.check_providers(by=of_user(admin))
        runner.run(job.pk)
        page = console.get(page_of(job)).content.decode()
        assert "acme (default): upstream refuses connections" in page

    def test_a_task_says_when_no_worker_takes_it(self, console: Client, admin: User) -> None:
        job = starting.check_providers(by=of_user(admin))
        assert WAITS not in console.get(page_of(job)).content.decode()
        Job.objects.update(queued_at=Now() - 2 * jobs.UNCLAIMED_FOR)
        for page in (page_of(job), LIST):
            assert WAITS in console.get(page).content.decode()

    def test_the_queries_of_the_list_do_not_grow(
        self, console: Client, admin: User, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(20):
            Job.objects.create(kind=CHECK, label=f"check {number}", state=JobState.SUCCEEDED)
        with django_assert_max_num_queries(8):
            console.get(LIST)

    def test_an_unknown_task_is_not_found(self, console: Client) -> None:
        for name in ("change", "file"):
            assert console.get(reverse(f"admin:common_job_{name}", args=[999])).status_code == 404
        assert console.get(start_page("nothing")).status_code == 404

    def test_the_queue_itself_has_no_page(self, console: Client) -> None:
        assert "dbtaskresult" not in console.get("/admin/").content.decode().lower()


class TestStarting:
    @pytest.mark.parametrize("kind", [CHECK, CONFIG, CHARGES, IMPORT])
    def test_nothing_starts_on_a_get(self, console: Client, kind: str) -> None:
        assert console.get(start_page(kind)).status_code == 200
        assert not Job.objects.exists()

    @pytest.mark.parametrize("kind", [CHECK, CONFIG, CHARGES])
    def test_a_post_starts_it_and_leads_to_its_page(self, console: Client, kind: str) -> None:
        answer = console.post(start_page(kind))
        job = Job.objects.get()
        assert (job.kind, job.made_by, answer["Location"]) == (kind, "operator", page_of(job))

    def test_charges_are_exported_for_whole_days_of_the_gateway_s_zone(self, console: Client, settings: Any) -> None:
        settings.TIME_ZONE = "Asia/Tokyo"
        console.post(start_page(CHARGES), {"since": "2026-01-01", "until": "2026-01-31"})
        job = Job.objects.get()
        assert job.arguments == {"since": "2025-12-31T15:00:00+00:00", "until": "2026-01-31T15:00:00+00:00"}
        assert job.label == "Export of charges from 2026-01-01 to 2026-02-01"

    @pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
    def test_days_at_the_ends_of_time_are_no_bound(self, console: Client, day: str) -> None:
        assert console.post(start_page(CHARGES), {"since": day, "until": day}).status_code == 302
        assert Job.objects.get().arguments == {}

    def test_what_is_no_day_starts_nothing(self, console: Client) -> None:
        assert "Enter a valid date" in console.post(start_page(CHARGES), {"since": "soon"}).content.decode()
        assert not Job.objects.exists()

    def test_the_scan_s_page_imports_all_in_the_background(self, console: Client) -> None:
        with FakeLister("seer", "oracle") as lister:
            provider = factories.provider(lister, name="acme")
            scanned = console.post(reverse("admin:providers_provider_scan", args=[provider.pk])).content.decode()
            assert f'formaction="{start_page(IMPORT)}" name="provider" value="{provider.pk}"' in scanned
            form = {"import": "1", "packed": "", "provider": provider.pk, "prefix": "acme/"}
            console.post(start_page(IMPORT), form)
            runner.run(Job.objects.get().pk)
        assert set(provider.models.values_list("name", flat=True)) == {"acme/seer", "acme/oracle"}

    def test_too_many_is_told(self, console: Client) -> None:
        Job.objects.bulk_create(Job(kind="x", label="x", arguments={"n": n}) for n in range(queue.MOST_UNFINISHED))
        assert "Too many tasks wait" in console.post(start_page(CHECK)).content.decode()

    def test_a_forged_post_is_refused(self, admin: User) -> None:
        forger = Client(enforce_csrf_checks=True)
        forger.force_login(admin)
        assert forger.post(start_page(CHECK)).status_code == 403
        assert not Job.objects.exists()

    @pytest.mark.parametrize(
        ("page", "texts"),
        [
            ("/admin/providers/provider/", ["Check all", "Export the set-up"]),
            ("/admin/accounts/charge/", ["Export charges"]),
            (LIST, ["Check all", "Export charges", "Export the set-up"]),
        ],
    )
    def test_there_are_buttons_for_it(self, console: Client, page: str, texts: list[str]) -> None:
        shown = console.get(page).content.decode()
        assert all(text in shown for text in texts)

    @pytest.mark.parametrize(
        ("button", "kind"),
        [
            ("providers_provider_check_all", CHECK),
            ("providers_provider_export_config", CONFIG),
            ("accounts_charge_export_charges", CHARGES),
        ],
    )
    def test_a_button_starts_nothing_itself(self, console: Client, button: str, kind: str) -> None:
        assert console.get(reverse(f"admin:{button}"))["Location"] == start_page(kind)
        assert not Job.objects.exists()


class TestRights:
    @pytest.mark.parametrize(
        ("kind", "enough", "too_few"),
        [
            (CHECK, ["change_aimodel"], ["change_provider", "view_provider"]),
            (IMPORT, ["change_provider", "add_aimodel"], ["change_provider", "view_provider"]),
            (CHARGES, ["view_charge"], ["view_provider"]),
            (CONFIG, ["view_charge", "view_provider"], ["view_charge"]),
        ],
    )
    def test_starting_takes_the_rights_of_the_work(
        self, db: None, kind: str, enough: list[str], too_few: list[str]
    ) -> None:
        assert visitor(*too_few).post(start_page(kind)).status_code == 403
        assert not Job.objects.exists()
        data = {"provider": factories.provider().pk}
        assert visitor(*enough).post(start_page(kind), data).status_code == 302
        assert Job.objects.get().kind == kind

    def test_who_sees_no_resources_sees_no_tasks(self, db: None, admin: User) -> None:
        job = starting.check_providers(by=of_user(admin))
        stranger = visitor("view_group")
        for page in (LIST, page_of(job), reverse("admin:common_job_file", args=[job.pk])):
            assert stranger.get(page).status_code == 403
        assert "Background tasks" not in stranger.get("/admin/").content.decode()

    def test_who_reads_charges_sees_their_exports_alone(self, db: None, admin: User) -> None:
        check = starting.check_providers(by=of_user(admin))
        bookkeeper = visitor("view_charge")
        bookkeeper.post(start_page(CHARGES))
        export = Job.objects.get(kind=CHARGES)
        runner.run(export.pk)
        assert "Check of all providers" not in bookkeeper.get(LIST).content.decode()
        assert bookkeeper.get(page_of(check)).status_code == 404
        assert bookkeeper.get(page_of(export)).status_code == 200
        assert bookkeeper.get(reverse("admin:common_job_file", args=[export.pk])).status_code == 200

    def test_a_file_is_for_those_who_may_read_what_is_in_it(self, db: None, admin: User) -> None:
        job = starting.export_charges(by=of_user(admin))
        runner.run(job.pk)
        reader = visitor("view_provider")
        page = reader.get(page_of(job)).content.decode()
        assert "Export of charges" in page and "charges.csv" not in page
        assert reader.get(reverse("admin:common_job_file", args=[job.pk])).status_code == 403

    def test_the_set_up_is_for_those_who_may_see_it_as_well(self, db: None, admin: User) -> None:
        job = starting.export_config(by=of_user(admin))
        runner.run(job.pk)
        file = reverse("admin:common_job_file", args=[job.pk])
        statuses = {names: visitor(*names).get(file).status_code for names in (("view_charge",), ("view_provider",))}
        assert statuses == {("view_charge",): 404, ("view_provider",): 403}
        assert visitor("view_charge", "view_provider").get(file).status_code == 200

    def test_cancelling_takes_a_right_and_a_post(self, console: Client, admin: User) -> None:
        job = starting.check_providers(by=of_user(admin))
        url = reverse("admin:common_job_cancel", args=[job.pk])
        assert visitor("view_provider").post(url).status_code == 403
        assert console.get(url).status_code == 405
        assert Job.objects.get().state == JobState.QUEUED
        console.post(url)
        assert Job.objects.get().state == JobState.CANCELLED
        assert "It was over already." in console.post(url, follow=True).content.decode()

    def test_nobody_adds_changes_or_deletes_a_task(self, console: Client, admin: User) -> None:
        job = starting.check_providers(by=of_user(admin))
        assert console.get(f"{LIST}add/").status_code == 403
        assert console.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
        console.post(page_of(job), {"label": "another"})
        assert Job.objects.get().label == "Check of all providers"


def test_an_export_is_a_file_that_a_spreadsheet_opens(console: Client, admin: User) -> None:
    rows.history(days=2, most_per_day=10)
    job = starting.export_charges(by=of_user(admin))
    runner.run(job.pk)
    answer = console.get(reverse("admin:common_job_file", args=[job.pk]))
    text = b"".join(answer).decode()
    assert answer["Content-Disposition"] == 'attachment; filename="charges.csv"'
    assert int(answer["Content-Length"]) == len(text.encode())
    lines = list(csv.DictReader(io.StringIO(text)))
    assert lines and set(lines[0]) == set(charge_export.COLUMNS)


@pytest.mark.browser
@pytest.mark.usefixtures("database")
class TestBrowser:
    def test_the_pages_move_by_themselves_until_it_is_over(self, live_server: Any, database: None) -> None:
        operator = User.objects.create_superuser("operator", password="x")
        with chromium() as browser:
            visit = Visit(browser, live_server.url)
            visit.log_in(operator)
            page = visit.page
            page.goto("/admin/providers/provider/")
            page.click("a:has-text('Check all')")
            page.click("button:has-text('Start')")
            page.wait_for_selector("text=Waiting")
            job = Job.objects.get()
            task = jobs.claim(job.pk, lambda: False)
            assert task
            task.report(done=1, total=4, action="Checking acme")
            page.wait_for_selector("[aria-valuenow='25']")
            page.wait_for_selector("text=Checking acme")
            listed = Visit(browser, live_server.url)
            listed.log_in(operator)
            listed.page.goto(LIST)
            listed.page.wait_for_selector("text=1 of 4")
            task.report(done=3)
            listed.page.wait_for_selector("text=3 of 4")
            task.succeed({"providers": 4})
            listed.page.wait_for_selector("[data-live^=state] >> text=Done")
            page.wait_for_selector("text=What came of it")
            assert page.locator("button:has-text('Cancel')").count() == 0
            assert visit.complaints == listed.complaints == []

    def test_a_button_cancels_and_another_downloads(self, live_server: Any, database: None) -> None:
        operator = User.objects.create_superuser("operator", password="x")
        with chromium() as browser:
            visit = Visit(browser, live_server.url, "phone")
            visit.log_in(operator)
            page = visit.page
            page.goto(page_of(starting.check_providers(by=of_user(operator))))
            page.click("button:has-text('Cancel')")
            page.wait_for_selector("text=It was cancelled.")
            export = starting.export_config(by=of_user(operator))
            worker = threading.Thread(target=_run, args=(export.pk,))
            page.goto(page_of(export))
            worker.start()
            with page.expect_download() as download:
                page.click("a:has-text('weighbridge.yaml')")
            worker.join()
            assert "version: 1" in download.value.path().read_text()
            assert visit.complaints == []


def _run(pk: int) -> None:
    """As a worker would, with a connection of its own."""
    try:
        runner.run(pk)
    finally:
        connection.close()
