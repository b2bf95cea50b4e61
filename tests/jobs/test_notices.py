"""Notices of limits as receivers see them: signed, once, tried again, mailed; by real workers on both databases."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Limit, LimitNotice, Metric, Window
from accounts.services import limits, notices
from common.models import Job, JobState
from gateway import notices as telling
from gateway.jobs import runner, starting
from providers.services import routing
from tests.fakes.mail import MailServer
from tests.fakes.webhook import CANARY, SECRET, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as fake:
        yield fake
        assert not fake.violations


def reached(**fields: Any) -> LimitNotice:
    """A notice of a new limit, as the ledger writes them."""
    limit = limits.add(name=f"limit {Limit.objects.count()}", metric=Metric.TOKENS, most=100, **fields)
    start = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    now = timezone.now()
    return LimitNotice.objects.create(
        limit=limit, starts_at=start, percent=80, used=85, created_at=now, due_at=now - timedelta(seconds=1)
    )


def told_by(receiver: Receiver, **fields: Any) -> LimitNotice:
    return reached(notify_url=receiver.url, notify_secret=SECRET, **fields)


def work() -> Job:
    """What the worker does once it has seen that something is due."""
    starting.tell_notices()
    job = Job.objects.get(state=JobState.QUEUED)
    runner.run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.error
    return job


def make_due() -> None:
    """As if the pause were over."""
    LimitNotice.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.usefixtures("database")
class TestWebhook:
    def test_it_gets_a_signed_message(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        assert work().result == {"told": 1, "failed": 0}
        (body,) = receiver.bodies
        assert (body["type"], body["limit"], body["percent"], body["used"], body["most"]) == (
            "limit.threshold_reached", "limit 0", 80, 85, 100,
        )  # fmt: skip
        notice.refresh_from_db()
        assert notice.told_at and notice.posted_at and notice.due_at is None and notice.error == ""

    def test_nothing_is_started_while_nothing_is_due(self, receiver: Receiver) -> None:
        told_by(receiver)
        work()
        starting.tell_notices()
        assert Job.objects.count() == 1

    def test_one_that_fails_is_told_later_under_the_same_id(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        receiver.statuses.extend([500, 429])
        for error in ("The webhook answered with status 500.", "The webhook answered with status 429."):
            assert work().result == {"told": 0, "failed": 1}
            notice.refresh_from_db()
            assert (notice.error, notice.told_at) == (error, None)
            starting.tell_notices()  # it is not due yet
            assert not Job.objects.filter(state=JobState.QUEUED).exists()
            make_due()
        assert work().result == {"told": 1, "failed": 0}
        assert len(receiver.ids) == 3 and len(set(receiver.ids)) == 1
        notice.refresh_from_db()
        assert (notice.error, notice.attempts) == ("", 3)

    def test_it_is_given_up_after_five_tries(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        receiver.statuses.extend([503] * 9)
        for _ in range(5):
            work()
            make_due()
        starting.tell_notices()
        assert len(receiver.ids) == 5
        notice.refresh_from_db()
        assert (notice.due_at, notice.told_at, notice.error) == (None, None, "The webhook answered with status 503.")

    def test_a_redirect_is_not_followed(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        receiver.statuses.extend([307, 302])
        work()
        make_due()
        work()
        assert len(receiver.ids) == 2 and not receiver.accepted
        notice.refresh_from_db()
        assert "redirect" in notice.error

    def test_a_worker_that_died_after_sending_sends_the_same_again(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        assert notices.claim(notice=notice)
        telling.post(notice)  # and nothing was written down any more
        make_due()
        work()
        assert receiver.replays == [receiver.ids[0]]
        assert len(receiver.accepted) == 1

    def test_no_secret_and_no_answer_is_logged_or_stored(
        self, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        told_by(receiver)
        receiver.statuses.extend([500])
        work()
        kept = caplog.text + str(list(LimitNotice.objects.values())) + str(list(Job.objects.values()))
        assert "answered with status 500" in kept
        for secret in (SECRET, SECRET.removeprefix("whsec_"), CANARY, "team=a"):
            assert secret not in kept

    @pytest.mark.parametrize("secret", ["", "whsec_c2hvcnQ="])
    def test_without_a_secret_nothing_is_sent(self, receiver: Receiver, secret: str) -> None:
        notice = reached(notify_url=receiver.url, notify_secret=secret)
        work()
        assert not receiver.ids
        notice.refresh_from_db()
        assert notice.error == telling.NO_SECRET

    def test_one_that_can_not_be_reached_says_why(self, receiver: Receiver) -> None:
        notice = reached(notify_url="http://127.0.0.1:9/hook?token=sesame", notify_secret=SECRET)
        work()
        notice.refresh_from_db()
        assert notice.error == "The webhook can't be reached: upstream refuses connections."

    def test_a_private_address_is_not_called_where_that_is_forbidden(
        self, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EGRESS_ALLOW_PRIVATE = False
        monkeypatch.setattr(routing, "_transport", None)
        notice = told_by(receiver)
        work()
        monkeypatch.setattr(routing, "_transport", None)
        assert not receiver.ids
        notice.refresh_from_db()
        assert notice.error.startswith("The webhook can't be reached: ")

    def test_notices_of_a_limit_that_is_gone_are_dropped(self, receiver: Receiver) -> None:
        notice = told_by(receiver)
        LimitNotice.objects.filter(pk=notice.pk).update(limit=10**6)
        assert work().result == {"told": 0, "failed": 0}
        assert not LimitNotice.objects.exists()

    def test_what_is_told_at_once_is_bounded_and_goes_on(self, receiver: Receiver) -> None:
        first = told_by(receiver)
        for percent in range(1, 130):
            LimitNotice.objects.create(
                limit=first.limit, starts_at=first.starts_at, percent=1000 + percent, used=1,
                created_at=first.created_at, due_at=first.due_at,
            )  # fmt: skip
        assert work().result == {"told": 100, "failed": 0}
        assert work().result == {"told": 30, "failed": 0}
        assert len(set(receiver.ids)) == len(receiver.ids) == 130


@pytest.mark.usefixtures("database")
class TestMail:
    def test_it_is_sent_over_a_socket(self, settings: Any) -> None:
        with MailServer() as server:
            settings.EMAIL_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp://x", "127.0.0.1", server.port
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            notice = reached(notify_email="ops@example.com")
            server.refusals.append(b"550 no such mailbox: it is full of secrets")
            work()
            notice.refresh_from_db()
            assert notice.error == "The mail server refuses the address."
            make_due()
            assert work().result == {"told": 1, "failed": 0}
            (sent,) = server.mails
        assert server.recipients == ["ops@example.com"]
        assert sent["Subject"] == "Limit limit 0: 80 % used"
        assert sent["From"] == settings.DEFAULT_FROM_EMAIL
        assert sent["Message-ID"] == f"<{notices.id_of(notice)}@weighbridge>"
        assert "Used: 85 tokens of 100 tokens." in sent.get_content()

    def test_a_server_that_is_not_there_is_said(self, settings: Any) -> None:
        settings.EMAIL_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp://x", "127.0.0.1", 9
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        notice = reached(notify_email="ops@example.com")
        work()
        notice.refresh_from_db()
        assert notice.error == "The mail server can't be reached: ConnectionRefusedError."

    def test_without_a_server_that_is_said(self) -> None:
        notice = reached(notify_email="ops@example.com")
        work()
        notice.refresh_from_db()
        assert (notice.error, mail.outbox) == (telling.NO_MAIL, [])

    def test_of_two_channels_only_the_one_that_failed_is_tried_again(self, receiver: Receiver, settings: Any) -> None:
        settings.EMAIL_URL = "smtp://x"
        notice = told_by(receiver, notify_email="ops@example.com")
        receiver.statuses.extend([500])
        work()
        notice.refresh_from_db()
        assert (len(mail.outbox), notice.told_at, bool(notice.mailed_at)) == (1, None, True)
        make_due()
        work()
        notice.refresh_from_db()
        assert (len(mail.outbox), len(receiver.accepted), bool(notice.told_at)) == (1, 1, True)


@pytest.mark.usefixtures("database")
class TestSample:
    def test_it_says_whether_each_was_told_and_stores_nothing(self, receiver: Receiver, settings: Any) -> None:
        limit = limits.add(
            name="a",
            most=5,
            window=Window.DAY,
            notify_url=receiver.url,
            notify_secret=SECRET,
            notify_email="o@x.example",
        )
        assert telling.tell_sample(limit) == [("The webhook", ""), ("o@x.example", telling.NO_MAIL)]
        settings.EMAIL_URL = "smtp://x"
        receiver.statuses.append(404)
        told = telling.tell_sample(limit)
        assert told == [("The webhook", "The webhook answered with status 404."), ("o@x.example", "")]
        (body,) = receiver.bodies
        assert (body["type"], body["used"], body["most"]) == ("limit.sample", "4.00", "5.00")
        assert len(set(receiver.ids)) == 2
        assert not LimitNotice.objects.exists()
