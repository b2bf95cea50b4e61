"""From OpenAI's body to Gemini's: what the fake's grammar accepts, and what is refused before anything is sent."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.errors import BadRequest
from providers.requesters.gemini import GeminiRequester
from tests.fakes.gemini import FakeGemini
from tests.fakes.gemini_grammar import NO_SIGNATURE
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT

TOOLS: list[JSON] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Finds.",
            "parameters": {"type": "object", "additionalProperties": False},
        },
    }
    for name in ("find", "count")
]
PNG = "data:image/png;base64,iVBORw0KGgo="
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeGemini) -> FakeGemini:
    server.forget()
    return server


@pytest.fixture
def gemini(fake: FakeGemini, transport: Transport) -> GeminiRequester:
    return GeminiRequester(Endpoint(fake.base_url, fake.key, PATIENT), transport)


def user(content: Any = "Hello", **more: Any) -> JSON:
    return {"role": "user", "content": content, **more}


def body(*messages: JSON, model: str = "gemini-2.5-flash", **options: Any) -> JSON:
    return {"model": model, "messages": list(messages) or [user()], **options}


def call(call_id: str = "c1", name: str = "find", signature: str = "", arguments: str = '{"query": "tok"}') -> JSON:
    made: JSON = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return made | ({"extra_content": {"google": {"thought_signature": signature}}} if signature else {})


def result(call_id: str = "c1", content: Any = "found") -> JSON:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def assistant(*calls: JSON, content: Any = None, **more: Any) -> JSON:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {}), **more}


def sent(gemini: GeminiRequester, fake: FakeGemini, asked: JSON) -> JSON:
    gemini.chat(asked)
    assert fake.violations == []
    built = fake.seen[-1].body
    assert isinstance(built, dict)
    return built


def config(gemini: GeminiRequester, fake: FakeGemini, asked: JSON) -> Any:
    return sent(gemini, fake, asked).get("generationConfig")


# Messages


def test_the_system_s_words_leave_the_turns_wherever_they_stood(gemini: GeminiRequester, fake: FakeGemini) -> None:
    messages = [{"role": "system", "content": "A"}, user("x"), {"role": "developer", "content": "B"}, user("y")]
    built = sent(gemini, fake, body(*messages))
    assert built["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert built["contents"] == [{"role": "user", "parts": [{"text": "x"}, {"text": "y"}]}]


def test_results_name_the_function_that_their_call_named(gemini: GeminiRequester, fake: FakeGemini) -> None:
    messages = [
        user(),
        assistant(call("a"), call("b", "count")),
        result("b", '{"n": 2}'),
        result("a", "[1]"),
        user("so?"),
    ]
    contents = sent(gemini, fake, body(*messages, tools=TOOLS))["contents"]
    responses = [part["functionResponse"] for part in contents[2]["parts"] if "functionResponse" in part]
    assert [(each["name"], each["id"], each["response"]) for each in responses] == [
        ("count", "b", {"n": 2}),
        ("find", "a", {"output": "[1]"}),
    ]
    assert contents[2]["parts"][-1] == {"text": "so?"}


def test_media_go_inline(gemini: GeminiRequester, fake: FakeGemini) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "image_url", "image_url": "https://generativelanguage.googleapis.com/v1beta/files/abc"},
    ]
    assert sent(gemini, fake, body(user(parts)))["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
    ]


def test_a_picture_among_a_tool_s_results_stays_with_it(gemini: GeminiRequester, fake: FakeGemini) -> None:
    content = [{"type": "text", "text": "seen"}, {"type": "image_url", "image_url": {"url": PNG}}]
    built = sent(gemini, fake, body(user(), assistant(call()), result(content=content), tools=TOOLS))
    [part] = built["contents"][2]["parts"]
    assert part["functionResponse"]["response"] == {"output": "seen"}
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "system", "content": "alone"}],
        [user("")],
        [{"role": "robot", "content": "x"}],
        ["x"],
        [user({"type": "text"})],
        [user([{"type": "hologram"}])],
        [user([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])],
        [user([{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}])],
        [user([{"type": "file", "file": {"file_id": "file-123"}}])],
        [user([{"type": "input_audio", "input_audio": {"data": "AAAA"}}])],
        [user(), assistant({"id": "c1"})],
        [user(), assistant(call(arguments="[1]"))],
        [user(), assistant(call(arguments="{"))],
        [user(), assistant(call(), content="x"), result("another")],
        [user(), assistant({**call(), "extra_content": "x"})],
    ],
)
def test_malformed_messages_are_the_caller_s_mistake(
    gemini: GeminiRequester, fake: FakeGemini, messages: list[Any]
) -> None:
    with pytest.raises(BadRequest):
        gemini.chat({"model": "gemini-2.5-flash", "messages": messages})
    assert fake.seen == []


def test_a_foreign_address_is_refused_and_the_reason_given(gemini: GeminiRequester) -> None:
    with pytest.raises(BadRequest, match="does not fetch other addresses") as caught:
        gemini.chat(body(user([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])))
    assert caught.value.param == "messages"


# Signatures


def test_signatures_go_back_where_they_came_from(gemini: GeminiRequester, fake: FakeGemini) -> None:
    asked = body(user("use tool"), model="gemini-3-pro-preview", tools=TOOLS)
    said = gemini.chat(asked).json["choices"][0]["message"]
    results = [result(each["id"]) for each in said["tool_calls"]]
    contents = sent(gemini, fake, body(*asked["messages"], said, *results, model=asked["model"], tools=TOOLS))[
        "contents"
    ]
    signed = [part.get("thoughtSignature") for part in contents[1]["parts"]]
    assert signed == [None, "c2lnbmF0dXJl", None]


def test_a_text_s_signature_goes_back_on_the_text(gemini: GeminiRequester, fake: FakeGemini) -> None:
    asked = body(model="gemini-3-pro-preview")
    said = gemini.chat(asked).json["choices"][0]["message"]
    contents = sent(gemini, fake, body(user(), said, user("and?"), model=asked["model"]))["contents"]
    assert contents[1]["parts"] == [{"text": "Hello from the fake", "thoughtSignature": "dGV4dA=="}]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gemini-3-pro-preview", NO_SIGNATURE), ("gemini-pro-latest", NO_SIGNATURE), ("gemini-2.5-flash", None)],
)
def test_a_history_without_signatures_says_so_where_they_are_required(
    gemini: GeminiRequester, fake: FakeGemini, model: str, expected: str | None
) -> None:
    messages = [user(), assistant(call("a"), call("b")), result("a"), result("b")]
    parts = sent(gemini, fake, body(*messages, model=model, tools=TOOLS))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [expected, None]


# Parameters


def test_every_sampling_parameter_has_its_place(gemini: GeminiRequester, fake: FakeGemini) -> None:
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "max_tokens": 7,
        "max_completion_tokens": 9,
        "n": 2,
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": "END",
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert config(gemini, fake, body(**options)) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 5,
        "maxOutputTokens": 9,
        "candidateCount": 2,
        "seed": 3,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "logprobs": 2,
    }
    assert gemini.unsupported(body(**options)) == []


def test_what_is_switched_off_is_not_sent(gemini: GeminiRequester, fake: FakeGemini) -> None:
    asked = body(
        temperature=None, logprobs=False, top_logprobs=0, stop=None, response_format={"type": "text"}, tools=[]
    )
    assert sent(gemini, fake, asked).keys() == {"contents"}


def test_a_schema_goes_as_it_is(gemini: GeminiRequester, fake: FakeGemini) -> None:
    schema = {"$defs": {"a": {"type": "string"}}, "type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert config(gemini, fake, body(response_format=wanted)) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    assert config(gemini, fake, body(response_format={"type": "json_object"})) == {
        "responseMimeType": "application/json"
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "count"}}, {"mode": "ANY", "allowedFunctionNames": ["count"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOLS[0]]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["find"]},
        ),
    ],
)
def test_tool_choices(gemini: GeminiRequester, fake: FakeGemini, choice: Any, expected: JSON) -> None:
    built = sent(gemini, fake, body(tools=TOOLS, tool_choice=choice))
    assert built["toolConfig"] == {"functionCallingConfig": expected}
    assert [each["name"] for each in built["tools"][0]["functionDeclarations"]] == ["find", "count"]


def test_the_vendor_s_own_tools_pass_through(gemini: GeminiRequester, fake: FakeGemini) -> None:
    built = sent(gemini, fake, body(tools=[{"googleSearch": {}}], tool_choice="auto"))
    assert (built["tools"], "toolConfig" in built) == ([{"googleSearch": {}}], False)


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": False}),
        ("gemini-3-pro-preview", "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "minimal", "includeThoughts": False}),
        ("gemini-3.1-pro-preview", "xhigh", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-flash-latest", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
    ],
)
def test_an_effort_is_a_budget_before_gemini_3_and_a_level_from_then_on(
    gemini: GeminiRequester, fake: FakeGemini, model: str, effort: str, expected: JSON
) -> None:
    assert config(gemini, fake, body(model=model, reasoning_effort=effort)) == {"thinkingConfig": expected}


@pytest.mark.parametrize(("limit", "budget"), [(30000, 8192), (4000, 2000), (100, 512)])
def test_thinking_leaves_room_for_the_answer(
    gemini: GeminiRequester, fake: FakeGemini, limit: int, budget: int
) -> None:
    built = config(gemini, fake, body(reasoning_effort="medium", max_tokens=limit))
    assert (built["thinkingConfig"]["thinkingBudget"], built["maxOutputTokens"]) == (budget, limit)


def test_a_model_that_cannot_think_is_not_told_to(gemini: GeminiRequester, fake: FakeGemini) -> None:
    asked = body(model="gemini-2.0-flash", reasoning_effort="high")
    assert config(gemini, fake, asked) is None
    assert gemini.unsupported(asked) == ["reasoning_effort"]


def test_the_words_of_google_s_own_layer_are_understood(gemini: GeminiRequester, fake: FakeGemini) -> None:
    google = {
        "cached_content": "cachedContents/x",
        "thinking_config": {"thinking_budget": 800, "include_thoughts": True},
    }
    built = sent(gemini, fake, body(extra_body={"google": google}))
    assert built["cachedContent"] == "cachedContents/x"
    assert built["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 800, "includeThoughts": True}}


def test_settings_stand_in_for_what_the_caller_leaves_open(fake: FakeGemini, transport: Transport) -> None:
    settings = {"safetySettings": SAFETY, "thinkBudget": 0}
    gemini = GeminiRequester(Endpoint(fake.base_url, fake.key, PATIENT, config=settings), transport)
    built = sent(gemini, fake, body())
    assert built["safetySettings"] == SAFETY
    assert built["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": False}}
    own = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    built = sent(gemini, fake, body(safety_settings=own, reasoning_effort="low"))
    assert built["safetySettings"] == own
    assert built["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 1024


def test_what_gemini_has_no_place_for_is_named(gemini: GeminiRequester, fake: FakeGemini) -> None:
    asked = body(
        logit_bias={"1": 2}, user="me", store=False, parallel_tool_calls=False, tools=TOOLS, service_tier="flex"
    )
    assert gemini.unsupported(asked) == ["logit_bias", "user", "service_tier", "parallel_tool_calls"]
    assert sent(gemini, fake, asked).keys() == {"contents", "tools"}
    assert gemini.unsupported({"model": "m", "input": "x", "user": "me"}) == ["user"]


@pytest.mark.parametrize(
    "options",
    [
        {"reasoning_effort": "enormous"},
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"tools": ["find"]},
        {"tools": [{"type": "function", "function": {}}]},
        {"tools": TOOLS, "tool_choice": "sometimes"},
        {"tools": TOOLS, "tool_choice": {"type": "function"}},
    ],
)
def test_malformed_parameters_are_the_caller_s_mistake(
    gemini: GeminiRequester, fake: FakeGemini, options: JSON
) -> None:
    with pytest.raises(BadRequest):
        gemini.chat(body(**options))
    assert fake.seen == []


# Addresses


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://g.test/v1beta", "https://g.test/v1beta/models/gemini-x:generateContent"),
        ("https://g.test", "https://g.test/v1beta/models/gemini-x:generateContent"),
        ("https://g.test/", "https://g.test/v1beta/models/gemini-x:generateContent"),
        ("https://g.test/v1beta/openai/", "https://g.test/v1beta/models/gemini-x:generateContent"),
        ("https://g.test/proxy/v1", "https://g.test/proxy/v1/models/gemini-x:generateContent"),
    ],
)
def test_the_address_may_name_the_version_or_not(transport: Transport, base_url: str, expected: str) -> None:
    gemini = GeminiRequester(Endpoint(base_url, "k"), transport)
    assert gemini.url("chat", {"model": "gemini-x"}) == expected
    assert gemini.url("chat", {"model": "models/gemini-x"}) == expected


@pytest.mark.parametrize("name", ["", "../files", "a/../../b"])
def test_a_model_s_name_cannot_lead_elsewhere(gemini: GeminiRequester, name: str) -> None:
    with pytest.raises(BadRequest):
        gemini.chat(body(model=name))


def test_odd_letters_in_a_model_s_name_are_quoted(gemini: GeminiRequester) -> None:
    assert gemini.url("chat", {"model": "a?key=b#c"}).endswith("/models/a%3Fkey%3Db%23c:generateContent")


def test_the_key_stands_in_a_header_only(gemini: GeminiRequester, fake: FakeGemini) -> None:
    gemini.chat(body())
    assert fake.seen[0].path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert {name for name, value in fake.seen[0].headers.items() if fake.key in value} == {"x-goog-api-key"}
