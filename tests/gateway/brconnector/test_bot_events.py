"""What comes to a bot's address: taken in once when it is the platform's, refused when it is not."""

import json
import time
from typing import Any

import pytest
from django.test import Client

from chat.models import Bot, BotEvent, BotPlatform
from chat.services.bots import events, managing
from common.models import Job
from gateway.jobs import queue
from tests import factories
from tests.chat.bots import feishu_bot, nested, post, webhook_bot
from tests.fakes import feishu, slack, webhook
from tests.fakes.feishu import FakeFeishu, encrypted, message_event
from tests.fakes.slack import FakeSlack

pytestmark = pytest.mark.django_db

JSON = dict[str, Any]

KEY = "an-encrypt-key"
CHALLENGE = {"type": "url_verification", "challenge": "ajls384kdjx98XX", "token": "verification-token"}
ADDRESS = "/bot/feishu/helper/webhook/event"
NOT_SIGNED = (401, "The request's signature is not valid.", 0)
NO_BOT = (404, "There is no such bot.", 0)


@pytest.fixture
def platform() -> FakeFeishu:
    return FakeFeishu()


@pytest.fixture
def bot(platform: FakeFeishu) -> Bot:
    return feishu_bot(platform, factories.key())


@pytest.fixture
def safe(bot: Bot) -> Bot:
    """One that has an encrypt key."""
    return managing.change(bot=bot, config={**managing.shown(bot), "encryptKey": KEY})


def tell(body: Any, headers: JSON | None = None, address: str = ADDRESS) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(address, raw, headers or {})


def tell_safely(body: JSON, **changed: Any) -> Any:
    raw = json.dumps(encrypted(body, changed.pop("cipher", KEY))).encode()
    return tell(raw, {**feishu.signed(raw, changed.pop("key", KEY), changed.pop("at", None)), **changed})


def taken() -> int:
    """How many there are to be answered."""
    assert BotEvent.objects.count() == Job.objects.count()
    return Job.objects.count()


def told(answer: Any) -> tuple[int, str, int]:
    """The status, why it is refused, and how many are to be answered nevertheless."""
    return answer.status_code, answer.json()["data"], taken()


class TestChallenge:
    def test_it_is_answered(self, bot: Bot) -> None:
        assert tell(CHALLENGE).json() == {"challenge": "ajls384kdjx98XX"}
        assert not taken()

    def test_an_encrypted_one_is_as_well_and_needs_no_signature(self, safe: Bot) -> None:
        assert tell(encrypted(CHALLENGE, KEY)).json() == {"challenge": "ajls384kdjx98XX"}

    def test_one_that_is_not_encrypted_is_refused_where_all_are(self, safe: Bot) -> None:
        assert told(tell(CHALLENGE)) == (401, "The body is not encrypted, though this bot has an encryptKey.", 0)

    def test_a_bot_without_an_encrypt_key_can_t_read_an_encrypted_one(self, bot: Bot) -> None:
        assert told(tell(encrypted(CHALLENGE, KEY))) == (
            400,
            "The body is encrypted, and this bot has no encryptKey.",
            0,
        )


class TestTakenIn:
    def test_a_message_is_to_be_answered(self, bot: Bot) -> None:
        answer = tell(message_event())
        assert (answer.status_code, answer.json()) == (200, {})
        assert taken() == 1

    def test_an_encrypted_and_signed_one_is(self, safe: Bot) -> None:
        assert tell_safely(message_event()).json() == {}
        assert taken() == 1

    def test_one_that_comes_again_is_not(self, safe: Bot) -> None:
        for _ in range(3):
            assert tell_safely(message_event()).status_code == 200
        assert taken() == 1

    def test_the_older_form_is_known(self, bot: Bot) -> None:
        event = message_event()["event"]
        old = {"uuid": "u-1", "token": "t", "ts": "1", "event": {"type": "im.message.receive_v1", **event}}
        for _ in range(2):
            assert tell(old).status_code == 200
        assert taken() == 1

    def test_another_bot_s_event_of_the_same_id_is_another_one(self, bot: Bot, platform: FakeFeishu) -> None:
        managing.make(name="second", platform=BotPlatform.FEISHU, config=platform.config("br-x"))
        tell(message_event())
        tell(message_event(), address="/bot/feishu/second/webhook/event")
        assert taken() == 2

    @pytest.mark.parametrize(
        "body",
        [
            {**message_event(), "header": {**message_event()["header"], "event_type": "im.chat.updated_v1"}},
            message_event(message_type="sticker", content={"file_key": "x"}),
            message_event("@_user_1", mentions=[{"key": "@_user_1"}]),
        ],
    )
    def test_what_is_no_question_is_passed_over(self, bot: Bot, body: JSON) -> None:
        assert (tell(body).status_code, tell(body).json()) == (200, {})
        assert not taken()

    def test_bots_don_t_answer_bots(self, bot: Bot) -> None:
        body = message_event()
        body["event"]["sender"]["sender_type"] = "app"
        assert tell(body).status_code == 200
        assert not taken()

    def test_it_is_remembered_for_eight_hours(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        tell(message_event())
        Job.objects.all().delete()
        queue.tidy()
        assert BotEvent.objects.exists()
        monkeypatch.setattr(events, "KEPT_FOR", -events.KEPT_FOR)
        queue.tidy()
        assert not BotEvent.objects.exists()

    def test_one_that_finds_too_much_waiting_may_come_again(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(queue.MOST_OF, "bots", 1)
        tell(message_event(id="ev_1"))
        answer = tell(message_event(id="ev_2"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        Job.objects.all().delete()
        assert tell(message_event(id="ev_2")).status_code == 200
        assert Job.objects.count() == 1

    def test_it_does_not_wait_in_line_with_what_people_started(self, bot: Bot) -> None:
        Job.objects.bulk_create(Job(kind="provider-check", label="x") for _ in range(queue.MOST_UNFINISHED))
        assert tell(message_event()).status_code == 200


class TestForged:
    def test_a_signature_of_somebody_else_s(self, safe: Bot) -> None:
        assert told(tell_safely(message_event(), key="another")) == NOT_SIGNED

    def test_no_signature(self, safe: Bot) -> None:
        assert told(tell(encrypted(message_event(), KEY))) == (401, "The request has no valid timestamp.", 0)

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_a_copy_of_an_old_one(self, safe: Bot, seconds: int) -> None:
        assert told(tell_safely(message_event(), at=time.time() + seconds)) == (401, "The request is too old.", 0)

    def test_another_time_than_the_one_that_was_signed(self, safe: Bot) -> None:
        old = int(time.time()) - 10_000
        raw = json.dumps(encrypted(message_event(), KEY)).encode()
        headers = {**feishu.signed(raw, KEY, old), "X-Lark-Request-Timestamp": str(int(time.time()))}
        assert told(tell(raw, headers)) == NOT_SIGNED

    def test_a_body_that_was_signed_in_other_bytes(self, safe: Bot) -> None:
        body = encrypted(message_event(), KEY)
        headers = feishu.signed(json.dumps(body).encode(), KEY)
        assert told(tell(json.dumps(body, indent=1).encode(), headers)) == NOT_SIGNED

    def test_a_signed_one_that_is_not_encrypted(self, safe: Bot) -> None:
        raw = json.dumps(message_event()).encode()
        assert told(tell(raw, feishu.signed(raw, KEY))) == (
            401,
            "The body is not encrypted, though this bot has an encryptKey.",
            0,
        )

    def test_another_app_s(self, bot: Bot) -> None:
        body = message_event()
        body["header"]["app_id"] = "cli_other"
        assert told(tell(body)) == (401, "The event is another app's.", 0)

    def test_one_without_a_signature_that_is_not_remembered_any_more(self, bot: Bot) -> None:
        body = message_event()
        body["header"]["create_time"] = str(int((time.time() - 9 * 3600) * 1000))
        assert told(tell(body)) == (401, "The event is too old.", 0)

    @pytest.mark.parametrize("digits", [21, 400, 5000])
    def test_a_time_that_is_too_long_to_be_one(self, bot: Bot, digits: int) -> None:
        body = message_event()
        body["header"]["create_time"] = "9" * digits
        assert told(tell(body)) == (400, "header.create_time must be a text of at most 20 characters.", 0)

    def test_the_verification_token_counts_where_there_is_one(self, bot: Bot) -> None:
        config = {**managing.shown(bot), "verificationToken": "verification-token"}
        managing.change(bot=bot, config=config)
        assert tell(CHALLENGE).status_code == tell(message_event()).status_code == 200
        managing.change(bot=bot, config={**config, "verificationToken": "another"})
        for body in (CHALLENGE, message_event(id="ev_2")):
            assert tell(body).status_code == 401
        assert taken() == 1


class TestMalformed:
    @pytest.mark.parametrize(
        "text", ["", "no base64!", "AAAA", "A" * 64, encrypted(message_event(), "another key")["encrypt"]]
    )
    def test_what_can_t_be_decrypted(self, safe: Bot, text: str) -> None:
        raw = json.dumps({"encrypt": text}).encode()
        answer = tell(raw, feishu.signed(raw, KEY))
        assert answer.status_code == 400
        assert not taken()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no JSON",
            b"[]",
            b"\xff",
            {**message_event(), "more": nested(101)},
            {},
            {"event": 1},
            {"type": "url_verification"},
            {"type": "url_verification", "challenge": 7},
            {"schema": "2.0", "event": {}},
            {"schema": "2.0", "header": {"event_id": "x" * 129, "event_type": "im.message.receive_v1"}, "event": {}},
            {"uuid": "u", "event": {"type": "im.message.receive_v1"}},
            message_event(id="a\0b"),
            message_event(chat_id=""),
            message_event(content=[]),
            message_event(content={"text": 7}),
            message_event(content={"image_key": 7}, message_type="image"),
            message_event(mentions=[7]),
        ],
    )
    def test_what_is_no_event(self, bot: Bot, body: Any) -> None:
        answer = tell(body)
        assert answer.status_code == 400, answer.content
        assert answer.json()["success"] is False
        assert not taken()

    def test_a_body_beyond_the_limit(self, bot: Bot, settings: Any) -> None:
        settings.MAX_BODY_BYTES = 100
        assert told(tell(message_event())) == (413, "The request body is larger than 100 bytes.", 0)


class TestAddress:
    @pytest.mark.parametrize("name", ["nobody", "HELPER", "helper%20", "%00", "%F0%9F%98%80"])
    def test_a_bot_that_is_not_there(self, bot: Bot, name: str) -> None:
        assert told(tell(message_event(), address=f"/bot/feishu/{name}/webhook/event")) == NO_BOT

    @pytest.mark.parametrize("platform_name", ["slack", "webhook", "telegram"])
    def test_another_platform_has_other_bots(self, bot: Bot, platform_name: str) -> None:
        address = f"/bot/{platform_name}/helper/webhook/event"
        assert told(tell(message_event(), address=address)) == NO_BOT

    def test_one_that_is_switched_off(self, bot: Bot) -> None:
        managing.change(bot=bot, is_enabled=False)
        assert told(tell(message_event())) == NO_BOT

    @pytest.mark.django_db(transaction=True)
    def test_one_that_is_deleted_while_it_is_told(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        def is_known(bot: Bot, message: object) -> bool:
            return not Bot.objects.filter(pk=bot.pk).delete()

        monkeypatch.setattr(events, "is_known", is_known)
        assert told(tell(message_event())) == NO_BOT

    def test_one_that_was_made_a_moment_ago_is_there(self, bot: Bot) -> None:
        managing.change(bot=bot, name="new one")
        assert tell(CHALLENGE, address="/bot/feishu/new%20one/webhook/event").status_code == 200

    def test_only_a_post_is_an_event(self, bot: Bot) -> None:
        answer = Client().get(ADDRESS)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/bot/", "/bot/feishu/helper", "/bot/feishu/helper/webhook/event/more"])
    def test_any_other_path_leads_nowhere(self, bot: Bot, path: str) -> None:
        assert told(tell(message_event(), address=path)) == (404, "Not Found", 0)

    def test_secrets_that_can_t_be_read_are_said_to_be(self, bot: Bot, settings: Any) -> None:
        settings.FIELD_ENCRYPTION_KEYS = ["YW5vdGhlci1rZXktdGhhdC1pcy0zMi1ieXRlcy1sbyE="]
        assert told(tell(message_event())) == (503, "The bot's secrets can't be read.", 0)


class TestSlack:
    @pytest.fixture(autouse=True)
    def _bot(self, db: None) -> None:
        config = FakeSlack().config("br-x")
        managing.make(name="helper", platform=BotPlatform.SLACK, config=config)

    def tell(self, body: JSON, **changed: Any) -> Any:
        raw = json.dumps(body).encode()
        return tell(raw, slack.signed(raw, **changed), "/bot/slack/helper/webhook/event")

    def test_a_challenge_is_answered_where_it_is_signed(self) -> None:
        assert self.tell(CHALLENGE).json() == {"challenge": "ajls384kdjx98XX"}
        assert told(self.tell(CHALLENGE, secret="another")) == NOT_SIGNED

    def test_a_mention_is_taken_in_once(self) -> None:
        for _ in range(3):
            assert self.tell(slack.mention()).status_code == 200
        assert taken() == 1

    def test_a_copy_of_an_old_one_is_refused(self) -> None:
        assert told(self.tell(slack.mention(), at=time.time() - 301)) == (401, "The request is too old.", 0)

    @pytest.mark.parametrize(
        "fields",
        [
            {"bot_id": "B0"},
            {"subtype": "message_changed"},
            {"type": "message", "channel_type": "channel"},
            {"type": "reaction_added"},
            {"text": "<@U0BOT>"},
        ],
    )
    def test_what_is_no_question_is_passed_over(self, fields: JSON) -> None:
        assert self.tell(slack.mention(**fields)).status_code == 200
        assert not taken()


class TestWebhook:
    BODY: JSON = {"chat_id": "c-1", "text": "Hello", "user": "ada"}

    @pytest.fixture(autouse=True)
    def _bot(self, db: None) -> None:
        webhook_bot("http://127.0.0.1:9/answers", "br-x")

    def tell(self, body: JSON, headers: JSON | None = None) -> Any:
        raw = json.dumps(body).encode()
        return tell(raw, headers or webhook.signed(raw), "/bot/webhook/helper/webhook/event")

    def test_a_question_is_taken_in_once(self) -> None:
        for _ in range(3):
            assert self.tell(self.BODY).json() == {}
        assert taken() == 1

    def test_a_forged_one_is_refused(self) -> None:
        headers = webhook.signed(json.dumps(self.BODY).encode())
        assert told(self.tell({**self.BODY, "text": "Bye"}, headers)) == NOT_SIGNED
        assert told(self.tell(self.BODY, {**headers, "webhook-id": "msg_2"})) == NOT_SIGNED
        del headers["webhook-signature"]
        assert told(self.tell(self.BODY, headers)) == NOT_SIGNED

    def test_a_bot_s_own_answer_is_not_answered(self) -> None:
        assert self.tell({**self.BODY, "reply_to": "msg_1", "is_final": True}).json() == {}
        assert not taken()

    @pytest.mark.parametrize("fields", [{"text": ""}, {"chat_id": 1}, {"text": None}, {"user": []}])
    def test_what_is_no_question_is_refused(self, fields: JSON) -> None:
        assert self.tell({**self.BODY, **fields}).status_code == 400
        assert not taken()
