"""Limits as callers of the OpenAI API see them: refusals, what is left, warnings, tags."""

from typing import Any

import pytest

from accounts.models import Charge, LimitCounter, Metric, Subject, Window
from accounts.services import limits
from accounts.services.ledger.audit import audit
from tests.gateway.openai.conftest import Api

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def _whole(database: None) -> Any:
    yield
    assert audit() == []
    assert not LimitCounter.objects.exclude(held=0).exists()


def rpm(most: int = 1, **fields: Any) -> Any:
    return limits.add(name="rpm", metric=Metric.REQUESTS, window=Window.DAY, most=most, **fields)


def test_a_request_too_many_is_told_which_limit_and_when_it_resets(api: Api) -> None:
    limits.add(name="alice's rpm", metric=Metric.REQUESTS, window=Window.HOUR, most=1, subject=Subject.KEY)
    assert api.chat().status_code == 200
    refused = api.chat()
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert error["message"].startswith(
        "The limit `alice's rpm` allows 1 request an hour; left: 0 requests. It begins anew in "
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["x-ratelimit-limit-requests"] == "1"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert len(api.upstream.seen) == 1
    assert Charge.objects.count() == 1
