"""What bots on Slack and behind a signed webhook say."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from accounts.services import keys
from accounts.services.keys import IssuedKey
from chat.models import Bot, BotEvent, BotPlatform
from chat.services.bots import managing, updates
from chat.services.bots.slack import CUT, Slack
from common.models import Job, JobState
from tests import factories
from tests.chat.bots import paid, post, webhook_bot, work
from tests.fakes import slack, webhook
from tests.fakes.openai import FakeOpenAI
from tests.fakes.slack import FakeSlack
from tests.fakes.webhook import Receiver

JSON = dict[str, Any]

WHOLE = " ".join(f"tok{number}" for number in range(10))
PACE = Slack.seconds_between


@pytest.fixture
def key(upstream: FakeOpenAI, database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[IssuedKey]:
    monkeypatch.setattr(updates, "PAUSES", (0.05,))
    monkeypatch.setattr(Slack, "seconds_between", 0.01)
    provider = factories.provider(upstream)
    for name in ("echo", "big"):
        factories.model(provider, name)
    yield factories.key()
    assert not upstream.violations


@pytest.fixture
def platform(key: IssuedKey) -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        managing.make(name="helper", platform=BotPlatform.SLACK, config=fake.config(key.secret))
        yield fake
        assert not fake.violations


@pytest.fixture
def receiver(key: IssuedKey) -> Iterator[Receiver]:
    with Receiver(path="/answers") as fake:
        webhook_bot(fake.url, key.secret)
        yield fake
        assert not fake.violations


def mention(text: str = "<@U0BOT> Hello", **fields: Any) -> None:
    raw = json.dumps(slack.mention(text, **fields)).encode()
    assert post("/bot/slack/helper/webhook/event", raw, slack.signed(raw)).status_code == 200
    work()


def question(text: str = "Hello", id: str = "msg_1") -> None:
    raw = json.dumps({"chat_id": "c-1", "text": text}).encode()
    assert post("/bot/webhook/helper/webhook/event", raw, webhook.signed(raw, id)).status_code == 200
    work()


def says(upstream: FakeOpenAI, *texts: str, seconds_between: float = 0.0) -> None:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    upstream.reply_events("echo", *chunks, "[DONE]", seconds_between=seconds_between)


class TestSlack:
    def test_a_mention_is_answered_under_it(self, platform: FakeSlack, upstream: FakeOpenAI) -> None:
        mention("<@U0BOT> Is 1 &lt; 2?")
        assert platform.answers == [WHOLE]
        assert list(platform.threads.values()) == ["1700000000.1"]
        assert upstream.seen[-1].body["messages"] == [{"role": "user", "content": "Is 1 < 2?"}]
        assert paid() == 1

    def test_between_two_there_is_no_thread(self, platform: FakeSlack) -> None:
        mention("Hello", type="message", channel_type="im")
        assert list(platform.threads.values()) == [None]

    def test_what_the_gateway_remembers_is_its_history(self, platform: FakeSlack, upstream: FakeOpenAI) -> None:
        mention("My name is Ada.")
        mention("What is my name?", id="Ev2")
        assert upstream.seen[-1].body["messages"] == [
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": WHOLE},
            {"role": "user", "content": "What is my name?"},
        ]

    def test_updates_come_less_often_than_slack_allows(
        self, platform: FakeSlack, upstream: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Slack, "seconds_between", PACE)
        says(upstream, *"abcdefgh", seconds_between=0.2)
        mention()
        (texts,) = platform.texts.values()
        assert texts[-1][1] == "abcdefgh"
        assert min(later - earlier for (earlier, _), (later, _) in pairwise(texts[1:])) > 1.1

    def test_a_long_answer_is_cut_and_slack_s_own_signs_are_not_read(
        self, platform: FakeSlack, upstream: FakeOpenAI
    ) -> None:
        says(upstream, "x" * 9000)
        mention()
        assert platform.answers[0].endswith(CUT)
        says(upstream, "<!channel>")
        mention(id="Ev2")
        assert platform.answers[1] == "&lt;!channel&gt;"

    def test_when_it_is_too_much_slack_says_how_long_to_wait(self, platform: FakeSlack) -> None:
        platform.failures.append(429)
        started = time.monotonic()
        mention()
        assert platform.answers == [WHOLE]
        assert time.monotonic() - started > 1

    def test_a_slack_that_refuses_is_told_to_the_operator_without_the_token(self, platform: FakeSlack) -> None:
        bot = Bot.objects.get()
        managing.change(bot=bot, config={**managing.shown(bot), "botToken": "xoxb-wrong"})
        mention()
        assert Job.objects.get().state == JobState.FAILED
        assert BotEvent.objects.get().error == "Slack refused: invalid_auth."

    def test_why_there_is_no_answer_is_told(self, platform: FakeSlack, key: IssuedKey) -> None:
        keys.revoke(key=key.key)
        mention()
        assert platform.answers == [":warning: This API key has been revoked."]
        assert not paid()


class TestWebhook:
    def test_the_answer_is_sent_once_and_signed(self, receiver: Receiver) -> None:
        question()
        ((id, body),) = receiver.accepted.items()
        assert body == {"chat_id": "c-1", "reply_to": "msg_1", "text": WHOLE, "is_final": True}
        assert id.startswith("req_")
        assert receiver.ids == [id]
        assert paid() == 1

    def test_it_is_sent_again_under_the_same_id_until_it_is_taken(self, receiver: Receiver) -> None:
        receiver.statuses.extend([503])
        question()
        first, second = receiver.ids
        assert (first, len(receiver.accepted)) == (second, 1)
        assert paid() == 1

    def test_a_receiver_that_refuses_is_told_to_the_operator(self, receiver: Receiver) -> None:
        receiver.statuses.extend([410])
        question()
        assert Job.objects.get().error == "The receiver of answers refused (status 410)."
        assert len(receiver.ids) == 1

    def test_why_there_is_no_answer_is_one(self, receiver: Receiver, key: IssuedKey) -> None:
        keys.revoke(key=key.key)
        question()
        assert receiver.bodies[0]["text"] == "This API key has been revoked."
