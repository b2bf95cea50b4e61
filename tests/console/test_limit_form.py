"""The form of a limit: what it takes, what it refuses, and that it never shows a secret."""

from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Limit, LimitNotice, Metric, Subject, User, Window
from accounts.services import limits
from tests import factories
from tests.console.browser import PASSWORD, Visit, chromium
from tests.console.test_limits import ADD, LIST, notice_of, url_of
from tests.fakes.webhook import SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(admin: User) -> ApiKey:
    return factories.key(name="alice", group=factories.group(name="team")).key


class TestForm:
    def add(self, console: Client, **fields: Any) -> Any:
        usual = {
            "name": "x", "subject": "everyone", "metric": "cost", "window": "day", "most_cost": "10", "most_count": "",
            "action": "block", "thresholds": "80, 100", "is_enabled": "on", "value": "", "key": "", "group": "",
            "provider": "", "notify_url": "", "notify_email": "", "new_secret": "",
        }  # fmt: skip
        return console.post(ADD, {**usual, **fields})

    def test_a_limit_is_made(self, console: Client, key: ApiKey) -> None:
        fields = {"subject": "key", "key": key.pk, "most_cost": "12.5", "thresholds": "100 50%,50", "action": "warn"}
        assert self.add(console, **fields).status_code == 302
        limit = Limit.objects.get()
        assert (limit.key, limit.most_cost, limit.thresholds, limit.action) == (key, Decimal("12.5"), [50, 100], "warn")

    def test_what_is_not_shown_does_not_count(self, console: Client, key: ApiKey) -> None:
        left = {"key": key.pk, "group": key.group_id, "value": "x", "most_count": "many", "is_sliding": "on"}
        assert self.add(console, subject="group", window="total", **left).status_code == 302
        limit = Limit.objects.get()
        assert (limit.key, limit.group, limit.value, limit.is_sliding) == (None, key.group, "", False)
        assert (limit.most_cost, limit.most_count) == (10, None)
        self.add(console, name="y", metric="parallel", most_count="3", most_cost="nonsense")
        limit = Limit.objects.get(name="y")
        assert (limit.most_cost, limit.most_count, limit.window) == (None, 3, "total")

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"most_cost": ""}, "most_cost"),
            ({"most_cost": "-1"}, "most_cost"),
            ({"metric": "requests"}, "most_count"),
            ({"metric": "requests", "most_count": "1.5"}, "most_count"),
            ({"thresholds": "0"}, "thresholds"),
            ({"thresholds": "half"}, "thresholds"),
            ({"thresholds": "99999"}, "thresholds"),
            ({"name": ""}, "name"),
            ({"notify_email": "nobody"}, "notify_email"),
            ({"notify_url": "ftp://x.example", "new_secret": SECRET}, "notify_url"),
            ({"notify_url": "http://169.254.169.254/", "new_secret": SECRET}, "notify_url"),
            ({"notify_url": "http://user:pass@x.example/", "new_secret": SECRET}, "notify_url"),
            ({"notify_url": "https://x.example"}, "new_secret"),
            ({"notify_url": "https://x.example", "new_secret": "short"}, "new_secret"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_input(self, console: Client, fields: dict[str, str], name: str) -> None:
        page = self.add(console, **fields)
        assert page.status_code == 200
        assert list(page.context["adminform"].form.errors) == [name]
        assert not Limit.objects.exists()

    def test_a_private_address_is_refused_where_it_may_not_be_called(self, console: Client, settings: Any) -> None:
        settings.EGRESS_ALLOW_PRIVATE = False
        page = self.add(console, notify_url="http://10.1.2.3/hook", new_secret=SECRET)
        assert list(page.context["adminform"].form.errors) == ["notify_url"]

    def test_a_stored_secret_is_never_shown_and_stays(self, console: Client) -> None:
        self.add(console, notify_url="https://x.example/a", new_secret=SECRET)
        limit = Limit.objects.get()
        assert limit.notify_secret == SECRET
        page = console.get(url_of(limit)).content.decode()
        assert SECRET not in page and SECRET[6:] not in page
        assert 'type="password"' in page and "Empty: as it is" in page
        changed = {
            "name": "x", "most_cost": "10", "action": "block", "is_enabled": "on", "thresholds": "80",
            "notify_url": "https://x.example/b", "new_secret": "", "notify_email": "",
        }  # fmt: skip
        assert console.post(url_of(limit), changed).status_code == 302
        limit = Limit.objects.get()
        assert (limit.notify_url, limit.notify_secret, limit.thresholds) == ("https://x.example/b", SECRET, [80])
        other = "whsec_" + "B" * 24
        console.post(url_of(limit), {**changed, "new_secret": other})
        assert Limit.objects.get().notify_secret == other
        console.post(url_of(limit), {**changed, "notify_url": ""})
        assert Limit.objects.get().notify_secret == ""

    def test_a_change_keeps_what_is_counted(self, console: Client, key: ApiKey) -> None:
        limit = limits.add(name="a", subject=Subject.KEY, key=key, metric=Metric.TOKENS, most=5, window=Window.DAY)
        page = console.get(url_of(limit)).content.decode()
        assert 'name="subject"' not in page and 'name="most_cost"' not in page
        changed = {"name": "b", "most_count": "7", "action": "warn", "thresholds": "", "subject": "everyone"}
        console.post(url_of(limit), changed)
        limit.refresh_from_db()
        assert (limit.name, limit.most_count, limit.subject, limit.key) == ("b", 7, "key", key)
        assert (limit.thresholds, limit.is_enabled) == ([], False)

    def test_a_secret_that_can_not_be_read_any_more_is_entered_again(self, console: Client, settings: Any) -> None:
        self.add(console, notify_url="https://x.example", new_secret=SECRET)
        limit = Limit.objects.defer("notify_secret").get()
        settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        assert console.get(LIST).status_code == 200
        assert "Empty: as it is" not in console.get(url_of(limit)).content.decode()
        changed = {"name": "x", "most_cost": "10", "action": "block", "notify_url": "https://x.example"}
        page = console.post(url_of(limit), changed)
        assert list(page.context["adminform"].form.errors) == ["new_secret"]
        assert console.post(url_of(limit), {**changed, "new_secret": SECRET}).status_code == 302
        assert Limit.objects.get().notify_secret == SECRET

    def test_without_a_mail_server_that_is_said(self, console: Client, settings: Any) -> None:
        assert "No mail can be sent" in console.get(ADD).content.decode()
        settings.EMAIL_URL = "smtp://x"
        assert "No mail can be sent" not in console.get(ADD).content.decode()

    def test_a_limit_is_removed_with_its_notices(self, console: Client) -> None:
        limit = limits.add(name="x", most=1)
        notice_of(limit)
        console.post(reverse("admin:accounts_limit_delete", args=[limit.pk]), {"post": "yes"})
        assert not Limit.objects.exists() and not LimitNotice.objects.exists()

    def test_it_goes_with_its_key(self, console: Client, key: ApiKey) -> None:
        notice_of(limits.add(name="x", subject=Subject.KEY, key=key, most=1))
        console.post(reverse("admin:accounts_apikey_delete", args=[key.pk]), {"post": "yes"})
        assert not Limit.objects.exists() and not LimitNotice.objects.exists()


@pytest.mark.browser
@pytest.mark.usefixtures("database")
def test_the_form_shows_what_its_subject_and_its_metric_need(live_server: Any) -> None:
    operator = User.objects.create_superuser("operator", password=PASSWORD)
    with chromium() as browser:
        visit = Visit(browser, live_server.url)
        visit.log_in(operator)
        page = visit.page
        page.goto(ADD)
        inputs = ("key", "group", "provider", "value", "window", "is_sliding", "most_cost", "most_count")

        def shown() -> set[str]:
            return {name for name in inputs if page.locator(f".field-line.field-{name}").is_visible()}

        assert shown() == {"window", "is_sliding", "most_cost"}
        page.select_option("#id_subject", "tag")
        page.select_option("#id_metric", "tokens")
        assert shown() == {"value", "window", "is_sliding", "most_count"}
        page.select_option("#id_window", "total")
        assert shown() == {"value", "window", "most_count"}
        page.select_option("#id_subject", "key")
        page.select_option("#id_metric", "parallel")
        assert shown() == {"key", "most_count"}
        page.fill("[name=name]", "parallel")
        page.fill("[name=most_count]", "3")
        page.locator("button[name=_save]").click()
        page.wait_for_selector("text=was added successfully")
        assert Limit.objects.get().most_count == 3
        assert not visit.complaints
