"""From OpenAI's messages to Converse's turns."""

import base64
import json
from typing import Any

import pytest

from providers.requesters.bedrock import BedrockRequester
from providers.requesters.bedrock_messages import PLACEHOLDER
from providers.requesters.egress import Transport
from providers.requesters.errors import BadRequest
from tests.fakes.aws import DEEPSEEK, FakeAws
from tests.fakes.server import JSON
from tests.requesters.test_bedrock_request import (
    CACHE,
    TOOLS,
    assistant,
    bedrock,
    body,
    call,
    fake,
    result,
    sent,
    server,
    turns,
    user,
    with_config,
)

__all__ = ["bedrock", "fake", "server"]  # fixtures

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
POINT = {"cachePoint": {"type": "default"}}
DOT = {"text": "."}


def test_a_plain_question_is_nothing_but_itself(bedrock: BedrockRequester, fake: FakeAws) -> None:
    assert sent(bedrock, fake, body()) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def test_the_system_prompt_is_taken_out_wherever_it_stood(bedrock: BedrockRequester, fake: FakeAws) -> None:
    asked = body({"role": "system", "content": "a"}, user(), {"role": "developer", "content": " "}, user("b"))
    got = sent(bedrock, fake, {**asked, "messages": [*asked["messages"], {"role": "system", "content": "c"}]})
    assert got["system"] == [{"text": "a"}, {"text": "c"}]
    assert [turn["role"] for turn in got["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("blank", ["", " \n", None, [], [{"type": "text", "text": ""}]])
def test_blank_turns_say_a_dot(bedrock: BedrockRequester, fake: FakeAws, blank: Any) -> None:
    got = turns(bedrock, fake, user(blank), assistant(content=blank), user("go"))
    assert got == [("user", [DOT]), ("assistant", [DOT]), ("user", [{"text": "go"}])]


def test_neighbours_get_a_filler_between_them(bedrock: BedrockRequester, fake: FakeAws) -> None:
    got = turns(bedrock, fake, assistant(content="a"), assistant(content="b"), user("c"), user("d"))
    texts = [(role, blocks[0]["text"]) for role, blocks in got]
    assert texts == [
        ("user", "."),
        ("assistant", "a"),
        ("user", "."),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "."),
        ("user", "d"),
    ]


def test_a_conversation_that_the_assistant_ends_is_gone_on_with(bedrock: BedrockRequester, fake: FakeAws) -> None:
    assert turns(bedrock, fake, user(), assistant(content="Once"))[-1] == ("user", [{"text": PLACEHOLDER}])


def test_calls_and_their_results_stand_in_two_turns(bedrock: BedrockRequester, fake: FakeAws) -> None:
    history = [
        user(),
        assistant(call("c1", arguments='{"a": 1}'), call("c2", "count", ""), content="Let me see"),
        result("c1"),
        result("c2", [{"type": "text", "text": "3"}, {"type": "image_url", "image_url": {"url": PNG}}]),
    ]
    got = turns(bedrock, fake, *history, tools=TOOLS)
    assert got[1][1] == [
        {"text": "Let me see"},
        {"toolUse": {"toolUseId": "c1", "name": "find", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "count", "input": {}}},
    ]
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    assert got[2:] == [
        (
            "user",
            [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "found"}]}},
                {"toolResult": {"toolUseId": "c2", "content": [{"text": "3"}, image]}},
            ],
        )
    ]


def test_words_after_results_come_in_a_turn_of_their_own(bedrock: BedrockRequester, fake: FakeAws) -> None:
    got = turns(bedrock, fake, user(), assistant(call("c1")), result("c1", ""), user("and?"), tools=TOOLS)
    assert got[2:] == [
        ("user", [{"toolResult": {"toolUseId": "c1", "content": [DOT]}}]),
        ("assistant", [DOT]),
        ("user", [{"text": "and?"}]),
    ]


def test_ids_of_other_vendors_are_made_to_fit(bedrock: BedrockRequester, fake: FakeAws) -> None:
    got = turns(bedrock, fake, user(), assistant(call("c/" + "x" * 80)), result("c/" + "x" * 80), tools=TOOLS)
    made = got[1][1][0]["toolUse"]["toolUseId"]
    assert made == got[2][1][0]["toolResult"]["toolUseId"]
    assert made.startswith("call_") and len(made) < 64


def test_signed_thoughts_go_back_before_the_call(bedrock: BedrockRequester, fake: FakeAws) -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "aGlkZGVu"},
        {"type": "thinking", "thinking": "of another vendor"},
    ]
    history = [user(), assistant(call("c1"), thinking_blocks=blocks, reasoning_content="hm"), result("c1")]
    got = turns(bedrock, fake, *history, tools=TOOLS, reasoning_effort="low")
    assert got[1][1][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
    ]
    assert len(got[1][1]) == 3
    assert "reasoningContent" not in json.dumps(turns(bedrock, fake, *history, tools=TOOLS, model=DEEPSEEK))


# Files


def test_images_of_all_types(bedrock: BedrockRequester, fake: FakeAws) -> None:
    urls = [PNG.replace("png", kind) for kind in ("png", "jpeg", "jpg", "gif", "webp")]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    [(_, blocks)] = turns(bedrock, fake, user(parts))
    assert [block["image"]["format"] for block in blocks] == ["png", "jpeg", "jpeg", "gif", "webp"]


def test_addresses_are_not_fetched(bedrock: BedrockRequester, fake: FakeAws) -> None:
    for part in (
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": "http://example.com/cat.png"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"}},
    ):
        with pytest.raises(BadRequest, match="does not fetch addresses, and neither does the gateway"):
            bedrock.chat(body(user([part])))
    assert fake.seen == []


def test_documents_have_plain_names_that_differ_and_words_beside_them(bedrock: BedrockRequester, fake: FakeAws) -> None:
    part = {"type": "file", "file": {"filename": "Über__den Fluß (1).pdf", "file_data": PDF}}
    [(_, blocks)] = turns(bedrock, fake, user([part, part]))
    assert blocks == [
        {"document": {"format": "pdf", "name": "ber den Flu (1)", "source": {"bytes": "JVBERi0="}}},
        {"document": {"format": "pdf", "name": "ber den Flu (1) 2", "source": {"bytes": "JVBERi0="}}},
        DOT,
    ]


@pytest.mark.parametrize(
    ("filename", "kind", "expected"),
    [
        ("", "text/markdown", ("md", "document")),
        ("a.docx", "application/octet-stream", ("docx", "a")),
        ("list.CSV", "application/x-unknown", ("csv", "list CSV")),
        ("x", "text/plain;charset=utf-8", ("txt", "x")),
    ],
)
def test_a_document_s_type_is_told_by_its_uri_or_its_name(
    bedrock: BedrockRequester, fake: FakeAws, filename: str, kind: str, expected: tuple[str, str]
) -> None:
    file = {"filename": filename, "file_data": f"data:{kind};base64,eA=="}
    [(_, [block, _dot])] = turns(bedrock, fake, user([{"type": "file", "file": file}]))
    assert (block["document"]["format"], block["document"]["name"]) == expected


@pytest.mark.parametrize("as_object", [True, False])
def test_brconnector_s_documents(bedrock: BedrockRequester, fake: FakeAws, as_object: bool) -> None:
    data = b"%PDF-1.7 and more than ten bytes"
    values = {str(index): value for index, value in enumerate(data)} if as_object else list(data)
    doc = {"name": "report.pdf", "format": "pdf", "size": len(data), "source": {"bytes": values}}
    [(_, blocks)] = turns(bedrock, fake, user([{"type": "text", "text": "read"}, {"type": "doc", "doc": doc}]))
    encoded = base64.b64encode(data).decode()
    assert blocks[1] == {"document": {"format": "pdf", "name": "report", "source": {"bytes": encoded}}}


@pytest.mark.parametrize("values", [[256], [-1], {"a": 1}, {"0": "x"}])
def test_brconnector_s_documents_hold_bytes_only(bedrock: BedrockRequester, values: Any) -> None:
    doc = {"name": "x", "format": "pdf", "source": {"bytes": values}}
    with pytest.raises(BadRequest):
        bedrock.chat(body(user([{"type": "doc", "doc": doc}])))


# Caches


def test_the_caller_s_cache_marks_become_points(bedrock: BedrockRequester, fake: FakeAws) -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    asked = body(
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": hour}]},
        user("a", cache_control=CACHE),
        assistant(call("c1"), call("c2")),
        result("c1", cache_control=CACHE),
        result("c2"),
        tools=[{**TOOLS[0], "cache_control": CACHE}, TOOLS[1]],
    )
    got = sent(bedrock, fake, asked)
    assert got["system"] == [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert got["messages"][0]["content"] == [{"text": "a"}, POINT]
    assert [list(block) for block in got["messages"][2]["content"]] == [["toolResult"], ["toolResult"], ["cachePoint"]]
    assert [list(tool) for tool in got["toolConfig"]["tools"]] == [["toolSpec"], ["cachePoint"], ["toolSpec"]]


def test_models_without_a_cache_are_not_asked_for_one(bedrock: BedrockRequester, fake: FakeAws) -> None:
    asked = body(user("a", cache_control=CACHE), model=DEEPSEEK, tools=[{**TOOLS[0], "cache_control": CACHE}])
    assert "cachePoint" not in json.dumps(sent(bedrock, fake, asked))


def test_the_operator_s_cache_points(fake: FakeAws, transport: Transport) -> None:
    settings = {"fields": ["system", "messages", "tools"], "messagePositions": [0, -1, 7]}
    bedrock = with_config(fake, transport, promptCache=settings)
    asked = body({"role": "system", "content": "s"}, user("a"), assistant(content="b"), user("c"), tools=TOOLS)
    got = sent(bedrock, fake, asked)
    assert got["system"][-1] == got["toolConfig"]["tools"][-1] == POINT
    assert [POINT in turn["content"] for turn in got["messages"]] == [True, False, True]
    plain = sent(bedrock, fake, body())
    assert plain == {"messages": [{"role": "user", "content": [{"text": "hi"}, POINT]}]}


def test_the_operator_s_points_leave_the_caller_s_their_room(fake: FakeAws, transport: Transport) -> None:
    bedrock = with_config(fake, transport, promptCache={"fields": ["system", "messages"], "messagePositions": [0, 2]})
    marked = [{"type": "text", "text": "a", "cache_control": CACHE}] * 3 + [{"type": "text", "text": "end"}]
    got = sent(bedrock, fake, body({"role": "system", "content": "s"}, user(marked), assistant(content="b"), user("c")))
    assert json.dumps(got).count("cachePoint") == 4
    assert got["system"][-1] == POINT


# Refused before anything is sent


@pytest.mark.parametrize(
    "asked",
    [
        body(n=2),
        body(messages=[]),
        body(messages="hi"),
        body(messages=["hi"]),
        body({"role": "system", "content": "alone"}),
        body({"role": "judge", "content": "x"}),
        body(user(5)),
        body(user([{"type": "video_url", "video_url": {"url": PNG}}])),
        body(user([{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,eA=="}}])),
        body(user([{"type": "file", "file": {"filename": "a.exe", "file_data": "data:x/y;base64,eA=="}}])),
        body(user([{"type": "doc", "doc": {}}])),
        body(result("")),
        body(assistant({"function": {"name": "x"}})),
        body(assistant(call("c1", arguments="[1]"))),
        body(tools=[{"type": "function"}]),
        body(tools=TOOLS, tool_choice="maybe"),
        body(reasoning_effort="extreme"),
        body(stop=5),
        body(model=""),
        body(model="../../etc"),
        body(model="a b"),
    ],
)
def test_malformed_bodies_are_the_caller_s_mistake(bedrock: BedrockRequester, fake: FakeAws, asked: JSON) -> None:
    with pytest.raises(BadRequest):
        bedrock.chat(asked)
    assert fake.seen == []
