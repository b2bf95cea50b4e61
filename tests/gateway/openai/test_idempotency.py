"""Idempotency-Key on every POST that costs: the same again is answered again, and charged once."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from accounts.models import Charge
from accounts.services import codes, keys
from accounts.services.ledger.audit import audit
from chat.models import IdempotentCall
from chat.services import idempotency, repeatable
from providers.models import OnDisconnect
from tests import factories
from tests.fakes.kinds import FakeKinds
from tests.gateway.openai.conftest import Api, last_charge

HELLO = [{"role": "user", "content": "hi"}]
SAME = ("content-type", "x-request-id", "x-weighbridge-cost", "x-weighbridge-route")


def ask(api: Api, key: str = "one", model: str = "echo", path: str = "chat/completions", **fields: Any) -> Any:
    body = {"model": model, "messages": HELLO, "max_tokens": 3, **fields}
    return api.post(path, body, **{"idempotency-key": key})


def told(answer: Any) -> dict[str, str]:
    return {name: answer[name] for name in SAME if answer.has_header(name)}


@pytest.fixture(autouse=True)
def _the_books_are_right(database: None) -> Iterator[None]:
    yield
    assert audit() == []
    assert idempotency.breaks() == []


def test_the_same_again_is_the_first_answer_and_costs_nothing_more(api: Api) -> None:
    first, again = ask(api), ask(api)
    assert (again.status_code, again.content) == (200, first.content)
    assert told(again) == told(first)
    assert len(told(again)) == len(SAME)
    assert again["idempotent-replayed"] == "true"
    assert not first.has_header("idempotent-replayed")
    assert (Charge.objects.count(), len(api.upstream.seen)) == (1, 1)


def test_a_stream_is_replayed_with_the_same_events(api: Api) -> None:
    first = ask(api, stream=True, max_tokens=10)
    said = first.getvalue()
    again = ask(api, stream=True, max_tokens=10)
    assert said.count(b"tok") == 10
    assert again.getvalue() == said
    assert again["content-type"] == first["content-type"]
    assert again["x-request-id"] == first["x-request-id"] == last_charge().request_id
    assert again["x-weighbridge-cost"] == f"{last_charge().fee.normalize():f}"
    assert (Charge.objects.count(), len(api.upstream.seen)) == (1, 1)


def test_a_stream_keeps_the_usage_that_its_caller_asked_for_and_no_other(api: Api) -> None:
    for number, options in enumerate(({"include_usage": True}, {})):
        answers = [ask(api, str(number), stream=True, stream_options=options).getvalue() for _ in range(2)]
        assert answers[0] == answers[1]
        assert (b'"usage"' in answers[0]) == bool(options)


def test_another_request_under_the_same_key_is_a_422(api: Api) -> None:
    ask(api)
    for other in (ask(api, max_tokens=4), ask(api, path="completions", prompt="hi"), ask(api, stream=True)):
        assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(api.upstream.seen) == 1


def test_another_key_or_another_caller_is_another_call(api: Api) -> None:
    bob = factories.key()
    ask(api)
    ask(api, "two")
    body = {"model": "echo", "messages": HELLO, "max_tokens": 3}
    his = api.post("chat/completions", body, bob.secret, **{"idempotency-key": "one"})
    assert not his.has_header("idempotent-replayed")
    assert Charge.objects.count() == 3


@pytest.mark.parametrize("key", ["", "with space", "a" * 256, "é", "tab\t"])
def test_a_key_is_visible_ascii_of_some_length(api: Api, key: str) -> None:
    answer = ask(api, key)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert not Charge.objects.exists()


def test_a_key_of_255_characters_is_one(api: Api) -> None:
    assert [ask(api, "~" * 255).has_header("idempotent-replayed") for _ in range(2)] == [False, True]


def test_a_running_call_is_a_409_that_says_when_to_come_back(api: Api) -> None:
    first = ask(api, stream=True)
    again = ask(api, stream=True)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_in_progress")
    assert again["retry-after"] == "1"
    assert b"[DONE]" in first.getvalue()
    assert ask(api, stream=True)["idempotent-replayed"] == "true"


def test_a_call_that_is_not_yet_admitted_runs_as_well(api: Api) -> None:
    ask(api)
    IdempotentCall.objects.update(status=None, body=None, request_id="req_of_nobody")
    assert ask(api).status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "nobody"}, 404),
        ({"model": "401"}, 502),
        ({"model": "429"}, 429),
        ({"model": "500"}, 502),
        ({"model": "cut-body"}, 502),
        ({"model": "garbage"}, 502),
        ({"max_tokens": -1}, 400),
        ({"temperature": 9}, 400),
        ({"model": "cut", "stream": True}, 200),
        ({"model": "error-in-stream", "stream": True}, 200),
        ({"model": "500", "stream": True}, 502),
    ],
)
def test_what_failed_is_tried_again(api: Api, fields: dict[str, Any], status: int) -> None:
    for _ in range(2):
        answer = ask(api, **fields)
        assert (answer.status_code, answer.has_header("idempotent-replayed")) == (status, False), answer.getvalue()
        assert b'"error"' in answer.getvalue()
        assert not IdempotentCall.objects.exists()


def test_a_refusal_for_money_is_tried_again(api: Api) -> None:
    poor = factories.key(month_quota=0)
    body = {"model": "echo", "messages": HELLO, "max_tokens": 3}
    asked = ("chat/completions", body, poor.secret)
    assert api.post(*asked, **{"idempotency-key": "one"}).status_code == 429
    poor.key.month_quota = 100
    poor.key.save()
    assert api.post(*asked, **{"idempotency-key": "one"}).status_code == 200


def test_embeddings_do_not_stream_under_a_key_either(api: Api) -> None:
    for _ in range(2):
        assert ask(api, model="vectors", path="embeddings", input="hi", stream=True).status_code == 400
    assert not IdempotentCall.objects.exists()


def test_a_stream_that_its_caller_left_is_called_anew(api: Api) -> None:
    left = ask(api, stream=True)
    next(iter(left.streaming_content))
    left.close()
    assert last_charge().outcome == "client_closed"
    assert not ask(api, stream=True).has_header("idempotent-replayed")
    assert Charge.objects.count() == 2


def test_a_stream_that_is_read_to_its_end_for_nobody_is_answered_again(api: Api) -> None:
    provider = factories.provider(api.upstream, on_disconnect=OnDisconnect.DRAIN)
    factories.model(provider, "drained", upstream_name="slow")
    left = ask(api, model="drained", stream=True)
    next(iter(left.streaming_content))
    left.close()
    while (again := ask(api, model="drained", stream=True)).status_code == 409:
        time.sleep(0.05)
    assert again["idempotent-replayed"] == "true"
    assert again.getvalue().count(b"tok") == 3
    assert (Charge.objects.count(), last_charge().outcome) == (1, "client_closed")


def test_a_revoked_key_gets_no_answer_again(api: Api) -> None:
    ask(api)
    keys.revoke(key=api.alice.key)
    assert ask(api).status_code == 401


def test_an_answer_that_is_too_large_is_not_kept_and_not_charged_twice(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeatable, "MOST_BYTES", 10)
    for stream in (False, True):
        assert b"tok2" in ask(api, str(stream), stream=stream).getvalue()
        again = ask(api, str(stream), stream=stream)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_answer_not_kept")
        assert again["x-should-retry"] == "false"
    assert len(api.upstream.seen) == 2


def test_without_history_an_answer_is_kept_all_the_same(api: Api, settings: Any) -> None:
    settings.HISTORY = False
    assert [ask(api).has_header("idempotent-replayed") for _ in range(2)] == [False, True]


def test_a_call_without_the_header_asks_the_database_nothing(api: Api, django_assert_num_queries: Any) -> None:
    api.chat()
    with django_assert_num_queries(0):  # the ledger has a connection of its own
        api.chat()
    with django_assert_num_queries(2 if connection.vendor == "sqlite" else 1):  # how long it waits for the lock
        ask(api)


class TestKinds:
    @pytest.fixture
    def kinds(self, api: Api) -> Iterator[FakeKinds]:
        with FakeKinds() as fake:
            provider = factories.provider(fake)
            for kind in ("embedding", "rerank", "image", "speech", "transcription", "moderation"):
                factories.model(provider, f"a {kind}", upstream_name="echo", kind=kind)
            yield fake

    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("completions", {"model": "echo", "prompt": "hi"}),
            ("embeddings", {"model": "a embedding", "input": "hi"}),
            ("rerank", {"model": "a rerank", "query": "hi", "documents": ["a", "b"]}),
            ("images/generations", {"model": "a image", "prompt": "hi"}),
            ("audio/speech", {"model": "a speech", "input": "hi", "voice": "alloy"}),
            ("moderations", {"model": "a moderation", "input": "hi"}),
        ],
    )
    def test_each_kind_is_answered_again(self, api: Api, kinds: FakeKinds, path: str, fields: Any) -> None:
        first, again = (api.post(path, fields, **{"idempotency-key": "one"}) for _ in range(2))
        assert first.status_code == 200, first.getvalue()
        assert again["idempotent-replayed"] == "true"
        assert (again.getvalue(), told(again)) == (first.getvalue(), told(first))
        assert Charge.objects.count() == 1
        assert api.post(path, {**fields, "user": "x"}, **{"idempotency-key": "one"}).status_code == 422

    def hear(self, client: Client, api: Api, sound: bytes, **fields: str) -> Any:
        file = SimpleUploadedFile("a.wav", b"RIFF\x24\x00\x00\x00WAVE" + sound, "audio/wav")
        headers = {"authorization": f"Bearer {api.alice.secret}", "idempotency-key": "one"}
        form = {"model": "a transcription", "file": file, **fields}
        return client.post("/v1/audio/transcriptions", form, headers=headers)

    def test_a_form_is_told_by_what_it_says(self, client: Client, api: Api, kinds: FakeKinds) -> None:
        first, again = (self.hear(client, api, b"x", response_format="srt") for _ in range(2))
        assert first.status_code == 200, first.content
        assert (again.content, again["idempotent-replayed"]) == (first.content, "true")
        assert again["content-type"] == first["content-type"]
        assert self.hear(client, api, b"y", response_format="srt").status_code == 422
        assert self.hear(client, api, b"x", response_format="vtt").status_code == 422
        assert Charge.objects.count() == 1


def test_who_is_let_in_too_late_gives_the_key_back_and_sends_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeatable, "ADMITTED_WITHIN_SECONDS", -1)
    answer = ask(api)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert (last_charge().state, api.upstream.seen) == ("released", [])
    assert not IdempotentCall.objects.exists()


def test_a_code_is_redeemed_once_and_says_so_again(api: Api) -> None:
    rich, (code, other) = factories.key(month_quota=0), codes.make(amount=Decimal(5), count=2, batch="x")
    first, again = (api.post("redeem", {"code": code}, rich.secret, **{"idempotency-key": "one"}) for _ in range(2))
    assert (first.status_code, again.getvalue()) == (200, first.getvalue())
    assert (again["idempotent-replayed"], again["x-request-id"]) == ("true", first["x-request-id"])
    reused = api.post("redeem", {"code": other}, rich.secret, **{"idempotency-key": "one"})
    assert reused.status_code == 422
    refused = [api.post("redeem", {"code": code}, rich.secret, **{"idempotency-key": "two"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [400, 400]
    rich.key.refresh_from_db()
    assert (rich.key.balance, IdempotentCall.objects.count()) == (5, 1)
