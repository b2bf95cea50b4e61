"""Made-up calls of the service APIs: each answer is one that the OpenAPI document describes.

`MADE_UP_CALLS=10000 make test ARGS="-m made_up"` makes more of them than the suite does.

Schemathesis reads the document and makes the calls, some valid, some broken on purpose. A path's parameters are those
of real rows in every second call, and callers take turns: an admin's key, an admin's token, nobody.
"""

import json
import os
import re
import warnings
from io import StringIO
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.wsgi import application
from tests.fakes.openai import FakeOpenAI
from tests.gateway.made_up import CALLERS, Rows, only_loopback

CALLS = int(os.environ.get("MADE_UP_CALLS", "500"))
SHARDS = 8
AT_ONCE = 5  # calls of one operation before the rows are made whole again
PARAMETER = re.compile(r"\{(\w+)\}")
SERVICE_APIS = r"^/(api|healthz|admin|user|bot)"
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

pytestmark = [pytest.mark.made_up, pytest.mark.timeout(1800), pytest.mark.usefixtures("database")]


@pytest.fixture(scope="module")
def operations() -> list[Any]:
    out = StringIO()
    call_command("spectacular", format="openapi-json", stdout=out)
    document = schemathesis.openapi.from_dict(json.loads(out.getvalue()))
    return [each.ok() for each in document.include(path_regex=SERVICE_APIS).get_all_operations()]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_answer_is_a_described_one(
    shard: int, operations: list[Any], upstream: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_loopback(monkeypatch)
    rows = Rows(upstream)
    ways = [way for operation in operations[shard::SHARDS] for way in _ways(operation)]
    assert ways, "nothing is described"
    made = turn = 0
    while made < CALLS / SHARDS:
        for operation, strategy in ways:
            rows.make()
            made += _call(operation, strategy, rows, turn)
        turn += 1


def _ways(operation: Any) -> list[tuple[Any, Any]]:
    """Valid calls and broken ones; an operation that takes nothing can't be broken."""
    found = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    return [(operation, strategy) for strategy in found if _has_examples(strategy)]


def _has_examples(strategy: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        try:
            strategy.example()
        except Unsatisfiable:
            return False
    return True


def _call(operation: Any, strategy: Any, rows: Rows, turn: int) -> int:
    """How many calls were made."""
    made = 0

    @seed(turn)
    @settings(
        max_examples=AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal made
        case = data.draw(strategy)
        numbers = {name: data.draw(st.integers(0, 199)) for name in PARAMETER.findall(operation.path)}
        for name, known in rows.parameters(operation.path).items():
            if numbers[name] % 2:  # what is drawn must not depend on the rows, which other calls change
                case.path_parameters[name] = known[numbers[name] // 2 % len(known)]
        assume(all(str(value) not in ("", ".", "..") for value in (case.path_parameters or {}).values()))
        case.headers.update(rows.credentials(data.draw(st.sampled_from(CALLERS))))
        made += 1
        case.call_and_validate(app=application, base_url="http://localhost", checks=CHECKS)

    run()
    return made
