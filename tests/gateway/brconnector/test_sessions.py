"""Sessions and threads over their own paths: whose they are, what they say, and how many queries they take."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Charge, Role
from accounts.services import keys
from accounts.services.keys import IssuedKey
from chat.models import Session, Thread, ThreadBody
from chat.services import conversations
from tests import factories
from tests.fakes.openai import FakeOpenAI

ALICES, BOBS = "alice's secret question", "bob's secret question"


class Two:
    """Alice and Bob, whose clients have chosen the same Session-Id."""

    def __init__(self, client: Client, upstream: FakeOpenAI) -> None:
        self.client, self.upstream = client, upstream
        provider = factories.provider(upstream)
        factories.model(provider)
        factories.model(provider, "vectors", upstream_name="echo", kind="embedding")
        self.alice, self.bob = (factories.key(start="br-") for _ in range(2))
        self.admin = factories.key(role=Role.ADMIN)

    def say(self, who: IssuedKey, content: Any, session: str = "same", path: str = "chat/completions") -> Thread:
        body = {"messages": [{"role": "user", "content": content}]} if "chat" in path else {"input": content}
        model = "echo" if "chat" in path else "vectors"
        headers = {"authorization": f"Bearer {who.secret}", "session-id": session}
        answer = self.client.post(f"/v1/{path}", {"model": model, **body}, JSON, headers=headers)
        assert answer.status_code == 200, answer.content
        return Thread.objects.latest("id")

    def get(self, who: IssuedKey, path: str, **query: Any) -> Any:
        return self.client.get(path, query, headers={"x-api-key": who.secret})

    def data(self, who: IssuedKey, path: str, **query: Any) -> Any:
        answer = self.get(who, path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]


JSON = "application/json"


@pytest.fixture
def two(database: None, client: Client, upstream: FakeOpenAI) -> Iterator[Two]:
    yield Two(client, upstream)
    assert upstream.violations == []


def test_neither_sees_the_other_s_by_any_id_or_parameter(two: Two) -> None:
    hers, his = two.say(two.alice, ALICES), two.say(two.bob, BOBS)
    two.say(two.bob, BOBS, session="")
    assert hers.session_id != his.session_id
    numbers = {
        "key_id": ("", str(his.api_key_id), "0"),
        "session_id": ("", str(his.session_id), "0"),
        "q": ("", "secret", BOBS),
        "offset": ("", "1"),
        "id": ("", str(his.pk)),
    }
    for path, values in product(("/user/session/list", "/user/thread/list"), product(*numbers.values())):
        answer = two.get(two.alice, path, **dict(zip(numbers, values, strict=True)))
        data = answer.json()["data"]
        assert answer.status_code == 200
        assert BOBS not in answer.content.decode()
        assert data["total"] <= 1
        assert {row.get("key_id", two.alice.key.pk) for row in data["items"]} <= {two.alice.key.pk}
        assert {row["id"] for row in data["items"]} <= {hers.pk, hers.session_id}


@pytest.mark.parametrize("kind", ["session", "thread"])
def test_a_foreign_row_and_none_are_refused_alike(two: Two, kind: str) -> None:
    hers, his = two.say(two.alice, ALICES), two.say(two.bob, BOBS)
    own, foreign = (each.pk if kind == "thread" else each.session_id for each in (hers, his))
    assert two.data(two.alice, f"/user/{kind}/detail/{own}")["id"] == own
    answers = [two.get(two.alice, f"/user/{kind}/detail/{id}").json() for id in (foreign, 10**18)]
    for answer in answers:
        answer["error"].pop("request_id")
    assert answers[0] == answers[1]
    assert answers[0]["data"] == f"Unauthorized: not your {kind}."
    # Not even with the number in the query, too.
    assert two.get(two.alice, f"/user/{kind}/detail/{foreign}", id=own, key_id=own).status_code == 400


def test_the_status_is_true_where_that_is_wished(two: Two, settings: Any) -> None:
    settings.TRUE_STATUS_CODES = True
    his = two.say(two.bob, BOBS)
    assert two.get(two.alice, f"/user/thread/detail/{his.pk}").status_code == 403
    assert two.get(two.alice, "/admin/thread/list").status_code == 403


@pytest.mark.parametrize("kind", ["session", "thread"])
def test_ordinary_keys_are_kept_out_of_the_administrators_paths(two: Two, kind: str) -> None:
    thread = two.say(two.bob, BOBS)
    for path in (f"/admin/{kind}/list", f"/admin/{kind}/detail/{thread.pk}", f"/admin/{kind}/detail?id={thread.pk}"):
        answer = two.get(two.bob, path)
        assert (answer.status_code, answer.json()["data"]) == (400, "Unauthorized: you are not an admin role.")


def test_an_administrator_sees_all_but_the_console_s_own(two: Two) -> None:
    two.say(two.alice, ALICES), two.say(two.bob, BOBS)
    console = two.say(two.alice, "a test", session="console")
    Thread.objects.filter(pk=console.pk).update(api_key=keys.console_key())
    Session.objects.filter(pk=console.session_id).update(api_key=keys.console_key())
    assert two.data(two.admin, "/admin/thread/list")["total"] == 2
    assert two.data(two.admin, "/admin/session/list")["total"] == 2
    assert two.data(two.admin, f"/admin/thread/detail/{console.pk}") is None
    assert two.data(two.admin, f"/admin/session/detail/{console.session_id}") is None


def test_a_page_of_threads_takes_as_many_queries_as_one_thread(two: Two) -> None:
    two.say(two.alice, ALICES)
    two.data(two.admin, "/admin/thread/list")  # notes that the key was used
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            two.data(two.admin, "/admin/thread/list", limit=1000)
        assert len(queries) == 4  # who asks, which threads, they themselves, how many there are
        assert "charge" not in queries.captured_queries[-1]["sql"]
        for _ in range(4):
            two.say(two.bob, BOBS)


def test_a_page_may_be_longer_than_what_is_read_at_once(two: Two) -> None:
    first = two.say(two.alice, ALICES)
    charge = {field.attname: getattr(first.charge, field.attname) for field in Charge._meta.concrete_fields}
    for name in ("id", "uuid"):
        del charge[name]
    more = Charge.objects.bulk_create(Charge(**{**charge, "request_id": f"req_{number}"}) for number in range(250))
    Thread.objects.bulk_create(Thread(charge=each, api_key=two.alice.key) for each in more)
    found = two.data(two.alice, "/user/thread/list", limit=2000)
    ids = [row["id"] for row in found["items"]]
    assert (found["total"], len(ids), ids) == (251, 251, sorted(ids, reverse=True))


def test_the_whole_list_of_messages_is_in_the_details(two: Two) -> None:
    thread = two.say(two.alice, [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    detail = two.data(two.alice, f"/user/thread/detail/{thread.pk}")
    assert json.loads(detail["prompt"]) == json.loads(detail["whole_prompt"])[0]["content"]
    assert json.loads(detail["prompt"])[1]["text"] == "two"
    assert (detail["session_key"], detail["currency"]) == ("same", "USD")


def test_what_was_cut_is_told_as_a_text(two: Two, settings: Any) -> None:
    settings.HISTORY_MAX_CHARS = 20
    thread = two.say(two.alice, 'a "quoted" text that is far too long')
    row = two.data(two.alice, "/user/thread/list")["items"][0]
    assert json.loads(row["prompt"]) == thread.prompt == 'a "quoted" text that'


def test_without_history_there_are_figures_alone(two: Two, settings: Any) -> None:
    settings.HISTORY = False
    two.say(two.alice, ALICES)
    [row] = two.data(two.alice, "/user/thread/list")["items"]
    assert (row["prompt"], row["completion"], row["tokens_in"]) == ("", "", 3)
    assert two.data(two.alice, "/user/session/list")["items"][0]["title"] == ""


def test_what_is_kept_no_more_is_empty_and_found_by_no_word(two: Two) -> None:
    old, new = two.say(two.alice, ALICES), two.say(two.alice, "a newer question")
    before = two.data(two.alice, f"/user/thread/detail/{old.pk}")
    ThreadBody.objects.filter(thread=old.charge_id).delete()
    after = two.data(two.alice, f"/user/thread/detail/{old.pk}")
    assert after == {**before, "prompt": "", "completion": "", "whole_prompt": ""}
    listed = two.data(two.alice, "/user/thread/list")
    assert [(row["id"], bool(row["prompt"])) for row in listed["items"]] == [(new.pk, True), (old.pk, False)]
    assert [row["id"] for row in two.data(two.alice, "/user/thread/list", q="question")["items"]] == [new.pk]


def test_an_embedding_is_a_thread_as_well(two: Two) -> None:
    thread = two.say(two.alice, ["one", "two"], path="embeddings", session="")
    detail = two.data(two.alice, f"/user/thread/detail/{thread.pk}")
    assert (detail["thread_type"], detail["session_id"], detail["session_key"]) == (0, 0, "")
    assert (json.loads(detail["prompt"]), json.loads(detail["whole_prompt"])) == ("one\ntwo", ["one", "two"])


def test_prices_are_for_a_token_and_fees_have_ten_decimals(two: Two) -> None:
    thread = two.say(two.alice, ALICES)
    detail = two.data(two.alice, f"/user/thread/detail/{thread.pk}")
    assert (detail["price_in"], detail["price_out"], detail["fee"]) == ("0.0000010000", "0.0000020000", "0.0000230000")
    assert two.data(two.alice, "/user/session/list")["items"][0]["total_fee"] == "0.0000230000"
    assert conversations.session_breaks() == []


def test_a_model_that_is_gone_has_no_number(two: Two) -> None:
    thread = two.say(two.alice, ALICES)
    Charge.objects.update(model=None)
    assert two.data(two.alice, f"/user/thread/detail/{thread.pk}")["model_id"] is None


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 20, "1 or 1=1", "\0"])
@pytest.mark.parametrize("name", ["key_id", "session_id"])
def test_what_is_no_number_is_refused(two: Two, name: str, value: str) -> None:
    answer = two.get(two.admin, "/admin/thread/list", **{name: value})
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_no_order_is_taken_from_the_caller(two: Two) -> None:
    two.say(two.alice, ALICES), two.say(two.alice, ALICES)
    for order in ("id-0", "tokens_in desc", "id; drop table chat_thread", "(select 1)"):
        ids = [row["id"] for row in two.data(two.admin, "/admin/thread/list", orderBy=order)["items"]]
        assert ids == sorted(ids, reverse=True)
