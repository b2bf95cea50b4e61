"""What keeps an answer within its hold stays, whatever an upstream does not know."""

import json
from decimal import Decimal

from tests import factories
from tests.routing.conftest import Routes, last_charge


def unknown(field: str) -> dict[str, object]:
    return {
        "error": {
            "message": f"Unsupported parameter: '{field}'",
            "type": "invalid_request_error",
            "code": "unsupported_parameter",
            "param": field,
        }
    }


def refuse(routes: Routes, upstream: str, field: str) -> None:
    """The upstream refuses its next call, as OpenAI's reasoning models do."""
    routes.fakes[upstream].mishap(400)
    routes.fakes[upstream].mishaps[-1].pieces = [json.dumps(unknown(field)).encode()]


def test_an_unknown_limit_goes_by_its_other_name(routes: Routes) -> None:
    routes.deployment("a", max_output=None)
    refuse(routes, "a", "max_tokens")
    key = factories.key(month_quota=Decimal("0.001"))
    assert routes.chat(key=key, max_tokens=100_000).status_code == 200
    first, second = (each.body for each in routes.fakes["a"].seen)
    assert "max_tokens" not in second
    assert second["max_completion_tokens"] == first["max_tokens"] < 1000
    assert last_charge().fee <= last_charge().hold


def test_what_was_learned_holds_for_the_next_call(routes: Routes) -> None:
    routes.deployment("a", max_output=None)
    refuse(routes, "a", "max_tokens")
    for _ in range(2):
        assert "x-weighbridge-dropped" not in routes.chat(max_tokens=7).headers
    assert routes.sent("a")["max_completion_tokens"] == 7
    assert routes.calls("a") == 3


def test_the_last_name_of_a_limit_is_never_dropped(routes: Routes) -> None:
    routes.deployment("a", max_output=None)
    refuse(routes, "a", "max_tokens")
    refuse(routes, "a", "max_completion_tokens")
    answer = routes.chat(max_tokens=7)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_completion_tokens")
    assert routes.calls("a") == 2
