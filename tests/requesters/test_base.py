import copy
from collections.abc import Callable
from typing import Any

import pytest

from providers.requesters.base import Answer, Endpoint, RemoteModel, Requester
from providers.requesters.egress import Transport
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Truncated,
    Unavailable,
)
from tests.fakes.openai import FakeOpenAI, vector
from tests.fakes.server import JSON
from tests.requesters.conftest import QUICK

MESSAGES = [{"role": "user", "content": "two words"}]
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]


def body(model: str = "echo", **options: Any) -> JSON:
    return {"model": model, "messages": MESSAGES, **options}


# What works


def test_chat(requester: Requester, openai: FakeOpenAI) -> None:
    answer = requester.chat(body(max_tokens=3))
    assert answer.json["choices"][0]["message"]["content"] == "tok0 tok1 tok2"
    assert answer.json["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    request = openai.seen[0]
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat/completions", body(max_tokens=3))
    assert request.headers["Authorization"] == f"Bearer {openai.key}"
    assert openai.violations == []


def test_nothing_translated_means_upstreams_own_bytes(requester: Requester, openai: FakeOpenAI) -> None:
    sent = b'{ "choices": [],\n  "big": 12345678901234567890123, "escaped": "\\u00e9", "unknown": {"a": [null]} }'
    openai.reply("mine", sent, headers={"Content-Type": "application/json"})
    assert requester.chat(body("mine")).raw == sent


def test_unknown_fields_survive_both_ways(requester: Requester, openai: FakeOpenAI) -> None:
    answer = requester.chat(body(x_new={"deep": [1, None, "é"]}))
    assert openai.seen[0].body["x_new"] == {"deep": [1, None, "é"]}
    assert answer.json["x_fake"] == {"nested": [1, None, "é"]}


def test_complete(requester: Requester, openai: FakeOpenAI) -> None:
    answer = requester.complete({"model": "echo", "prompt": "one two three", "max_tokens": 2})
    assert answer.json["choices"][0]["text"] == "tok0 tok1"
    assert openai.seen[0].path == "/v1/completions"


def test_embed(requester: Requester, openai: FakeOpenAI) -> None:
    answer = requester.embed({"model": "echo", "input": ["one two", "three"]})
    assert [entry["embedding"] for entry in answer.json["data"]] == [vector("one two"), vector("three")]
    assert openai.seen[0].path == "/v1/embeddings"


def test_list_models_and_check(requester: Requester) -> None:
    models = requester.list_models()
    assert models[0].id == "echo"
    assert all(isinstance(model, RemoteModel) for model in models)
    requester.check()


@pytest.mark.parametrize("call", [Requester.chat, Requester.stream])
@pytest.mark.parametrize("options", [{}, {"rename": {"max_tokens": "max_completion_tokens"}, "drop": frozenset("n")}])
def test_the_callers_body_is_never_changed(
    with_options: Callable[..., Requester], call: Callable[..., object], options: JSON
) -> None:
    given = body(max_tokens=3, n=1, stream_options={"x": 1})
    if call is Requester.chat:
        del given["stream_options"]
    kept = copy.deepcopy(given)
    call(with_options(**options), given)
    assert given == kept


def test_quirks_rename_and_drop(with_options: Callable[..., Requester], openai: FakeOpenAI) -> None:
    requester = with_options(rename={"max_tokens": "max_completion_tokens"}, drop=frozenset({"seed"}))
    requester.chat(body(max_tokens=3, seed=1))
    assert openai.seen[0].body == body(max_completion_tokens=3)


def test_an_endpoints_own_headers_win(with_options: Callable[..., Requester], openai: FakeOpenAI) -> None:
    with_options(headers={"X-Team": "red", "User-Agent": "mine"}).chat(body())
    assert (openai.seen[0].headers["X-Team"], openai.seen[0].headers["User-Agent"]) == ("red", "mine")


def test_no_key_sends_no_authorization(with_options: Callable[..., Requester], openai: FakeOpenAI) -> None:
    with pytest.raises(AuthFailed):
        with_options(api_key="").chat(body())
    assert "Authorization" not in openai.seen[0].headers


def test_a_slash_at_the_end_of_the_base_url_does_no_harm(
    with_options: Callable[..., Requester], openai: FakeOpenAI
) -> None:
    assert with_options(base_url=f"{openai.base_url}/").chat(body()).json["object"] == "chat.completion"


def test_the_key_does_not_show_in_a_repr() -> None:
    endpoint = Endpoint("https://api.vendor.example", "sk-canary", headers={"api-key": "canary-too"})
    assert "canary" not in repr(endpoint)


# What does not

STATUSES: list[tuple[str, type[ProviderError], int]] = [
    ("401", AuthFailed, 401),
    ("404", ModelNotFound, 404),
    ("429", RateLimited, 429),
    ("500", Unavailable, 500),
    ("503", Overloaded, 503),
]


@pytest.mark.parametrize("call", [Requester.chat, Requester.stream])
@pytest.mark.parametrize(("model", "expected", "status"), STATUSES)
def test_statuses_become_errors(
    requester: Requester, openai: FakeOpenAI, call: Callable[..., Any], model: str, expected: type, status: int
) -> None:
    with pytest.raises(ProviderError) as caught:
        call(requester, body(model))
    assert type(caught.value) is expected
    assert caught.value.upstream_status == status
    assert caught.value.retryable
    assert openai.key not in str(caught.value)


def test_retry_after_and_code_are_kept(requester: Requester) -> None:
    with pytest.raises(RateLimited) as caught:
        requester.chat(body("429"))
    assert (caught.value.retry_after, caught.value.upstream_code) == (7.0, "insufficient_quota")


def test_the_connection_survives_an_error(requester: Requester, openai: FakeOpenAI) -> None:
    for model in ("429", "500", "echo"):
        try:
            requester.chat(body(model))
        except ProviderError:
            continue
    assert openai.connections == 1


def test_the_callers_mistake_keeps_upstreams_words(requester: Requester) -> None:
    with pytest.raises(BadRequest, match="'temperature' must be between 0 and 2") as caught:
        requester.chat(body(temperature=3))
    assert (caught.value.status, caught.value.param, caught.value.retryable) == (400, "temperature", False)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("cut-body", Truncated),
        ("garbage", BadAnswer),
        ("html", BadAnswer),
        ("hang", Timeout),
        ("hang-midstream", Timeout),
    ],
)
def test_unusable_answers(with_options: Callable[..., Requester], model: str, expected: type[ProviderError]) -> None:
    with pytest.raises(expected) as caught:
        with_options(timeouts=QUICK).chat(body(model))
    assert caught.value.retryable


@pytest.mark.parametrize("answer", [b"[]", b'"text"', b"null", b"", b"{", b"\xff\xfe"])
def test_only_a_json_object_is_an_answer(requester: Requester, openai: FakeOpenAI, answer: bytes) -> None:
    openai.reply("mine", answer, headers={"Content-Type": "application/json"})
    with pytest.raises(BadAnswer, match="JSON"):
        requester.chat(body("mine"))


def test_an_error_inside_a_200_is_an_error(requester: Requester, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {"error": {"message": "no credits", "code": 402}})
    with pytest.raises(RateLimited, match="no credits"):
        requester.chat(body("mine"))


def test_an_error_that_is_null_is_none(requester: Requester, openai: FakeOpenAI) -> None:
    openai.reply_json("mine", {"error": None, "choices": []})
    assert isinstance(requester.chat(body("mine")), Answer)


@pytest.mark.parametrize("payload", [{}, {"data": None}, {"data": "x"}])
def test_a_list_of_models_without_models_is_a_bad_answer(transport: Transport, payload: JSON) -> None:
    class Odd(Requester):
        def _get(self, path: str) -> JSON:
            return payload

    with pytest.raises(BadAnswer):
        Odd(Endpoint("http://x", ""), transport).check()
