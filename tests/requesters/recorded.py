"""Recorded exchanges: JSON files in recorded/<vendor>/, one pair of request and answer each, replayed both ways.

{"source": "the page or SDK that the shapes are from", "operation": "chat", "config": {...provider settings, optional},
"inner_request": {...OpenAI's}, "vendor_request": {"url": "https://…", "body": {...}},
"vendor_response": {"status": 200, "body": {...}} or {"events": [...]}, "inner_response": {...} or "inner_events": [...]
or, where the vendor refuses, "error": {"kind": "RateLimited", ...attributes of the exception}}

In what is expected, "<any>" stands for anything and "<regex:…>" for a text of that form: ids and times that are made
here. A file with `events` is asked as a stream. How a vendor frames its events is up to its test (`frame`).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from providers.requesters.base import Requester
from providers.requesters.errors import ProviderError
from tests.fakes.server import JSON, FakeVendor, Handler

FOLDER = Path(__file__).parent / "recorded"
Frame = Callable[[Any], bytes]


def load(vendor: str) -> list[Any]:
    """The vendor's files, for pytest.mark.parametrize."""
    paths = sorted((FOLDER / vendor).glob("*.json"))
    assert paths, f"nothing is recorded for {vendor}"
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in paths]


def differences(expected: Any, actual: Any, where: str = "$") -> list[str]:
    """Where the two differ, with the patterns of `expected` applied; empty when they are the same."""
    if expected == "<any>":
        return []
    if isinstance(expected, str) and (found := re.fullmatch(r"<regex:(.*)>", expected, re.DOTALL)):
        matches = isinstance(actual, str) and re.fullmatch(found[1], actual)
        return [] if matches else [f"{where}: {actual!r} is not of the form {found[1]}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _in_objects(expected, actual, where)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [found for index, pair in pairs for found in differences(*pair, f"{where}[{index}]")]
    # True is 1 in Python, but not in JSON.
    is_same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if is_same else [f"{where}: expected {expected!r}, got {actual!r}"]


def _in_objects(expected: JSON, actual: JSON, where: str) -> list[str]:
    found = [f"{where}.{name}: missing" for name in expected.keys() - actual.keys()]
    found += [f"{where}.{name}: not expected: {actual[name]!r}" for name in actual.keys() - expected.keys()]
    for name in expected.keys() & actual.keys():
        found += differences(expected[name], actual[name], f"{where}.{name}")
    return found


class PlayerHandler(Handler):
    fake: "Player"  # type: ignore[misc]  # the one that Player binds

    def respond(self, body: Any) -> None:
        answer = self.fake.exchange["vendor_response"]
        if "events" not in answer:
            self.send_json(answer.get("status", 200), answer["body"], **answer.get("headers", {}))
            return
        self.send_response(answer.get("status", 200))
        self.send_header("Content-Type", self.fake.stream_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in answer["events"]:
            self.send_chunk(self.fake.frame(event))
        self.end_stream()


class Player(FakeVendor):
    """Answers whatever it is asked with the recorded answer; what it was asked is looked at afterwards."""

    handler = PlayerHandler

    def __init__(self, exchange: JSON, frame: Frame, stream_type: str) -> None:
        super().__init__()
        self.exchange = exchange
        self.frame = frame
        self.stream_type = stream_type


def sse(event: Any) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def line(event: Any) -> bytes:
    return json.dumps(event).encode() + b"\n"


def replay(
    exchange: JSON,
    requester_at: Callable[[str, JSON], Requester],
    frame: Frame = sse,
    stream_type: str = "text/event-stream",
) -> list[str]:
    """Sends the inner request through `requester_at(origin, config)`. Answers where either side differs, and what the
    vendor's server could not take; empty when all is as recorded."""
    with Player(exchange, frame, stream_type) as player:
        requester = requester_at(player.origin, exchange.get("config", {}))
        answer = _ask(requester, exchange)
    asked = [{"path": seen.path, "body": seen.body} for seen in player.seen]
    found = differences([_request(exchange["vendor_request"])], asked, "asked")
    return [*player.violations, *found, *differences(_expected(exchange), answer, "answered")]


def _ask(requester: Requester, exchange: JSON) -> Any:
    operation, body = exchange["operation"], exchange["inner_request"]
    try:
        if "events" in exchange["vendor_response"]:
            return [event.json for event in requester.open(operation, body)]
        return requester.ask(operation, body).json
    except ProviderError as error:
        if "error" not in exchange:
            raise
        return {name: type(error).__name__ if name == "kind" else getattr(error, name) for name in exchange["error"]}


def _request(recorded: JSON) -> JSON:
    url = urlsplit(recorded["url"])
    return {"path": f"{url.path}?{url.query}" if url.query else url.path, "body": recorded["body"]}


def _expected(exchange: JSON) -> Any:
    [name] = exchange.keys() & {"inner_response", "inner_events", "error"}
    return exchange[name]
