"""Every recorded request is answered as its recording says.

A file: {"source", "given": [set-ups], "as": [who], "request": {"method", "path", "headers", "body"}, "response":
{"status", "headers", "body"}, "violations": [what the fake upstream complains of]}; a body that is no JSON is given as
{"text": …}. `matching` has the placeholders.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.fakes.kinds import FakeKinds
from tests.wire.matching import differences, filled
from tests.wire.world import World

HERE = Path(__file__).parent
FIELDS = {"source", "given", "as", "request", "response", "violations"}
EVERYBODY = ("key", "user")


def recordings() -> list[Any]:
    found = []
    for path in sorted(HERE.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        for who in json.loads(path.read_text()).get("as", EVERYBODY):
            found.append(pytest.param(path, who, id=f"{name}-{who}"))
    return found


def set_ups(dialect: str) -> dict[str, Callable[[World], Any]]:
    given: dict[str, Callable[[World], Any]] = importlib.import_module(f"tests.wire.given_{dialect}").GIVEN
    return given


@pytest.mark.parametrize(("path", "who"), recordings())
def test_the_answer_is_the_recorded_one(path: Path, who: str, upstream: FakeKinds, database: None) -> None:
    recording = json.loads(path.read_text())
    assert set(recording) <= FIELDS and recording["source"], "an unknown field would be passed over"
    world = World(upstream)
    given = set_ups(path.parent.name)
    for name in recording.get("given", ()):
        world.made[name] = given[name](world)
    request = filled(recording["request"], world.made)
    answer = send(request, world.headers_of(who))
    expected = filled(recording["response"], world.made)
    assert answer.status_code == expected["status"], answer.getvalue().decode()
    assert not list(differences(expected["body"], body_of(answer)))
    for header, value in expected.get("headers", {}).items():
        assert not list(differences(value, answer.headers.get(header), header))
    assert upstream.violations == recording.get("violations", [])


@pytest.fixture
def upstream() -> Iterator[FakeKinds]:
    """One that serves every kind of model."""
    with FakeKinds() as fake:
        yield fake


def send(request: dict[str, Any], credentials: dict[str, str]) -> Any:
    headers = {**credentials, **request.get("headers", {})}
    body = request.get("body")
    content = {} if body is None else {"data": _raw(body), "content_type": headers.pop("Content-Type", JSON_TYPE)}
    return Client(raise_request_exception=False).generic(request["method"], request["path"], headers=headers, **content)


JSON_TYPE = "application/json"


def _raw(body: Any) -> str:
    return str(body["text"]) if isinstance(body, dict) and set(body) == {"text"} else json.dumps(body)


def body_of(answer: Any) -> Any:
    text = answer.getvalue().decode()
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text}


def test_there_are_recordings_of_every_dialect_here() -> None:
    for folder in (each for each in HERE.iterdir() if each.is_dir() and each.name != "__pycache__"):
        assert list(folder.glob("*.json")), folder
        assert set_ups(folder.name)


@pytest.mark.parametrize(
    ("recorded", "real", "count"),
    [
        ({"a": 1}, {"a": 1}, 0),
        ({"a": 1}, {"a": 1, "b": 2}, 1),
        ({"a": 1, "b": 2}, {"a": 1}, 1),
        ({"a": True}, {"a": 1}, 1),
        (["<uuid>"], ["no uuid"], 1),
        (["<int>"], ["5"], 1),
        (["<int>"], [True], 1),
        (["at <time>!"], ["at 2026-01-02T03:04:05!"], 0),
        (["at <time>!"], ["at 2026-01-02T03:04:05"], 1),
        ([1, 2], [1], 1),
        (None, {}, 1),
    ],
)
def test_a_difference_is_seen(recorded: Any, real: Any, count: int) -> None:
    assert len(list(differences(recorded, real))) == count
