"""The comparison itself: a replay that cannot fail would prove nothing."""

from typing import Any

import pytest

from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import Transport
from tests.requesters.conftest import PATIENT
from tests.requesters.recorded import differences, replay


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": [1, "x"]}, {"a": [1, "x"]}),
        ({"id": "<any>"}, {"id": None}),
        ({"id": "<regex:c_[0-9]+>"}, {"id": "c_17"}),
        (1, 1.0),
    ],
)
def test_what_is_the_same(expected: Any, actual: Any) -> None:
    assert differences(expected, actual) == []


@pytest.mark.parametrize(
    ("expected", "actual", "where"),
    [
        ({"a": 1}, {}, "$.a: missing"),
        ({}, {"a": 1}, "$.a: not expected: 1"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a: expected [1], got [1, 2]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "$.a[0].b: expected 1, got 2"),
        ("<regex:c_[0-9]+>", "c_x", "$: 'c_x' is not of the form c_[0-9]+"),
        ("<regex:.*>", None, "$: None is not of the form .*"),
        (1, True, "$: expected 1, got True"),
        ({"a": "<any>"}, {}, "$.a: missing"),
    ],
)
def test_what_differs_and_where(expected: Any, actual: Any, where: str) -> None:
    assert differences(expected, actual) == [where]


def test_a_replay_tells_what_was_asked_and_what_was_answered_otherwise(transport: Transport) -> None:
    exchange = {
        "operation": "chat",
        "inner_request": {"model": "m", "messages": []},
        "vendor_request": {"url": "https://vendor.example/chat?a=1", "body": {"model": "n", "messages": []}},
        "vendor_response": {"body": {"id": "a"}},
        "inner_response": {"id": "b"},
    }
    found = replay(exchange, lambda origin, _: Requester(Endpoint(origin, "sk-recorded", PATIENT), transport))
    assert sorted(found) == [
        "answered.id: expected 'b', got 'a'",
        "asked[0].body.model: expected 'n', got 'm'",
        "asked[0].path: expected '/chat?a=1', got '/chat/completions'",
    ]
