"""A session is called by the first words of its first answer that has any."""

from typing import Any

import pytest
from django.test import Client

from accounts.services.keys import IssuedKey
from chat.models import Session
from chat.services.conversations import LONGEST_TITLE, session_breaks, title_of
from tests import factories
from tests.fakes.openai import FakeOpenAI


@pytest.mark.parametrize(
    ("completion", "title"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("Hello.", "Hello."),
        ("  Two\n\n words\t here ", "Two words here"),
        ("a" * 30, "a" * 30),
        ("a" * 31, "a" * 30),
        ("Exactly thirty characters, yes", "Exactly thirty characters, yes"),
        ("Exactly thirty characters, yes, and more", "Exactly thirty characters,"),
        ("Exactly thirty characters, yes and more", "Exactly thirty characters, yes"),
        ("a" * 29 + " bc", "a" * 29),
        (
            "这是一个没有空格的很长的句子,它比三十个字符还要长一些,所以要剪短",
            "这是一个没有空格的很长的句子,它比三十个字符还要长一些,所以",
        ),
        ("x " * 50_000, "x x x x x x x x x x x x x x x"),
    ],
)
def test_a_title_is_the_first_words(completion: str, title: str) -> None:
    assert title_of(completion) == title
    assert len(title) <= LONGEST_TITLE


class Talk:
    """One key in one session."""

    def __init__(self, client: Client, upstream: FakeOpenAI) -> None:
        self.client, self.upstream = client, upstream
        self.key: IssuedKey = factories.key()
        factories.model(factories.provider(upstream))

    def hears(self, content: str | None, **said: Any) -> None:
        message = {"role": "assistant", "content": content, **said}
        answer = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        self.upstream.reply_json("echo", answer)

    def says(self, session: str = "s", **fields: Any) -> str:
        """The session's title afterwards."""
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], **fields}
        headers = {"authorization": f"Bearer {self.key.secret}", "session-id": session}
        answer = self.client.post("/v1/chat/completions", body, content_type="application/json", headers=headers)
        assert answer.status_code == 200 and answer.getvalue()
        return Session.objects.get(api_key=self.key.key, key=session).title


@pytest.fixture
def talk(database: None, client: Client, upstream: FakeOpenAI) -> Talk:
    return Talk(client, upstream)


def test_it_stays_once_it_is_set(talk: Talk) -> None:
    talk.hears("Bridges and\nhow they are weighed at dawn")
    assert talk.says() == "Bridges and how they are"
    talk.hears("Something else")
    assert talk.says() == "Bridges and how they are"
    assert talk.says("other") == "Something else"
    assert Session.objects.get(key="s").calls == 2
    assert session_breaks() == []


def test_one_whose_first_call_had_no_text_gets_it_from_the_next(talk: Talk) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    talk.hears(None, tool_calls=[call])
    assert talk.says() == ""
    talk.hears("Found it.")
    assert talk.says() == "Found it."


def test_a_stream_gives_one_as_well(talk: Talk) -> None:
    assert talk.says(stream=True) == "tok0 tok1 tok2 tok3 tok4 tok5"


def test_what_was_thought_is_no_title(talk: Talk) -> None:
    talk.hears("The answer", reasoning_content="Let me think")
    assert talk.says() == "The answer"


def test_without_history_there_is_none(talk: Talk, settings: Any) -> None:
    settings.HISTORY = False
    talk.hears("A secret")
    assert talk.says() == ""
    assert Session.objects.get().calls == 1


def test_a_file_is_kept_by_its_name_and_kind_alone(talk: Talk) -> None:
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,c2VjcmV0"}}
    by_id = {"type": "file", "file": {"file_id": "file-1"}}
    bare = {"type": "file", "file": {"filename": "b.txt", "file_data": "c2VjcmV0"}}
    talk.says(messages=[{"role": "user", "content": [{"type": "text", "text": "read"}, file, by_id, bare]}])
    [thread] = Session.objects.get().threads.all()
    assert '{"filename":"a.txt","file_data":"data:text/plain;base64,"}' in thread.messages
    assert '{"file_id":"file-1"}' in thread.messages
    assert "c2VjcmV0" not in thread.messages
    assert talk.upstream.seen[-1].body["messages"][0]["content"][1] == file
