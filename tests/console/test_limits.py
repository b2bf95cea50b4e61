"""Limits in the console: what they have used, their form, who may see and do what, and their notices."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Limit, LimitCounter, LimitNotice, Metric, Subject, User, Window
from accounts.services import limit_use, limits, notices
from accounts.services.ledger.limiting.windows import Clock, slot_of
from common.money import to_units
from tests import factories
from tests.console import rows
from tests.console.test_keys import staff
from tests.fakes.webhook import SECRET, Receiver

pytestmark = pytest.mark.django_db

LIST = "/admin/accounts/limit/"
ADD = f"{LIST}add/"
NOTICES = "/admin/accounts/limitnotice/"


@pytest.fixture
def key(admin: User) -> ApiKey:
    return factories.key(name="alice", email="Alice@Example.com", group=factories.group(name="team")).key


def url_of(limit: Limit) -> str:
    return reverse("admin:accounts_limit_change", args=[limit.pk])


def count(limit: Limit, used: int, member: str = "", held: int = 0, back: int = 0) -> LimitCounter:
    """As the ledger counts in the window that holds now, or so many windows before."""
    moment = timezone.now() - timedelta(days=back)
    start = slot_of(limit.window, moment) if limit.is_sliding else Clock(moment).start_of(limit.window, False)
    return LimitCounter.objects.create(limit=limit, member=member, starts_at=start, used=used, held=held)


def text_of(console: Client, url: str, **query: Any) -> str:
    return " ".join(console.get(url, query).content.decode().split())


class TestList:
    def test_it_says_whose_what_and_how_much(self, console: Client, key: ApiKey) -> None:
        spend = limits.add(name="spend", subject=Subject.KEY, key=key, most=Decimal(10), window=Window.DAY)
        count(spend, to_units("8.5"), held=to_units("0.25"))
        calls = limits.add(name="calls", subject=Subject.EMAIL, metric=Metric.REQUESTS, most=200, window=Window.WEEK)
        count(calls, 20, "a@example.com")
        count(calls, 150, "b@example.com")
        limits.add(name="tokens", metric=Metric.TOKENS, most=5000, window=Window.MINUTE, is_sliding=True)
        page = text_of(console, LIST)
        for text in (
            "API key alice", "Cost a day", "$8.50 of $10.00, $0.25 held · 85 %", 'aria-valuenow="85"', "is-near",
            "Each e-mail", "Requests a week", "b@example.com: 150 of 200 · 75 %",
            "All calls together", "Tokens in any minute", "0 of 5,000 · 0 %", "bit by bit",
        ):  # fmt: skip
            assert text in page
        assert "a@example.com" not in page
        tomorrow = Clock(timezone.now() + timedelta(days=1)).start_of(Window.DAY, False)
        assert f"{tomorrow:%Y-%m-%d} 00:00:00" in page

    def test_members_have_names(self, console: Client, key: ApiKey) -> None:
        limit = limits.add(name="each key", subject=Subject.KEY, metric=Metric.REQUESTS, most=10)
        count(limit, 9, str(key.pk))
        assert "alice: 9 of 10" in text_of(console, LIST)
        assert "alice: 9 of 10" in text_of(console, url_of(limit))

    def test_a_window_that_slides_counts_what_is_still_inside(self, console: Client, admin: User) -> None:
        limit = limits.add(name="x", metric=Metric.REQUESTS, most=10, window=Window.HOUR, is_sliding=True)
        now = timezone.now()
        for minutes, used in ((0, 1), (30, 2), (59, 4), (63, 5)):
            LimitCounter.objects.create(
                limit=limit, starts_at=slot_of(limit.window, now - timedelta(minutes=minutes)), used=used
            )
        assert "7 of 10" in text_of(console, LIST)

    def test_other_windows_do_not_count(self, console: Client, admin: User) -> None:
        limit = limits.add(name="x", metric=Metric.REQUESTS, most=10, window=Window.DAY)
        count(limit, 9, back=1)
        assert "0 of 10" in text_of(console, LIST)

    def test_it_is_searched_and_filtered(self, console: Client, key: ApiKey) -> None:
        limits.add(name="one", subject=Subject.KEY, key=key, most=1)
        limits.add(name="two", subject=Subject.MODEL, value="gpt", most=1, metric=Metric.REQUESTS, action="warn")
        for query, names in (
            ({"q": "alice"}, ["one"]),
            ({"q": "gpt"}, ["two"]),
            ({"subject__exact": "key"}, ["one"]),
            ({"metric__exact": "requests"}, ["two"]),
            ({"action__exact": "warn"}, ["two"]),
            ({"window__exact": "day"}, []),
            ({"is_enabled__exact": "1"}, ["one", "two"]),
        ):
            assert [row.name for row in console.get(LIST, query).context["cl"].result_list] == names

    def test_its_queries_do_not_grow_with_its_rows(self, console: Client, key: ApiKey) -> None:
        def fill(start: int) -> None:
            for number in range(start, start + 4):
                of_key = limits.add(name=f"key {number}", subject=Subject.KEY, most=1, metric=Metric.REQUESTS)
                count(of_key, number, str(key.pk))
                group = factories.group()
                limits.add(name=f"group {number}", subject=Subject.GROUP, group=group, most=1, is_sliding=True)

        fill(0)
        with CaptureQueriesContext(connection) as few:
            console.get(LIST)
        fill(4)
        with CaptureQueriesContext(connection) as more:
            console.get(LIST)
        assert len(more) == len(few) <= 9


class TestPage:
    def test_it_tells_windows_and_members(self, console: Client, key: ApiKey) -> None:
        limit = limits.add(name="x", subject=Subject.EMAIL, metric=Metric.REQUESTS, most=100, window=Window.DAY)
        for number in range(12):
            count(limit, number, f"{number}@example.com")
        count(limit, 77, "a@example.com", back=1)
        page = text_of(console, url_of(limit))
        assert "11@example.com: 11 of 100" in page and "1@example.com: 1 of 100" not in page.replace("11@", "")
        assert "The 10 that have used most." in page
        assert "a@example.com" in page and "77 %" in page

    def test_one_for_each_that_nobody_has_used_says_so(self, console: Client, admin: User) -> None:
        limit = limits.add(name="x", subject=Subject.TAG, most=1)
        assert "Nothing has been counted in this window." in text_of(console, url_of(limit))

    def test_names_are_text(self, console: Client, admin: User) -> None:
        limit = limits.add(name="<b>x</b>", subject=Subject.TAG, most=1, metric=Metric.REQUESTS)
        count(limit, 1, "<i>y</i>")
        for url in (LIST, url_of(limit), "/admin/"):
            page = console.get(url).content.decode()
            assert "<b>x</b>" not in page and "<i>y</i>" not in page


class TestElsewhere:
    def test_a_key_s_page_has_what_its_calls_count_against(self, console: Client, key: ApiKey) -> None:
        other = factories.key(name="bob").key
        for name, fields in {
            "its own": {"subject": Subject.KEY, "key": key},
            "each key": {"subject": Subject.KEY},
            "its group": {"subject": Subject.GROUP, "group": key.group},
            "its e-mail": {"subject": Subject.EMAIL, "value": "ALICE@example.com"},
            "everyone": {},
            "bob": {"subject": Subject.KEY, "key": other},
            "a model": {"subject": Subject.MODEL, "value": "gpt"},
            "switched off": {"is_enabled": False},
        }.items():
            limit = limits.add(name=name, most=100, metric=Metric.REQUESTS, **fields)
            count(limit, 42, str(key.pk) if name == "each key" else "")
        page = console.get(reverse("admin:accounts_apikey_change", args=[key.pk]))
        assert {line.limit.name for line in page.context["limits_of"]["lines"]} == {
            "its own", "each key", "its group", "its e-mail", "everyone",
        }  # fmt: skip
        assert page.content.decode().count("42 of 100") == 5
        assert f'{ADD}?key={key.pk}"' in page.content.decode()

    def test_a_group_s_page_as_well(self, console: Client, key: ApiKey) -> None:
        limits.add(name="teams", subject=Subject.GROUP, most=100, metric=Metric.REQUESTS)
        url = reverse("admin:accounts_group_change", args=[key.group_id])
        assert "0 of 100" in text_of(console, url)
        assert f'{ADD}?group={key.group_id}"' in text_of(console, url)

    def test_a_link_fills_the_form(self, console: Client, key: ApiKey) -> None:
        form = console.get(ADD, {"key": key.pk}).context["adminform"].form
        assert (form.get_initial_for_field(form.fields["subject"], "subject"), form.initial["key"]) == (
            "key",
            str(key.pk),
        )

    def test_the_dashboard_warns_of_those_past_their_threshold(self, console: Client, key: ApiKey) -> None:
        rows.charge(key, factories.model(factories.provider())).save()
        for number in range(14):
            limit = limits.add(name=f"limit {number:02}", metric=Metric.REQUESTS, most=100, window=Window.DAY)
            count(limit, 76 + number)
        observed = limits.add(name="observed", metric=Metric.REQUESTS, most=1, action="observe")
        off = limits.add(name="off", metric=Metric.REQUESTS, most=1, is_enabled=False)
        for each in (observed, off):
            count(each, 5)
        page = console.get("/admin/")
        assert [line.limit.name for line in page.context["near"]] == [
            f"limit {number:02}" for number in range(13, 3, -1)
        ]
        assert url_of(limit) in page.content.decode()

    def test_it_shows_no_box_where_all_is_well(self, console: Client, key: ApiKey) -> None:
        limits.add(name="x", most=1)
        assert "Limits that are nearly reached" not in console.get("/admin/").content.decode()


def notice_of(limit: Limit, member: str = "", **fields: Any) -> LimitNotice:
    now = timezone.now()
    start = limit_use.started_at(limit, now)
    usual = {"percent": 80, "used": limit.most * 8 // 10, "created_at": now, "due_at": now}
    return LimitNotice.objects.create(limit=limit, member=member, starts_at=start, **{**usual, **fields})


class TestNotices:
    def test_each_says_what_became_of_it(self, console: Client, key: ApiKey) -> None:
        limit = limits.add(name="spend", subject=Subject.KEY, most=Decimal(10))
        now = timezone.now()
        notice_of(limit, str(key.pk), told_at=now, due_at=None)
        notice_of(limit, "7", percent=90)
        notice_of(limit, "8", attempts=2, error="The webhook answered with status 500.")
        notice_of(limit, "9", due_at=None, error=notices.NOBODY)
        page = text_of(console, NOTICES)
        for text in (
            "alice",
            "$8.00 of $10.00",
            "90 %",
            "waiting",
            "failing",
            "status 500",
            "names nobody",
        ):
            assert text in page
        for state, found in (("yes", 1), ("waiting", 2), ("no", 1)):
            assert len(console.get(NOTICES, {"told": state}).context["cl"].result_list) == found
        assert len(console.get(NOTICES, {"q": "spend"}).context["cl"].result_list) == 4
        for notice in LimitNotice.objects.all():
            assert console.get(reverse("admin:accounts_limitnotice_change", args=[notice.pk])).status_code == 200
        assert "status 500" in text_of(console, url_of(limit))

    def test_nobody_writes_them(self, console: Client, admin: User) -> None:
        notice = notice_of(limits.add(name="x", most=1))
        url = reverse("admin:accounts_limitnotice_change", args=[notice.pk])
        assert console.post(url, {"percent": "1"}).status_code == 403
        assert console.get(f"{NOTICES}add/").status_code == 403
        assert console.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403
        console.post(NOTICES, {"action": "delete_selected", "_selected_action": [notice.pk], "post": "yes"})
        assert LimitNotice.objects.exists()

    def test_they_are_never_counted(self, console: Client, admin: User) -> None:
        notice_of(limits.add(name="x", most=1))
        with CaptureQueriesContext(connection) as seen:
            console.get(NOTICES)
        assert not [query["sql"] for query in seen.captured_queries if "COUNT(" in query["sql"]]


class TestSample:
    def test_it_is_sent_by_a_click_and_says_what_came_of_it(self, console: Client, admin: User) -> None:
        with Receiver() as receiver:
            limit = limits.add(name="x", most=1, notify_url=receiver.url, notify_secret=SECRET)
            url = reverse("admin:accounts_limit_sample", args=[limit.pk])
            assert url in text_of(console, url_of(limit))
            assert "Send a sample notice" in text_of(console, url)
            assert not receiver.ids
            assert "The webhook has taken it." in text_of_post(console, url)
            receiver.statuses.append(500)
            assert "The webhook: The webhook answered with status 500." in text_of_post(console, url)
            assert [body["type"] for body in receiver.bodies] == ["limit.sample"]
            assert not receiver.violations

    def test_where_nobody_is_told_there_is_no_button(self, console: Client, admin: User) -> None:
        limit = limits.add(name="x", most=1)
        assert "/sample" not in text_of(console, url_of(limit))


def text_of_post(console: Client, url: str) -> str:
    return " ".join(console.post(url).content.decode().split())


class TestRights:
    @pytest.fixture
    def limit(self, key: ApiKey) -> Limit:
        limit = limits.add(
            name="x", subject=Subject.KEY, key=key, most=1, notify_url="http://127.0.0.1:9/", notify_secret=SECRET
        )
        notice_of(limit)
        return limit

    def test_a_stranger_sees_nothing(self, limit: Limit, key: ApiKey) -> None:
        stranger = staff("view_apikey", "view_charge")
        for url in (LIST, ADD, url_of(limit), NOTICES):
            assert stranger.get(url).status_code == 403
        assert "/limit/" not in text_of(stranger, reverse("admin:accounts_apikey_change", args=[key.pk]))
        assert "Limits" not in text_of(stranger, "/admin/")

    def test_who_may_look_changes_nothing_and_sends_nothing(self, limit: Limit) -> None:
        viewer = staff("view_limit")
        for url in (LIST, url_of(limit), NOTICES):
            assert viewer.get(url).status_code == 200
        assert SECRET not in text_of(viewer, url_of(limit))
        assert viewer.get(ADD).status_code == 403
        assert viewer.post(url_of(limit), {"name": "y"}).status_code == 403
        sample = reverse("admin:accounts_limit_sample", args=[limit.pk])
        assert sample not in text_of(viewer, url_of(limit))
        assert viewer.post(sample).status_code == 403

    def test_who_may_change_may_send_a_sample(self, limit: Limit) -> None:
        editor = staff("view_limit", "change_limit")
        page = text_of_post(editor, reverse("admin:accounts_limit_sample", args=[limit.pk]))
        assert "The webhook: The webhook can" in page
