"""Deployments that keep to their abilities: what each gets of a call, and which comes first."""

from typing import Any

import pytest

from chat.services import abilities
from tests.chat.test_abilities import JSON, LOOK, PIXEL, WEATHER, called, result, user
from tests.routing.conftest import Routes, last_charge


def ask(routes: Routes, **fields: Any) -> Any:
    history = [user(), called("weather"), result("weather"), LOOK]
    return routes.chat(**{"messages": history, "tools": [WEATHER], **fields})


def test_a_row_that_keeps_to_its_abilities_leaves_out_the_rest_and_names_it(routes: Routes) -> None:
    routes.deployment("a", keeps_to_abilities=True)
    answer = ask(routes)
    assert answer.status_code == 200
    assert answer.headers["x-weighbridge-dropped"] == "image_url, tools, tool_calls"
    sent = routes.sent("a")
    assert "tools" not in sent
    assert PIXEL["type"] not in repr(sent)
    assert {message["role"] for message in sent["messages"]} == {"user", "assistant"}


@pytest.mark.parametrize("fields", [{}, {"keeps_to_abilities": True, "abilities": ["vision", "func_call"]}])
def test_others_get_the_call_as_it_is(routes: Routes, fields: JSON) -> None:
    routes.deployment("a", **fields)
    answer = ask(routes)
    assert "x-weighbridge-dropped" not in answer.headers
    assert routes.sent("a")["messages"][-1] == LOOK
    assert routes.sent("a")["tools"] == [WEATHER]


def test_a_row_that_refuses_says_what_it_does_not_take(routes: Routes) -> None:
    routes.deployment("a", keeps_to_abilities=True, abilities=["func_call"], unknown_params="refuse")
    answer = ask(routes)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "image_url")
    assert error["message"] == "echo on a does not take image_url"
    assert routes.calls("a") == 0
    assert routes.chat().status_code == 200


def test_one_that_reports_writes_it_down(routes: Routes) -> None:
    routes.deployment("a", keeps_to_abilities=True, unknown_params="report")
    ask(routes)
    assert last_charge().route == "left out: image_url, tools, tool_calls"


def test_a_stream_goes_the_same_way(routes: Routes) -> None:
    routes.deployment("a", keeps_to_abilities=True, abilities=["func_call"])
    answer = ask(routes, stream=True)
    assert answer.headers["x-weighbridge-dropped"] == "image_url"
    assert b"[DONE]" in b"".join(answer.streaming_content)


def test_a_call_goes_to_a_deployment_that_gets_all_of_it(routes: Routes) -> None:
    routes.deployment("blind", keeps_to_abilities=True, priority=0)
    routes.deployment("seer", keeps_to_abilities=True, abilities=["vision"], priority=1)
    assert {routes.served_by(messages=[LOOK]) for _ in range(5)} == {"seer"}
    assert {routes.served_by() for _ in range(5)} == {"blind"}


def test_the_blind_one_still_answers_when_the_other_is_down(routes: Routes) -> None:
    routes.deployment("blind", keeps_to_abilities=True)
    routes.deployment("seer", upstream_name="500")
    answer = routes.chat(messages=[LOOK])
    assert answer.headers["x-weighbridge-route"].endswith("echo@blind")
    assert answer.headers["x-weighbridge-dropped"] == "image_url"


def test_each_deployment_gets_what_it_takes(routes: Routes) -> None:
    """One that refuses is passed over; a fallback that sees gets the images."""
    routes.deployment("a", "blind", keeps_to_abilities=True, fallbacks=["seer"], upstream_name="500")
    routes.deployment("b", "seer", keeps_to_abilities=True, abilities=["vision"])
    answer = routes.chat("blind", messages=[LOOK])
    assert answer.status_code == 200
    assert "x-weighbridge-dropped" not in answer.headers
    assert routes.sent("a")["messages"] == [user([{"type": "text", "text": "Look:"}])]
    assert routes.sent("b")["messages"] == [LOOK]


def test_an_image_that_was_not_sent_is_not_charged(routes: Routes) -> None:
    routes.deployment("a", keeps_to_abilities=True, upstream_name="no-usage")
    routes.chat(messages=[LOOK])
    charge = last_charge()
    assert charge.usage_source == "estimated"
    assert 0 < charge.input_tokens < 100


def test_another_upstream_model_has_abilities_of_its_own(routes: Routes) -> None:
    routes.deployment("a", "mine", keeps_to_abilities=True, allows_other_upstream=True)
    answer = routes.chat("mine/slow", messages=[LOOK])
    assert answer.status_code == 200
    assert routes.sent("a")["messages"] == [LOOK]


def test_rows_without_the_flag_walk_over_no_messages(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    routes.deployment("a")
    routes.deployment("b")
    monkeypatch.setattr(abilities, "_messages", lambda body: pytest.fail("nobody wants to know"))
    assert routes.chat(messages=[LOOK], tools=[WEATHER]).status_code == 200
