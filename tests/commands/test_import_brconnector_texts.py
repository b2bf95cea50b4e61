"""What was said, from BRConnector's form into ours; and what the command shows of how far it is."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from gateway.moving import texts
from gateway.moving.progress import Progress
from gateway.moving.report import Report
from gateway.moving.source import ThreadRow, longest_text
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.commands.brconnector_world import World


def row(**fields: Any) -> ThreadRow:
    return ThreadRow(**{**dict.fromkeys(ThreadRow.__dataclass_fields__), "whole_prompt": "[]", **fields})


def said(**fields: Any) -> texts.Said:
    return texts.said(row(**fields), texts.CHAT)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ('"hi"', "hi"),
        ("hi", "hi"),
        ("", ""),
        (None, ""),
        ("null", ""),
        ("{}", ""),
        ("[1, null, {}]", ""),
        ('[{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"text": "b"}]', "a\nb"),
        ('"a\\u0000b"', "a\ufffdb"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("[" * 100_000, "[" * 64_000),
    ],
)
def test_a_prompt_is_the_text_of_the_last_message(prompt: str | None, text: str) -> None:
    assert said(prompt=prompt).prompt == text


@pytest.mark.parametrize(
    ("completion", "answer", "thoughts"),
    [
        ("42", "42", ""),
        ("<think>hm</think>42", "42", "hm"),
        ("\n<think>\nhm\n</think>\n\n42\n", "42\n", "\nhm\n"),
        ("<think>cut off", "", "cut off"),
        ("<think>a</think>b</think>c", "b</think>c", "a"),
        ("no <think>thoughts</think>", "no <think>thoughts</think>", ""),
        (None, "", ""),
    ],
)
def test_thoughts_are_told_from_the_answer(completion: str | None, answer: str, thoughts: str) -> None:
    found = said(completion=completion)
    assert (found.completion, found.reasoning, found.is_truncated) == (answer, thoughts, False)


def test_of_a_prompt_that_was_cut_the_whole_parts_are_kept() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x" * longest_text()}}]
    found = said(prompt=json.dumps(parts)[: longest_text()])
    assert (found.prompt, found.is_truncated) == ("look", True)
    found = said(prompt=json.dumps("y" * longest_text())[: longest_text()])
    assert (found.prompt[:3], len(found.prompt), found.is_truncated) == ("yyy", 64_000, True)


@pytest.mark.parametrize(
    "content", ['{"0": 37, "1": 80}', "[37, 80]", '"JVBERi0="', '{"0": 37, "1"', "[37, 8", '"JVBE'], ids=str
)
def test_a_files_bytes_are_never_kept(content: str) -> None:
    start = '[{"role":"user","content":[{"type":"doc","doc":{"name":"a","source":{"bytes":'
    assert said(whole_prompt=start + content).messages == start + '""'
    quoted = json.dumps([{"role": "user", "content": 'say {"bytes": [1]}'}])
    assert said(whole_prompt=quoted).messages == quoted


def test_texts_are_as_long_as_history_is(settings: Any) -> None:
    settings.HISTORY_MAX_CHARS = 5
    found = said(prompt='"1234567"', whole_prompt="1234567", completion="<think>1234567</think>7654321")
    assert (found.prompt, found.messages, found.completion, found.reasoning) == ("12345", "12345", "76543", "12345")
    assert found.is_truncated


def test_an_embedding_is_told_from_a_chat() -> None:
    assert texts.endpoint_of(row(whole_prompt="", prompt="a")) == "embedding"
    for fields in ({"whole_prompt": "[{}]"}, {"completion": "a"}, {"session_id": 3}, {"tokens_out": 1}):
        assert texts.endpoint_of(row(**{"whole_prompt": "", "prompt": "a", **fields})) == "chat"
    found = texts.said(row(prompt="12", whole_prompt=""), texts.EMBEDDING)
    assert (found.prompt, found.messages) == ("12", '"12"')


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_grows() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.begin("threads", 1000)
    progress.advance(500)
    progress.begin("nothing", 0)
    progress.finish()
    bars = stream.getvalue().split("\r")
    assert bars[1] == f"threads    [{'-' * 30}]         0 of 1,000"
    assert bars[-3] == f"threads    [{'#' * 15}{'-' * 15}]       500 of 1,000\n"
    assert bars[-1] == f"nothing    [{'#' * 30}]         0 of 0\n"


def test_elsewhere_there_is_a_line_for_each_stage() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin("threads", 1000)
    progress.advance(1000)
    progress.finish()
    assert stream.getvalue() == "threads        1,000 of 1,000\n"


def test_people_read_counts_reasons_and_rows() -> None:
    report = Report()
    report.added("eiai_key", 2)
    for number in range(25):
        report.left_out("eiai_key", number, "it has no secret", "why not")
    lines = list(report.lines())
    assert lines[:3] == [
        "eiai_key          2 added, 25 left out",
        "! eiai_key: 25 x it has no secret",
        "    eiai_key 0: why not",
    ]
    assert lines[-1] == "    and 5 more"


def test_without_json_it_speaks_to_people(
    database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    World(brconnector).key("alice", role="boss")
    call_command("import_brconnector", "--dsn", brconnector.url, "--dry-run")
    assert "A dry run: nothing was written." in capsys.readouterr().out
    call_command("import_brconnector", "--dsn", brconnector.url)
    shown = capsys.readouterr()
    assert "eiai_key          1 added" in shown.out
    assert "eiai_key 1: boss" in shown.out
    assert f"Moved in from {brconnector.name}" in shown.out
    assert "keys               1 of 1" in shown.err
