"""Ollama's own API, both ways."""

import struct
from base64 import b64decode
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    Truncated,
    Unavailable,
)
from providers.requesters.ollama import OllamaRequester
from providers.requesters.ollama_answer import read_lines
from providers.requesters.usage import Usage
from tests.fakes.ollama import FakeOllama
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import line, load, replay
from tests.requesters.test_gemini_random import conversation, in_one_piece, put_together
from tests.requesters.test_gemini_request import PNG, TOOLS, assistant, call, result, user

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeOllama) -> FakeOllama:
    server.forget()
    return server


@pytest.fixture
def ollama(fake: FakeOllama, transport: Transport) -> OllamaRequester:
    return OllamaRequester(Endpoint(fake.base_url, "", PATIENT), transport)


@pytest.mark.parametrize("exchange", load("ollama"))
def test_recorded_exchanges(transport: Transport, exchange: JSON) -> None:
    def requester_at(origin: str, config: JSON) -> OllamaRequester:
        return OllamaRequester(Endpoint(origin, "", PATIENT, config=config), transport)

    assert replay(exchange, requester_at, line, "application/x-ndjson") == []


def body(*messages: JSON, model: str = "echo", **options: Any) -> JSON:
    return {"model": model, "messages": list(messages) or [user()], **options}


def sent(ollama: OllamaRequester, fake: FakeOllama, asked: JSON) -> JSON:
    ollama.chat(asked)
    assert fake.violations == []
    built = fake.seen[-1].body
    assert isinstance(built, dict)
    return built


# Requests


def test_parameters_become_options(ollama: OllamaRequester, fake: FakeOllama) -> None:
    options = {
        "max_tokens": 7,
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }
    expected = {name: value for name, value in options.items() if "max" not in name}
    assert sent(ollama, fake, body(**options, stop="END"))["options"] == {**expected, "num_predict": 9, "stop": ["END"]}
    assert ollama.unsupported(body(**options, stop="END")) == []


def test_a_whole_answer_is_asked_for_in_so_many_words(ollama: OllamaRequester, fake: FakeOllama) -> None:
    assert sent(ollama, fake, body()) == {
        "model": "echo",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }


@pytest.mark.parametrize(("given", "expected"), [("10m", "10m"), ("-1", -1), ("300", 300), ("", None)])
def test_settings_go_with_each_call(
    fake: FakeOllama, transport: Transport, given: str, expected: str | int | None
) -> None:
    config = {"keep_alive": given, "num_ctx": 8192}
    ollama = OllamaRequester(Endpoint(fake.base_url, "", PATIENT, config=config), transport)
    ollama.chat(body(temperature=1))
    ollama.embed({"model": "echo", "input": "x"})
    list(ollama.stream_completion({"model": "echo", "prompt": "x"}))
    assert [request.body.get("keep_alive") for request in fake.seen] == [expected] * 3
    assert [request.body["options"]["num_ctx"] for request in fake.seen] == [8192] * 3
    assert fake.violations == []


def test_messages(ollama: OllamaRequester, fake: FakeOllama) -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "text", "text": "b"},
    ]
    messages = [
        {"role": "developer", "content": "be brief"},
        user(parts),
        assistant(call("c1"), content="hm", reasoning_content="why?"),
        result("c1", "found"),
    ]
    assert sent(ollama, fake, body(*messages, tools=TOOLS))["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a\nb", "images": ["iVBORw0KGgo="]},
        {
            "role": "assistant",
            "content": "hm",
            "thinking": "why?",
            "tool_calls": [{"id": "c1", "function": {"name": "find", "arguments": {"query": "tok"}}}],
        },
        {"role": "tool", "content": "found", "tool_name": "find", "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["x"],
        [{"role": "robot", "content": "x"}],
        [user({"type": "text"})],
        [user([{"type": "hologram"}])],
        [user([{"type": "image_url"}])],
        [user([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])],
        [user(), assistant({"id": "c1"})],
        [user(), assistant(call(arguments="[1]"))],
        [user(), assistant(call(arguments="{"))],
        [user(), assistant(call()), result("another")],
    ],
)
def test_malformed_messages_are_the_caller_s_mistake(
    ollama: OllamaRequester, fake: FakeOllama, messages: list[Any]
) -> None:
    with pytest.raises(BadRequest):
        ollama.chat({"model": "echo", "messages": messages})
    assert fake.seen == []


@pytest.mark.parametrize(
    "options",
    [
        {"n": 2},
        {"reasoning_effort": "enormous"},
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
    ],
)
def test_malformed_parameters_are_the_caller_s_mistake(
    ollama: OllamaRequester, fake: FakeOllama, options: JSON
) -> None:
    with pytest.raises(BadRequest):
        ollama.chat(body(**options))
    assert fake.seen == []


@pytest.mark.parametrize(
    ("effort", "think"), [("none", False), ("minimal", "low"), ("medium", "medium"), ("xhigh", "high")]
)
def test_an_effort_is_a_level_of_thinking(
    ollama: OllamaRequester, fake: FakeOllama, effort: str, think: bool | str
) -> None:
    assert sent(ollama, fake, body(reasoning_effort=effort))["think"] == think


def test_formats(ollama: OllamaRequester, fake: FakeOllama) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert sent(ollama, fake, body(response_format=wanted))["format"] == schema
    assert sent(ollama, fake, body(response_format={"type": "json_object"}))["format"] == "json"
    assert "format" not in sent(ollama, fake, body(response_format={"type": "text"}))


def test_a_model_that_may_not_call_gets_no_tools(ollama: OllamaRequester, fake: FakeOllama) -> None:
    assert sent(ollama, fake, body(tools=TOOLS, tool_choice="auto"))["tools"] == TOOLS
    assert "tools" not in sent(ollama, fake, body(tools=TOOLS, tool_choice="none"))


def test_what_ollama_has_no_place_for_is_named(ollama: OllamaRequester, fake: FakeOllama) -> None:
    asked = body(tools=TOOLS, tool_choice="required", parallel_tool_calls=False, logit_bias={"1": 2}, store=False)
    assert ollama.unsupported(asked) == ["logit_bias", "tool_choice", "parallel_tool_calls"]
    assert sent(ollama, fake, asked).keys() == {"model", "messages", "stream", "tools"}
    assert ollama.unsupported({"model": "m", "prompt": "x", "suffix": "y", "echo": True}) == ["suffix", "echo"]
    assert ollama.unsupported({"model": "m", "input": "x", "user": "me"}) == ["user"]


@pytest.mark.parametrize("base_url", ["http://o.test", "http://o.test/", "http://o.test/v1", "http://o.test/api/"])
def test_the_address_may_be_that_of_either_layer(transport: Transport, base_url: str) -> None:
    assert OllamaRequester(Endpoint(base_url, ""), transport).url("chat", {}) == "http://o.test/api/chat"


def test_a_key_goes_along_where_there_is_one(fake: FakeOllama, transport: Transport) -> None:
    for key in ("", fake.key):
        OllamaRequester(Endpoint(fake.base_url, key, PATIENT), transport).chat(body())
    assert [request.headers.get("Authorization") for request in fake.seen] == [None, f"Bearer {fake.key}"]


# Answers


def test_a_whole_answer(ollama: OllamaRequester) -> None:
    answer = ollama.chat(body(user("use tool"), tools=TOOLS, reasoning_effort="low")).json
    [choice] = answer["choices"]
    message = choice["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello from the fake", "Let me think.")
    assert [each["id"] for each in message["tool_calls"]] == ["call_0", "call_1"]
    assert message["tool_calls"][1]["function"] == {"name": "count", "arguments": '{"query":"tok","limit":4}'}
    assert choice["finish_reason"] == "tool_calls"
    assert Usage.from_openai(answer["usage"]) == Usage(11, 0, 0, 23, 0)


def test_calls_without_ids_get_some(ollama: OllamaRequester) -> None:
    answer = ollama.chat(body(user("use tool"), tools=TOOLS, model="no-ids")).json
    ids = [each["id"] for each in answer["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") for each in ids)


def test_a_limit_is_a_length(ollama: OllamaRequester) -> None:
    assert ollama.chat(body(model="length")).json["choices"][0]["finish_reason"] == "length"


def test_no_usage_is_claimed_where_none_was_counted(ollama: OllamaRequester) -> None:
    assert "usage" not in ollama.chat(body(model="no-usage")).json
    assert all("usage" not in event.json for event in ollama.stream(body(model="no-usage")))


def test_log_probabilities(ollama: OllamaRequester, fake: FakeOllama) -> None:
    asked = body(logprobs=True, top_logprobs=1)
    [token] = ollama.chat(asked).json["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"]) == ("Hello", -0.25)
    assert token["top_logprobs"] == [{"token": "Hi", "logprob": -2.5}]
    streamed = [c["logprobs"] for event in ollama.stream(asked) for c in event.json["choices"] if "logprobs" in c]
    assert streamed == [{"content": [token], "refusal": None}]
    assert fake.violations == []


def test_a_completion_whole_and_streamed(ollama: OllamaRequester, fake: FakeOllama) -> None:
    asked = {"model": "echo", "prompt": "Once", "max_tokens": 5}
    answer = ollama.complete(asked).json
    events = [event.json for event in ollama.stream_completion(asked)]
    assert answer["object"] == events[0]["object"] == "text_completion"
    assert answer["choices"][0]["text"] == "Hello from the fake"
    assert "".join(choice["text"] for event in events for choice in event["choices"]) == "Hello from the fake"
    assert events[-2]["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["usage"] == answer["usage"]
    assert [request.body["raw"] for request in fake.seen] == [True, True]
    assert fake.violations == []


@pytest.mark.parametrize("prompt", [None, "", ["a", "b"], [1, 2]])
def test_a_completion_takes_one_text(ollama: OllamaRequester, prompt: Any) -> None:
    with pytest.raises(BadRequest):
        ollama.complete({"model": "echo", "prompt": prompt})


def test_embeddings_as_numbers_and_packed(ollama: OllamaRequester, fake: FakeOllama) -> None:
    asked = {"model": "echo", "input": ["a", "bb"], "dimensions": 2}
    answer = ollama.embed(asked).json
    assert [entry["embedding"] for entry in answer["data"]] == [[1.0, 0.5], [2.0, 0.5]]
    assert answer["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    packed = ollama.embed({**asked, "encoding_format": "base64"}).json["data"]
    assert [struct.unpack("<2f", b64decode(entry["embedding"])) for entry in packed] == [(1.0, 0.5), (2.0, 0.5)]
    assert fake.violations == []


@pytest.mark.parametrize("given", [None, "", [], [""], [1, 2], [[1, 2]]])
def test_embeddings_take_texts_only(ollama: OllamaRequester, given: Any) -> None:
    with pytest.raises(BadRequest):
        ollama.embed({"model": "echo", "input": given})


def test_models_are_listed_with_their_size(ollama: OllamaRequester) -> None:
    models = ollama.list_models()
    assert [(model.id, model.label) for model in models] == [
        ("echo", "8B"),
        ("qwen3:8b", "8B"),
        ("llama3.2:latest", "8B"),
    ]
    assert models[0].raw["details"]["format"] == "gguf"


@pytest.mark.parametrize("seed", range(4))
def test_random_conversations_are_accepted_and_their_streams_are_the_whole_answer(
    ollama: OllamaRequester, fake: FakeOllama, seed: int
) -> None:
    random = Random(seed)
    for number in range(100):
        asked = {**conversation(random, has_files=False), "model": "echo", "n": 1}
        whole = ollama.chat(asked).json
        events = [event.json for event in ollama.stream(asked)]
        assert fake.violations == [], f"seed {seed}, round {number}"
        assert put_together(events) == in_one_piece(whole), f"seed {seed}, round {number}"


# What fails


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("nope", ModelNotFound),
        ("500", Unavailable),
        ("503", Overloaded),
        ("too-long", ContextTooLong),
        ("no-tools", BadRequest),
    ],
)
def test_refusals_have_their_names_whole_and_streamed(
    ollama: OllamaRequester, model: str, kind: type[ProviderError]
) -> None:
    for ask in (ollama.chat, ollama.stream):
        with pytest.raises(ProviderError) as caught:
            ask(body(model=model, tools=TOOLS))
        assert type(caught.value) is kind


def test_a_wrong_key_is_the_deployment_s_trouble(fake: FakeOllama, transport: Transport) -> None:
    with pytest.raises(AuthFailed):
        OllamaRequester(Endpoint(fake.base_url, "sk-wrong-key", PATIENT), transport).chat(body())


@pytest.mark.parametrize("model", ["cut", "cut-line"])
def test_a_stream_cut_midway_is_truncated(ollama: OllamaRequester, model: str) -> None:
    events = []
    with pytest.raises(Truncated):
        for event in ollama.stream(body(model=model)):
            events.append(event.json)
    assert len(events) == 5
    assert not any(choice["finish_reason"] for event in events for choice in event["choices"])


def test_an_error_in_the_stream_is_an_error(ollama: OllamaRequester) -> None:
    with pytest.raises(Unavailable, match="an error was encountered"):
        list(ollama.stream(body(model="error-in-stream")))


@pytest.mark.parametrize(
    "payload", [{}, {"message": "x", "done": True}, {"message": {}}, {"message": {"tool_calls": ["x"]}, "done": True}]
)
def test_an_answer_of_another_form_is_a_bad_answer(ollama: OllamaRequester, fake: FakeOllama, payload: JSON) -> None:
    fake.reply_json("mine", payload)
    with pytest.raises(BadAnswer):
        ollama.chat(body(model="mine"))


@pytest.mark.parametrize("data", [b"[]\n", b'{"message": "x"}\n', b'{"message": {"tool_calls": [1]}}\n'])
def test_a_line_of_another_form_is_a_bad_answer(ollama: OllamaRequester, fake: FakeOllama, data: bytes) -> None:
    fake.reply("mine", data, framing="chunked", headers=NDJSON)
    with pytest.raises(BadAnswer):
        list(ollama.stream(body(model="mine")))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_come_out_whole_however_they_were_cut(size: int) -> None:
    data = '{"a": "ä\\n"}\n\n{"b": 2}\r\n{"c": 3}'.encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert [event.json for event in read_lines(chunks)] == [{"a": "ä\n"}, {"b": 2}, {"c": 3}]


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    with pytest.raises(BadAnswer, match="larger than"):
        list(read_lines(b"x" * 1024 * 1024 for _ in range(20)))
