"""What this dialect's clients may add to a call at /v1, over strict fakes of vendors: documents, thought, messages for
text completions."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from chat.models import Thread
from providers.models import AIModel, UnknownParams
from tests import factories
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.aws import CLAUDE, DEEPSEEK, NOVA, FakeAws
from tests.fakes.openai import FakeOpenAI

JSON = dict[str, Any]
PDF = b"%PDF-1.7 and more than ten bytes \xff"
HELLO = [{"role": "user", "content": "hi"}]


@dataclass
class Calls:
    client: Client
    upstream: FakeOpenAI
    aws: FakeAws
    key: IssuedKey

    def post(self, path: str, body: Any, **headers: str) -> Any:
        given = {"authorization": f"Bearer {self.key.secret}", **headers}
        return self.client.post(f"/v1/{path}", body, content_type="application/json", headers=given)

    def chat(self, model: str = "echo", think: str = "", **fields: Any) -> Any:
        headers = {"think-budget": think} if think else {}
        return self.post("chat/completions", {"model": model, "messages": HELLO, **fields}, **headers)

    def read(self, *docs: Any, model: str = "echo") -> Any:
        parts = [{"type": "text", "text": "read"}, *({"type": "doc", "doc": doc} for doc in docs)]
        return self.chat(model, messages=[{"role": "user", "content": parts}])

    def sent(self) -> JSON:
        body: JSON = self.upstream.seen[-1].body
        return body


@pytest.fixture
def calls(database: None, client: Client, upstream: FakeOpenAI) -> Iterator[Calls]:
    with FakeAws() as aws:
        factories.model(factories.provider(upstream, retries=0), max_output=None)
        factories.model(factories.provider(upstream, retries=0), "strict", max_output=None)
        bedrock = factories.provider(
            aws, requester="bedrock-converse", base_url=aws.base_url, config={"regions": ["us-east-1"]}, retries=0
        )
        for name, model in (("claude", CLAUDE), ("nova", NOVA), ("r1", DEEPSEEK)):
            factories.model(bedrock, name, upstream_name=model, max_output=None)
        yield Calls(client, upstream, aws, factories.key(start="br-"))
        assert aws.violations == []
        assert upstream.violations == []
        assert audit() == []


def doc(values: Any, **fields: Any) -> JSON:
    return {"name": "report.pdf", "format": "pdf", "size": len(PDF), "source": {"bytes": values}, **fields}


def events(answer: Any) -> list[JSON]:
    assert answer.status_code == 200, answer.content
    frames = answer.getvalue().decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


# Documents

FORMS = {
    "as JavaScript writes it": {str(place): value for place, value in enumerate(PDF)},
    "in another order": {str(place): PDF[place] for place in reversed(range(len(PDF)))},
    "a list": list(PDF),
    "base64": base64.b64encode(PDF).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_document_goes_on_as_a_file(calls: Calls, form: str) -> None:
    assert calls.read(doc(FORMS[form])).status_code == 200
    data = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    file = {"type": "file", "file": {"filename": "report.pdf", "file_data": data}}
    assert calls.sent()["messages"][0]["content"] == [{"type": "text", "text": "read"}, file]


def test_a_vendor_of_documents_gets_it_as_one(calls: Calls) -> None:
    table = doc(list(b"a,b"), name="list", format="csv")
    assert calls.read(doc(FORMS["as JavaScript writes it"]), table, model="claude").status_code == 200
    blocks = calls.aws.seen[-1].body["messages"][0]["content"]
    assert blocks[1]["document"]["source"] == {"bytes": base64.b64encode(PDF).decode()}
    assert [block["document"]["format"] for block in blocks[1:]] == ["pdf", "csv"]


@pytest.mark.parametrize(
    ("fields", "filename", "kind"),
    [
        ({"name": "notes", "format": "md"}, "notes.md", "text/markdown"),
        ({"name": "Notes.TXT", "format": ""}, "Notes.TXT", "text/plain"),
        ({"name": "", "format": "docx"}, "document.docx", "application/vnd.openxmlformats-officedocument.w"),
        ({"name": "a.b", "format": "xyz"}, "a.b.xyz", "application/octet-stream"),
    ],
)
def test_its_kind_is_told_by_its_format_or_its_name(calls: Calls, fields: JSON, filename: str, kind: str) -> None:
    calls.read(doc([1], **fields))
    file = calls.sent()["messages"][0]["content"][1]["file"]
    assert (file["filename"], file["file_data"].startswith(f"data:{kind}")) == (filename, True)


BROKEN = [
    None,
    "text",
    [],
    {},
    doc(None),
    doc([]),
    doc({}),
    doc(""),
    doc("no base64!"),
    doc(7),
    doc([256]),
    doc([-1]),
    doc([1.5]),
    doc(["a"]),
    doc([2**63]),
    doc({"0": 1, "2": 2}),
    doc({"a": 1}),
    doc({"0": "x"}),
    doc([1], name="report", format=None),
    doc([1], name=["x"]),
    doc([1], format="../x"),
    doc([1], format=7),
    {"name": "x", "format": "pdf", "source": []},
]


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_one_that_can_t_be_read_is_refused_by_its_place(calls: Calls, broken: Any) -> None:
    answer = calls.read(doc([1]), broken)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[2].doc"
    assert calls.upstream.seen == []
    assert not Charge.objects.exists()


def test_it_is_held_for_and_kept_by_what_it_is_and_not_by_how_it_came(calls: Calls) -> None:
    big = {str(place): 65 for place in range(200_000)}  # two megabytes on the wire
    calls.read(doc(big))
    assert 5_000 < Charge.objects.get().prompt_bound < 6_000
    thread = Thread.objects.get()
    assert len(thread.messages) < 300 and "report.pdf" in thread.messages
    assert (thread.prompt, thread.is_truncated) == ("read", False)
    calls.read(doc(big, name="notes.txt", format="txt"))
    assert Charge.objects.latest("id").prompt_bound > 200_000  # a text may be as many tokens as it has bytes


def test_the_word_alone_changes_nothing(calls: Calls) -> None:
    parts = ["doc", {"type": "text", "text": 'say "doc"'}, {"type": "doc2", "doc": 7}]
    calls.chat(messages=[{"role": "user", "content": parts[1:]}, {"role": "user", "content": '"doc"'}])
    assert [each["content"] for each in calls.sent()["messages"]] == [parts[1:], '"doc"']


# Thought


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_budget_of_thought_by_a_header(calls: Calls, is_stream: bool) -> None:
    answer = calls.chat("claude", "2000", stream=is_stream, temperature=0.5)
    sent = calls.aws.seen[-1].body
    assert sent["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert (sent["inferenceConfig"]["maxTokens"], sent["inferenceConfig"]["temperature"]) == (6096, 1)
    assert answer["x-weighbridge-dropped"] == "temperature"
    if is_stream:
        chunks = events(answer)
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
        said = "".join(delta.get("content") or "" for delta in deltas)
        assert {"chat.completion.chunk"} == {chunk["object"] for chunk in chunks}
        assert all(chunk["created"] > 0 for chunk in chunks)
    else:
        whole = answer.json()
        message = whole["choices"][0]["message"]
        thought, said = message["reasoning_content"], message["content"]
        assert (whole["object"], whole["choices"][0]["finish_reason"]) == ("chat.completion", "stop")
        assert whole["created"] > 0
    assert (thought, said) == ("Let me think.", "Hello from the fake")
    thread = Thread.objects.get()
    assert (thread.reasoning, thread.completion, thread.charge.output_bound) == (thought, said, 6096)


def test_the_hold_covers_it_and_the_limit_leaves_room_for_it(calls: Calls) -> None:
    AIModel.objects.filter(name="claude").update(max_output=3000)
    calls.chat("claude", "50000")
    sent = calls.aws.seen[-1].body
    assert (sent["inferenceConfig"]["maxTokens"], Charge.objects.get().output_bound) == (3000, 3000)
    assert sent["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1500


def test_what_the_caller_limits_is_not_raised(calls: Calls) -> None:
    answer = calls.chat("claude", "4000", max_tokens=1000)
    assert "thinking" not in calls.aws.seen[-1].body.get("additionalModelRequestFields", {})
    assert answer["x-weighbridge-dropped"] == "thinking"
    assert Charge.objects.get().output_bound == 1000


@pytest.mark.parametrize(
    "own",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 3000}},
        {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "none"},
    ],
)
def test_the_body_s_own_words_win(calls: Calls, own: JSON) -> None:
    calls.chat("claude", "2000", **own)
    expected = own.get("thinking", {}).get("budget_tokens")
    thinking = calls.aws.seen[-1].body.get("additionalModelRequestFields", {}).get("thinking", {})
    assert thinking.get("budget_tokens") == expected


@pytest.mark.parametrize("text", ["0", "-5", " 0 "])
def test_none_is_no_budget(calls: Calls, text: str) -> None:
    assert calls.chat(think=text).status_code == 200
    assert "thinking" not in calls.sent()


@pytest.mark.parametrize("text", ["many", "1.5", "1e4", "１", "9999999999", "--1", "2000, 3000"])
def test_nonsense_is_refused_by_the_header_s_name(calls: Calls, text: str) -> None:
    answer = calls.chat(think=text.encode().decode("latin-1"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Think-Budget")
    assert calls.upstream.seen == []


def test_one_that_knows_no_thought_is_asked_without_it(calls: Calls) -> None:
    answer = calls.chat("nova", "2000")
    assert (answer.status_code, answer["x-weighbridge-dropped"]) == (200, "thinking")
    assert "additionalModelRequestFields" not in calls.aws.seen[-1].body


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("policy", UnknownParams.values)
def test_a_refusal_of_it_is_not_the_caller_s(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, policy: str, is_stream: bool
) -> None:
    """By an upstream that says nothing of which parameter it does not know."""
    AIModel.objects.filter(name="echo").update(unknown_params=policy)
    refusing(calls.upstream, monkeypatch)
    answer = calls.chat(think="2000", stream=is_stream, seed=7)
    assert answer.status_code == 200 and answer.getvalue()
    assert answer["x-weighbridge-dropped"] == "thinking"
    assert ["thinking" in seen.body for seen in calls.upstream.seen] == [True, False]
    assert calls.sent()["seed"] == 7
    charge = Charge.objects.get()
    assert (charge.outcome, charge.usage_source) == ("ok", "reported")


def test_the_caller_s_own_is_refused_as_ever(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(calls.upstream, monkeypatch)
    answer = calls.chat(thinking={"type": "enabled", "budget_tokens": 2000})
    assert (answer.status_code, answer.json()["data"]) == (400, "property 'thinking' is unsupported")
    assert len(calls.upstream.seen) == 1


def refusing(upstream: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = upstream.handler._answer  # type: ignore[attr-defined]

    def strict(handler: Any, body: JSON, shape: Any) -> None:
        if "thinking" in body:
            message = "property 'thinking' is unsupported"
            handler.send_json(400, {"error": {"message": message, "type": "invalid_request_error"}})
        else:
            answer(handler, body, shape)

    monkeypatch.setattr(upstream.handler, "_answer", strict)


def test_a_limited_vendor_of_thought_keeps_its_rule(calls: Calls) -> None:
    with FakeAnthropic() as fake:
        provider = factories.provider(fake, requester="anthropic", base_url=fake.origin)
        factories.model(provider, "sonnet", upstream_name="claude-sonnet-4-5", max_output=None)
        assert calls.chat("sonnet", "2000", temperature=0.5).status_code == 200
        sent = fake.seen[-1].body
        assert (sent["thinking"]["budget_tokens"], sent["max_tokens"]) == (2000, 6096)
        assert fake.violations == []


# What was thought comes through


@pytest.mark.parametrize("is_stream", [False, True])
def test_reasoning_of_a_compatible_upstream(calls: Calls, is_stream: bool) -> None:
    said = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    base = {"id": "x", "object": "chat.completion", "created": 1, "model": "echo"}
    choice = {"index": 0, "finish_reason": "stop"}
    if is_stream:
        chunk = {**base, "object": "chat.completion.chunk", "choices": [{**choice, "delta": said}]}
        frames = b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"
        calls.upstream.reply("echo", frames, headers={"Content-Type": "text/event-stream"})
        [chunk] = events(calls.chat(stream=True))
        found = chunk["choices"][0]["delta"]
    else:
        calls.upstream.reply_json("echo", {**base, "choices": [{**choice, "message": said}]})
        found = calls.chat().json()["choices"][0]["message"]
    assert found["reasoning_content"] == "Hm."
    assert Thread.objects.get().reasoning == "Hm."


# Text completions

BODIES = {
    "of a prompt": {"prompt": "once"},
    "of messages": {"messages": HELLO},
}


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("model", ["echo", "claude", "r1"])
@pytest.mark.parametrize("form", BODIES)
def test_a_text_completion(calls: Calls, form: str, model: str, is_stream: bool) -> None:
    answer = calls.post("completions", {"model": model, **BODIES[form], "max_tokens": 10, "stream": is_stream})
    pieces = events(answer) if is_stream else [answer.json()]
    choices = [choice for piece in pieces for choice in piece["choices"]]
    text = "".join(choice["text"] for choice in choices)
    assert text == ("Hello from the fake" if model != "echo" else "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8 tok9")
    assert choices[-1]["finish_reason"] == "stop"
    assert all(set(piece) >= {"id", "object", "created", "model", "choices"} for piece in pieces)
    assert {piece["object"] for piece in pieces} == {"text_completion"}
    charge = Charge.objects.get()
    assert (charge.endpoint, charge.outcome, charge.usage_source) == ("completion", "ok", "reported")
    assert charge.fee > 0
    thread = Thread.objects.get()
    assert (thread.prompt, thread.completion) == ("once" if "prompt" in BODIES[form] else "hi", text)


def test_the_caller_s_usage_chunk_comes_on_demand(calls: Calls) -> None:
    body = {"model": "claude", "prompt": "once", "stream": True}
    assert not any(chunk.get("usage") for chunk in events(calls.post("completions", body)))
    with_usage = events(calls.post("completions", {**body, "stream_options": {"include_usage": True}}))
    assert with_usage[-1]["usage"]["completion_tokens"] > 0


def test_a_completion_of_neither_is_refused(calls: Calls) -> None:
    for body, param in (({}, "prompt"), ({"messages": []}, "messages"), ({"messages": [{"role": "x"}]}, None)):
        answer = calls.post("completions", {"model": "echo", **body})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == (param or "messages[0].role")
    assert not Charge.objects.exists()


def test_many_prompts_at_a_vendor_of_chats_are_the_caller_s_mistake(calls: Calls) -> None:
    answer = calls.post("completions", {"model": "claude", "prompt": ["a", "b"]})
    assert (answer.status_code, "one per request" in answer.json()["data"]) == (400, True)
    assert Charge.objects.get().fee == 0
