"""Notices of limits: when the ledger makes one, who takes it, what it says, and what becomes of it."""

import base64
import hmac
import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.errors import LimitReached
from accounts.models import Action, Limit, LimitNotice, Metric, Outcome, Subject, UsageSource, Window
from accounts.services import limits, notices
from accounts.services.ledger.audit import audit
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.limiting.rules import load_book
from common import webhooks
from common.money import to_usd
from tests import factories
from tests.accounts.limiting import NOON, Clock, Desk
from tests.fakes.webhook import SECRET

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def desk(clock: Clock) -> Desk:
    return Desk(factories.key(month_quota=None, name="alice", email="alice@example.com"))


def make(**fields: Any) -> Limit:
    usual = {"name": "tokens", "metric": Metric.TOKENS, "most": 100, "window": Window.DAY, "thresholds": [50, 80, 100]}
    return limits.add(**{**usual, **fields})


def spend(desk: Desk, tokens: int) -> None:
    desk.settle(desk.admit(prompt_bound=tokens, output_bound=0), prompt=tokens, output=0)


def noted() -> list[tuple[int, int]]:
    """Per cent and what was used, in the order in which they were reached."""
    return list(LimitNotice.objects.order_by("id").values_list("percent", "used"))


class TestReached:
    """What the ledger writes, in the transaction that counts."""

    @pytest.mark.parametrize("action", [Action.WARN, Action.BLOCK])
    def test_each_threshold_is_noted_once(self, desk: Desk, action: str) -> None:
        make(action=action)
        for tokens, expected in ((40, []), (20, [(50, 60)]), (10, [(50, 60)]), (30, [(50, 60), (80, 100), (100, 100)])):
            spend(desk, tokens)
            assert noted() == expected
        row = LimitNotice.objects.order_by("id").first()
        assert row and (row.due_at, row.created_at, row.starts_at) == (NOON, NOON, NOON.replace(hour=0))
        assert audit() == []

    def test_a_soft_limit_lets_calls_go_on_beyond_it_and_tells_so(self, desk: Desk) -> None:
        make(action=Action.WARN, thresholds=[100, 200])
        for _ in range(3):
            spend(desk, 90)
        assert noted() == [(100, 180), (200, 270)]

    def test_the_next_window_has_its_own(self, desk: Desk, clock: Clock) -> None:
        make(thresholds=[50])
        for _ in range(2):
            spend(desk, 60)
            clock.turn(86_400)
        assert noted() == [(50, 60), (50, 60)]

    def test_each_member_has_its_own(self, desk: Desk) -> None:
        limit = make(subject=Subject.EMAIL, thresholds=[50])
        other = Desk(factories.key(month_quota=None, email="bob@example.com"))
        for each in (desk, other):
            spend(each, 60)
        found = LimitNotice.objects.filter(limit=limit).order_by("id").values_list("member", flat=True)
        assert list(found) == ["alice@example.com", "bob@example.com"]

    def test_nothing_is_noted_of_a_limit_that_only_counts(self, desk: Desk) -> None:
        make(action=Action.OBSERVE)
        spend(desk, 300)
        assert noted() == []

    def test_a_call_that_is_taken_back_and_comes_again_is_noted_once(self, desk: Desk) -> None:
        make(thresholds=[50])
        admitted = desk.admit(prompt_bound=60, output_bound=0)
        desk.settle(admitted, prompt=60, output=0, outcome=Outcome.SERVER_STOPPED, usage_source=UsageSource.ESTIMATED)
        desk.settle(admitted, prompt=60, output=0)
        assert noted() == [(50, 60)]

    def test_parallel_calls_are_noted_when_they_begin_and_once_a_day(self, desk: Desk, clock: Clock) -> None:
        make(metric=Metric.PARALLEL, most=2, thresholds=[100], window=Window.TOTAL)
        for _ in range(2):
            calls = [desk.admit(), desk.admit()]
            for call in calls:
                desk.settle(call)
        assert noted() == [(100, 2)]
        assert LimitNotice.objects.get().starts_at == NOON.replace(hour=0)

    def test_a_limit_that_is_nearly_used_up_is_told_as_used_up_once_it_refuses(self, desk: Desk) -> None:
        make()
        spend(desk, 95)
        assert noted() == [(50, 95), (80, 95)]
        refused = Batch(connection, desk.worker.uuid).run([desk.ask(prompt_bound=10, output_bound=0) for _ in range(3)])
        assert all(isinstance(each, LimitReached) for each in refused)
        assert noted() == [(50, 95), (80, 95), (100, 95)]

    @pytest.mark.parametrize("used", [0, 60, 90])
    def test_a_refusal_is_no_notice_while_much_is_left(self, desk: Desk, used: int) -> None:
        make(thresholds=[100])
        if used:
            spend(desk, used)
        with pytest.raises(LimitReached):
            desk.admit(prompt_bound=101, output_bound=0)
        assert noted() == []

    def test_many_thresholds_of_many_calls_in_one_batch(self, desk: Desk) -> None:
        for number in range(3):
            make(name=f"limit {number}", thresholds=[1, 2, 3])
        spend(desk, 50)
        assert len(noted()) == 9


class TestTaking:
    """Who tells one, and when it is tried again."""

    @pytest.fixture
    def notice(self, desk: Desk) -> LimitNotice:
        make(thresholds=[50], notify_url="http://127.0.0.1/hook", notify_secret=SECRET)
        spend(desk, 60)
        (notice,) = notices.due()
        return notice

    def test_of_two_that_see_it_one_has_it(self, notice: LimitNotice) -> None:
        (other,) = notices.due()
        assert notices.claim(notice=notice)
        assert not notices.claim(notice=other)
        assert not notices.due().exists()

    def test_pauses_grow_until_it_is_given_up(self, notice: LimitNotice, clock: Clock) -> None:
        pauses, last = [], clock.now
        for _ in range(5):
            while not (waiting := notices.due().first()):
                clock.turn(60)
            pauses.append(int((clock.now - last).total_seconds() // 60))
            last = clock.now
            assert notices.claim(notice=waiting)
            notices.close(notice=waiting, errors=["The webhook answered with status 500."])
        assert pauses == [0, 1, 5, 15, 40]
        clock.turn(86_400)
        assert not notices.due().exists()
        row = LimitNotice.objects.get()
        assert (row.told_at, row.attempts, row.error) == (None, 5, "The webhook answered with status 500.")

    def test_one_whose_teller_died_is_due_again(self, notice: LimitNotice, clock: Clock) -> None:
        for attempt in range(1, 6):
            assert notices.claim(notice=notices.due().get())
            assert LimitNotice.objects.get().attempts == attempt
            clock.turn(3600)
        assert not notices.claim(notice=notices.due().get())
        row = LimitNotice.objects.get()
        assert (row.due_at, row.error) == (None, notices.CUT_OFF)

    def test_it_is_told_once(self, notice: LimitNotice, clock: Clock) -> None:
        assert notices.claim(notice=notice)
        notices.close(notice=notice, errors=[])
        clock.turn(3600)
        notices.close(notice=notice, errors=["A slower one failed."])
        notices.close(notice=notice, errors=[])
        row = LimitNotice.objects.get()
        assert (row.told_at, row.due_at, row.error) == (NOON, None, "")

    def test_where_nobody_is_to_be_told_that_is_said(self, desk: Desk) -> None:
        make(thresholds=[50])
        spend(desk, 60)
        assert not notices.claim(notice=notices.due().get())
        assert (LimitNotice.objects.get().due_at, LimitNotice.objects.get().error) == (None, notices.NOBODY)

    def test_a_minute_s_threshold_is_told_once_an_hour(self, desk: Desk, clock: Clock) -> None:
        make(window=Window.MINUTE, thresholds=[50], notify_email="ops@example.com")
        told = []
        for _ in range(130):
            spend(desk, 60)
            notice = notices.due().get()
            told.append(notices.claim(notice=notice))
            if told[-1]:
                notices.close(notice=notice, errors=[])
            clock.turn(60)
        assert [minute for minute, was_told in enumerate(told) if was_told] == [0, 60, 120]
        assert LimitNotice.objects.filter(error=notices.TOLD_BEFORE).count() == 127

    def test_a_limit_that_is_removed_leaves_no_notice_behind(self, desk: Desk) -> None:
        limit = make(thresholds=[50], notify_email="ops@example.com")
        admitted = desk.admit(prompt_bound=60, output_bound=0)
        limit.delete()
        desk.settle(admitted, prompt=60, output=0)
        assert not notices.due()
        notices.forget_orphans()
        assert not LimitNotice.objects.exists()

    def test_old_ones_are_forgotten(self, desk: Desk, clock: Clock) -> None:
        for name, window in (("day", Window.DAY), ("minute", Window.MINUTE)):
            make(name=name, window=window, thresholds=[50])
        spend(desk, 60)
        clock.turn(timedelta(days=3).total_seconds())
        notices.tidy()
        assert LimitNotice.objects.get().limit.name == "day"
        clock.turn(timedelta(days=400).total_seconds())
        notices.tidy()
        assert not LimitNotice.objects.exists()


class TestWords:
    def test_a_webhook_is_told_exact_money_and_times(self, desk: Desk) -> None:
        limits.add(name="spend", most=Decimal("0.0000000100"), window=Window.DAY, thresholds=[50], subject=Subject.KEY)
        spend(desk, 60)
        assert notices.body_of(notices.due().get()) == {
            "type": "limit.threshold_reached",
            "limit": "spend",
            "member": str(desk.key.pk),
            "member_name": "alice",
            "metric": "cost",
            "window": "day",
            "percent": 50,
            "used": "0.000000006",
            "most": "0.00000001",
            "starts_at": "2026-11-21T00:00:00+00:00",
            "ends_at": "2026-11-22T00:00:00+00:00",
        }

    def test_counts_are_numbers_and_what_never_ends_has_no_end(self, desk: Desk) -> None:
        make(window=Window.TOTAL, thresholds=[50])
        spend(desk, 60)
        told = notices.body_of(notices.due().get())
        assert (told["used"], told["most"], told["ends_at"], told["member"]) == (60, 100, None, "")

    def test_its_id_is_its_own_and_stays(self, desk: Desk) -> None:
        make()
        spend(desk, 90)
        first, second = notices.due()
        assert notices.id_of(first) == notices.id_of(notices.due()[0]) != notices.id_of(second)

    def test_a_mail_says_what_was_reached_of_what(self, desk: Desk) -> None:
        limits.add(name="a\nb", most=to_usd(100), window=Window.DAY, thresholds=[50], subject=Subject.KEY)
        spend(desk, 60)
        subject, text = notices.mail_of(notices.due().get())
        assert subject == "Limit a b of alice: 50 % used"
        assert "Used: 0.000000006 USD of 0.00000001 USD." in text
        assert "It counts: Cost a day. Each API key." in text
        assert "The window ends on 2026-11-22 at 00:00 (UTC)." in text

    def test_a_sample_says_that_it_is_one(self, clock: Clock) -> None:
        sample = notices.sample(limit=make())
        assert notices.body_of(sample)["type"] == "limit.sample"
        assert (notices.body_of(sample)["percent"], notices.body_of(sample)["used"]) == (50, 50)
        assert "This is a sample" in notices.mail_of(sample)[1]
        assert not LimitNotice.objects.exists()

    def test_a_sample_of_parallel_calls_is_of_today(self, clock: Clock) -> None:
        sample = notices.sample(limit=make(metric=Metric.PARALLEL, most=2, window=Window.TOTAL))
        body = notices.body_of(sample)
        assert (body["starts_at"], body["ends_at"]) == ("2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00")
        assert "The window ends on 2026-11-22 at 00:00" in notices.mail_of(sample)[1]


class TestSecrets:
    @pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!"])
    def test_what_nothing_can_be_signed_with_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationError, match="openssl rand"):
            notices.check_secret(text)

    def test_one_that_nobody_can_read_any_more_stops_neither_calls_nor_notices(self, desk: Desk, settings: Any) -> None:
        limit = make(thresholds=[50], notify_url="http://127.0.0.1/hook", notify_secret=SECRET)
        settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        assert load_book()
        spend(desk, 60)
        notice = notices.due().get()
        assert notices.claim(notice=notice)
        assert notices.secret_of(notice.limit) is None
        assert not notices.has_secret(Limit.objects.defer("notify_secret").get(pk=limit.pk))

    def test_they_move_to_a_new_key(self, clock: Clock, settings: Any) -> None:
        make(notify_url="http://127.0.0.1/hook", notify_secret=SECRET)
        make(name="none")
        new = Fernet.generate_key().decode()
        settings.FIELD_ENCRYPTION_KEYS = [new, *settings.FIELD_ENCRYPTION_KEYS]
        assert notices.rotate() == 2
        settings.FIELD_ENCRYPTION_KEYS = [new]
        assert {limit.notify_secret for limit in Limit.objects.all()} == {SECRET, ""}


def test_the_readme_s_receiver_tells_ours_from_others() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(def is_ours.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"base64": base64, "hmac": hmac, "time": time}
    exec(snippet, names)
    now = datetime.now(UTC)
    key = webhooks.key_bytes(SECRET)
    assert key
    headers = dict(webhooks.signed(key, "msg_1", b"{}", now))
    assert names["is_ours"](SECRET, headers, b"{}")
    assert not names["is_ours"](SECRET, headers, b"{} ")
    assert not names["is_ours"]("whsec_" + "A" * 32, headers, b"{}")
    old = dict(webhooks.signed(key, "msg_1", b"{}", now - timedelta(minutes=6)))
    assert not names["is_ours"](SECRET, old, b"{}")
