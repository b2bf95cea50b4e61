"""What a Feishu bot says, and how: the card, the history, files, failures."""

import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from accounts.models import ApiKey, Charge, Outcome
from accounts.services import keys
from chat.models import BotEvent, Session, ThreadBody
from chat.services.bots import feishu_cards, feishu_interface, updates
from chat.services.bots.answers import NOT_KEPT
from chat.services.bots.feishu import Feishu
from common.models import Job, JobState
from providers.models import AIModel
from tests import factories
from tests.chat.bots import Chat, feishu_bot, nested, paid, work
from tests.fakes import feishu
from tests.fakes.feishu import FakeFeishu, message_event
from tests.fakes.openai import FakeOpenAI

JSON = dict[str, Any]

PACE = Feishu.seconds_between
PLAN = b'{"code": 99991663}'  # looks like a refusal, and is what somebody has written
WHOLE = " ".join(f"tok{number}" for number in range(10))


@pytest.fixture
def chat(upstream: FakeOpenAI, database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    feishu_interface.forget()
    monkeypatch.setattr(updates, "PAUSES", (0.05, 0.05))
    monkeypatch.setattr(Feishu, "seconds_between", 0.05)
    key = factories.key()
    provider = factories.provider(upstream)
    for name in ("echo", "slow", "500", "cut", "big"):
        factories.model(provider, name)
    with FakeFeishu() as platform:
        yield Chat(platform, upstream, key, feishu_bot(platform, key))
        assert not platform.violations
        assert not upstream.violations


def big(chat: Chat, *texts: str, seconds_between: float = 0.0) -> None:
    """A model that says just this."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    chat.upstream.reply_events("big", *chunks, last, "[DONE]", seconds_between=seconds_between)
    chat.change(modelId="big")


def test_it_answers_in_one_card_that_its_key_pays(chat: Chat) -> None:
    assert chat.ask("What is it?") == {"title": "What is it?", "text": WHOLE}
    (card,) = chat.feishu.cards.values()
    assert card[0][1] == {"title": "正在思考中", "text": "……"}
    assert list(chat.feishu.receivers.values()) == ["ou_alice"]
    charge = Charge.objects.get()
    assert (charge.key_id, charge.outcome, charge.is_stream) == (chat.key.key.pk, Outcome.OK, True)
    assert Session.objects.get().key == "oc_chat"
    assert chat.asked == [{"role": "user", "content": "What is it?"}]


def test_what_was_said_is_forgotten_once_it_is_answered(chat: Chat) -> None:
    chat.ask("A secret")
    assert "secret" not in str(list(BotEvent.objects.values())) + str(list(Job.objects.values()))
    assert BotEvent.objects.get().error == ""


class TestUpdates:
    @pytest.fixture(autouse=True)
    def _pace(self, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Feishu, "seconds_between", PACE)

    def test_there_are_three_a_second_at_most_and_the_last_is_whole(self, chat: Chat) -> None:
        big(chat, *(f"{number} " for number in range(40)), seconds_between=0.03)
        shown = chat.ask()
        assert shown["text"] == "".join(f"{number} " for number in range(40))
        (card,) = chat.feishu.cards.values()
        times = [moment for moment, _ in card]
        assert 4 <= len(card) <= 6
        assert min(later - earlier for earlier, later in pairwise(times)) > 0.3
        texts = [each["text"] for _, each in card[1:]]
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))

    @pytest.mark.parametrize("text", ["x" * 90_000, "汉" * 40_000, '"\n\\' * 20_000, "😀" * 20_000])
    def test_a_long_answer_is_cut_between_two_characters_and_says_so(self, chat: Chat, text: str) -> None:
        big(chat, text)
        shown = chat.ask()["text"]
        assert shown.endswith(feishu_cards.CUT)
        assert text.startswith(shown.removesuffix(feishu_cards.CUT))
        assert len(json.dumps(json.dumps(shown, ensure_ascii=False), ensure_ascii=False).encode()) > 29_000

    @pytest.mark.parametrize("failure", [(230020, 400), (99991400, 429), (0, 500), (1, 503)])
    def test_the_last_is_sent_again_until_it_is_taken(self, chat: Chat, failure: tuple[int, int]) -> None:
        chat.feishu.failures.extend([failure, failure])
        assert chat.ask()["text"] == WHOLE
        assert Job.objects.get().state == JobState.SUCCEEDED

    def test_one_that_fails_midway_stops_nothing(self, chat: Chat) -> None:
        big(chat, *"abcdefgh", seconds_between=0.1)
        chat.feishu.failures.append((1, 500))
        assert chat.ask()["text"] == "abcdefgh"
        assert paid() == 1

    def test_what_the_platform_will_never_take_is_told_to_the_operator(self, chat: Chat) -> None:
        chat.feishu.failures.extend([(230011, 400)] * 9)  # somebody has taken the card back
        chat.ask()
        assert Job.objects.get().error == "Feishu refused with code 230011 (status 400)."
        assert BotEvent.objects.get().error == Job.objects.get().error
        assert len(chat.feishu.failures) == 8


class TestFailures:
    @pytest.mark.parametrize(
        ("spoil", "text"),
        [
            (lambda chat: keys.revoke(key=chat.key.key), "This API key has been revoked."),
            (lambda chat: ApiKey.objects.filter(pk=chat.key.key.pk).update(month_quota=0), "Please recharge."),
            (lambda chat: chat.change(apiKey="br-nobody-s"), "Incorrect API key provided."),
            (
                lambda chat: chat.change(modelId="gpt-9"),
                "The model `gpt-9` does not exist or you do not have access to it.",
            ),
        ],
    )
    def test_why_there_is_no_answer_stands_in_the_card(self, chat: Chat, spoil: Any, text: str) -> None:
        spoil(chat)
        assert chat.ask() == {"title": "发生错误", "text": text}
        assert not paid()
        assert BotEvent.objects.get().error == text
        assert Job.objects.get().state == JobState.SUCCEEDED

    def test_an_upstream_that_fails_is_told_without_its_key(self, chat: Chat) -> None:
        chat.change(modelId="500")
        shown = chat.ask()
        assert shown["title"] == "发生错误"
        assert chat.upstream.key not in shown["text"]

    def test_what_came_before_a_break_stays(self, chat: Chat) -> None:
        chat.change(modelId="cut")
        shown = chat.ask()
        assert shown["title"] == "发生错误"
        assert shown["text"].startswith("tok0 tok1")
        assert "cut off" in shown["text"]

    def test_a_key_that_is_made_later_counts_at_once(self, chat: Chat) -> None:
        chat.change(apiKey="br-not-yet")
        assert chat.ask()["title"] == "发生错误"
        ApiKey.objects.filter(pk=chat.key.key.pk).update(**keys.traces_of("br-not-yet"))
        assert chat.ask()["text"] == WHOLE

    def test_a_wrong_app_secret_is_told_without_it(self, chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
        chat.change(appSecret="a-wrong-secret")
        chat.tell(message_event())
        work()
        job = Job.objects.get()
        assert (job.state, job.error) == (JobState.FAILED, "Feishu refused with code 10014 (status 200).")
        assert "a-wrong-secret" not in caplog.text + str(list(BotEvent.objects.values()))

    def test_a_platform_that_is_away_is_told(self, chat: Chat) -> None:
        chat.change(baseURL="http://127.0.0.1:9", appSecret=feishu.APP_SECRET)
        chat.tell(message_event())
        work()
        assert Job.objects.get().error == "The chat platform can't be reached: upstream refuses connections."
        assert not paid()

    def test_a_bot_that_was_switched_off_meanwhile_says_nothing(self, chat: Chat) -> None:
        chat.tell(message_event())
        type(chat.bot).objects.update(is_enabled=False)
        work()
        assert not chat.feishu.cards and not paid()

    def test_what_nobody_expected_stands_in_the_log_alone(
        self, chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("chat.services.bots.feishu_messages.question", lambda *_: 1 / 0)
        assert chat.ask() == {"title": "发生错误", "text": "It failed unexpectedly; the server's log says more."}
        assert "ZeroDivisionError" in caplog.text


class TestToken:
    def test_it_is_kept_until_shortly_before_its_end(self, chat: Chat) -> None:
        chat.ask()
        chat.ask()
        assert chat.feishu.tokens_given == 1

    def test_one_that_ends_within_three_minutes_is_not_kept(self, chat: Chat) -> None:
        chat.feishu.token_seconds = 170
        chat.ask()
        assert chat.feishu.tokens_given > 2

    def test_one_that_is_refused_is_fetched_anew_once(self, chat: Chat) -> None:
        chat.ask()
        chat.feishu.tokens.clear()
        assert chat.ask()["text"] == WHOLE
        assert chat.feishu.tokens_given == 2

    def test_one_that_is_refused_for_ever_is_not_fetched_for_ever(self, chat: Chat) -> None:
        chat.feishu.tokens = type("Nothing", (set,), {"add": lambda self, token: None})()
        chat.tell(message_event())
        work()
        assert Job.objects.get().error == "Feishu refused with code 99991663 (status 400)."
        assert chat.feishu.tokens_given == 2


def item(kind: str, content: JSON, id: str = "om_before", by: str = "user", **fields: Any) -> JSON:
    sender = {"id": "ou_alice", "id_type": "open_id", "sender_type": by}
    return {"message_id": id, "msg_type": kind, "sender": sender, "body": {"content": json.dumps(content)}, **fields}


def card(title: str, text: str) -> JSON:
    """As the platform tells one."""
    return item("interactive", {"title": title, "elements": [[{"tag": "text", "text": text}]]}, by="app")


class TestHistory:
    def test_the_model_knows_what_was_said_before(self, chat: Chat) -> None:
        chat.feishu.history = [
            item("text", {"text": "@_user_1 My name is Ada."}, mentions=[{"key": "@_user_1"}]),
            card("My name is Ada.", "Hello, Ada."),
            item("text", {"text": "Deleted"}, deleted=True),
            item("text", {"text": "From a bot"}, by="app"),
            item("sticker", {"file_key": "x"}),
            card("正在思考中", "……"),
            card("发生错误", "Please recharge."),
            item("text", {"text": "What is my name?"}, id="om_ev_1"),
        ]
        chat.ask("What is my name?")
        assert chat.asked == [
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "Hello, Ada."},
            {"role": "user", "content": "What is my name?"},
        ]

    def test_what_is_nested_too_deep_is_no_part_of_it(self, chat: Chat) -> None:
        chat.feishu.history = [item("interactive", {"title": "x", "elements": nested(900)}, by="app")]
        assert chat.ask()["text"] == WHOLE
        assert chat.asked == [{"role": "user", "content": "Hello"}]

    def test_without_the_right_to_read_it_there_is_an_answer_all_the_same(self, chat: Chat) -> None:
        chat.feishu.history = None
        assert chat.ask()["text"] == WHOLE

    def test_a_question_is_about_the_last_picture(self, chat: Chat) -> None:
        chat.feishu.files["om_before", "img_1", "image"] = ("image/jpeg", b"JPEG")
        chat.feishu.history = [item("image", {"image_key": "img_1"})]
        chat.ask("What is on it?")
        data = f"data:image/jpeg;base64,{base64.b64encode(b'JPEG').decode()}"
        (question,) = chat.asked
        assert question["content"] == [
            {"type": "image_url", "image_url": {"url": data}},
            {"type": "text", "text": "What is on it?"},
        ]


class TestKinds:
    def test_a_picture_alone_is_summarised(self, chat: Chat) -> None:
        chat.feishu.files["om_ev_1", "img_2", "image"] = ("image/png", b"PNG")
        shown = chat.ask(content={"image_key": "img_2"}, message_type="image")
        assert shown == {"title": "以下是回复", "text": WHOLE}
        image, text = chat.asked[-1]["content"]
        assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(b'PNG').decode()}"
        assert "20" in text["text"]

    def test_a_file_is_passed_on_with_its_name(self, chat: Chat) -> None:
        chat.feishu.files["om_ev_1", "file_1", "file"] = ("application/json; charset=utf-8", PLAN)
        content = {"file_key": "file_1", "file_name": "plan.json"}
        assert chat.ask(content=content, message_type="file")["text"] == WHOLE
        data = f"data:application/json;base64,{base64.b64encode(PLAN).decode()}"
        assert chat.asked[-1]["content"][0] == {"type": "file", "file": {"filename": "plan.json", "file_data": data}}

    def test_of_rich_text_the_words_and_the_pictures_count(self, chat: Chat) -> None:
        chat.feishu.files["om_ev_1", "img_3", "image"] = ("image/png", b"PNG")
        paragraphs = [
            [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": "What is "}, {"tag": "a", "text": "this"}],
            [{"tag": "img", "image_key": "img_3"}],
        ]
        shown = chat.ask(content={"title": "Look", "content": paragraphs}, message_type="post")
        assert shown["title"] == "Look"
        image, text = chat.asked[-1]["content"]
        assert (image["type"], text["text"]) == ("image_url", "Look\nWhat is this")

    def test_whom_it_is_said_to_is_no_part_of_it(self, chat: Chat) -> None:
        chat.ask("@_user_1 Hello", mentions=[{"key": "@_user_1", "name": "helper"}])
        assert chat.asked[-1]["content"] == "Hello"

    def test_a_file_that_can_t_be_had_is_told(self, chat: Chat) -> None:
        shown = chat.ask(content={"image_key": "img_gone"}, message_type="image")
        assert shown == {"title": "发生错误", "text": "Feishu refused with code 230001 (status 400)."}
        assert chat.feishu.violations.pop().startswith("no such file")

    def test_a_key_with_slashes_leads_to_no_other_method(self, chat: Chat) -> None:
        chat.ask(content={"image_key": "../../../../../contact/v3/users"}, message_type="image", message_id="om/../x")
        violation = chat.feishu.violations.pop()
        assert "/messages/om%2F..%2Fx/resources/..%2F..%2F..%2F..%2F..%2Fcontact%2Fv3%2Fusers?" in violation

    def test_lark_is_the_same_at_another_address(self, chat: Chat) -> None:
        with FakeFeishu() as lark:
            chat.change(baseURL=lark.origin, appSecret=feishu.APP_SECRET)
            chat.tell(message_event())
            work()
            assert lark.answers == [{"title": "Hello", "text": WHOLE}]
        assert not chat.feishu.seen


class TestResuming:
    def test_an_answer_that_was_paid_is_shown_and_not_paid_again(self, chat: Chat, monkeypatch: Any) -> None:
        chat.feishu.failures.extend([(1, 500)] * 9)
        chat.tell(message_event())
        work()
        assert Job.objects.get().state == JobState.FAILED and paid() == 1
        chat.feishu.failures.clear()
        BotEvent.objects.update(message=_message())
        Job.objects.update(state=JobState.QUEUED, finished_at=None, error="")
        work()
        assert chat.feishu.answers == [{"title": "Hello", "text": WHOLE}]
        assert len(chat.feishu.cards) == paid() == 1

    def test_an_answer_that_is_kept_no_more_is_not_paid_again_either(self, chat: Chat) -> None:
        chat.ask()
        ThreadBody.objects.all().delete()
        BotEvent.objects.update(message=_message())
        Job.objects.update(state=JobState.QUEUED, finished_at=None)
        work()
        assert chat.feishu.answers[-1]["text"] == NOT_KEPT
        assert paid() == 1
        assert chat.ask("And now?")["text"] and len(chat.asked) == 1  # nothing is remembered of it

    def test_a_call_that_was_cut_off_is_made_again_under_another_id(self, chat: Chat) -> None:
        chat.change(modelId="500")
        chat.ask()
        first = Charge.objects.get()
        chat.change(modelId="echo")
        BotEvent.objects.update(message=_message())
        Job.objects.update(state=JobState.QUEUED, finished_at=None)
        work()
        assert chat.feishu.answers[-1]["text"] == WHOLE
        assert list(Charge.objects.order_by("id").values_list("request_id", flat=True)) == [
            first.request_id,
            f"{first.request_id}-2",
        ]


def _message() -> JSON:
    said = {"sender": "ou_alice", "id": "om_ev_1", "type": "text", "content": '{"text": "Hello"}', "mentions": []}
    return {"key": "ev_1", "chat": "oc_chat", "said": said}


def test_the_models_of_these_tests_are_there(chat: Chat) -> None:
    assert AIModel.objects.count() == 5
