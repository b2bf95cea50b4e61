from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from providers.requesters import errors
from providers.requesters.errors import (
    AuthFailed,
    BadRequest,
    Cancelled,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Unavailable,
)
from providers.requesters.failures import AUTH_MESSAGE, read_retry_after, to_error

KEY = "sk-canary-0123456789"


def error(code: str | None = None, kind: str = "x", message: str = "said") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "payload", "expected"),
    [
        (400, error(), BadRequest),
        (400, error("context_length_exceeded"), ContextTooLong),
        (400, error("content_filter"), ContentFiltered),
        (400, error("moderation_blocked", "image_generation_user_error"), ContentFiltered),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, ContextTooLong),
        (400, error("model_not_found"), ModelNotFound),
        (400, error(kind="authentication_error"), AuthFailed),
        (400, None, BadRequest),
        (401, error(), AuthFailed),
        (401, error("rate_limit_exceeded"), AuthFailed),
        (402, error("insufficient_balance"), RateLimited),
        (403, error(), AuthFailed),
        (404, error("model_not_found"), ModelNotFound),
        (404, None, ModelNotFound),
        (408, None, Timeout),
        (413, error(kind="request_too_large"), BadRequest),
        (418, error(), BadRequest),
        (422, {"detail": [{"loc": ["body"]}]}, BadRequest),
        (429, error("insufficient_quota"), RateLimited),
        (429, error("model_not_found"), RateLimited),
        (500, error(), Unavailable),
        (502, None, Unavailable),
        (503, error(), Overloaded),
        (504, None, Timeout),
        (520, "text", Unavailable),
        (529, error(kind="overloaded_error"), Overloaded),
        (200, error(kind="overloaded_error"), Overloaded),
        (200, error("429"), RateLimited),
        (200, {}, Unavailable),
    ],
)
def test_the_status_decides_first_and_the_code_second(status: int, payload: Any, expected: type[ProviderError]) -> None:
    assert type(to_error(status, payload, {}, [])) is expected


@pytest.mark.parametrize(
    ("payload", "message", "code", "param"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c", "param": "p"}}, "m", "c", "p"),
        ({"type": "error", "error": {"type": "t", "message": "m"}}, "m", "t", None),
        ({"error": "m"}, "m", None, None),
        ({"object": "error", "message": "m", "type": "t", "code": 400}, "m", "400", None),
        ({"detail": "m"}, "m", None, None),
        ([{"error": {"message": "m", "code": 400}}], "m", "400", None),
        ({"error": {"message": None, "param": 7}}, "upstream answered 400", None, None),
        ({"error": {}}, "upstream answered 400", None, None),
        ({}, "upstream answered 400", None, None),
        ([], "upstream answered 400", None, None),
        (None, "upstream answered 400", None, None),
        ("<html>", "upstream answered 400", None, None),
    ],
)
def test_every_known_shape_is_read(payload: Any, message: str, code: str | None, param: str | None) -> None:
    found = to_error(400, payload, {}, [])
    assert (found.message, found.upstream_code, found.param, found.upstream_status) == (message, code, param, 400)


def test_the_key_is_scrubbed_from_whatever_upstream_says() -> None:
    payload = {"error": {"message": f"bad {KEY}!", "code": f"c-{KEY}", "param": f"p-{KEY}"}}
    found = to_error(400, payload, {}, [KEY])
    assert found.message == "bad ***!"
    assert KEY not in f"{found} {vars(found)}"


def test_a_long_message_is_cut_after_scrubbing() -> None:
    found = to_error(400, error(message="x" * 490 + KEY + "y" * 1000), {}, [KEY])
    assert found.message == "x" * 490 + "***" + "y" * 7


def test_a_refused_key_is_not_quoted_even_in_part() -> None:
    found = to_error(401, error(message="Incorrect API key provided: sk-c***6789"), {}, [KEY])
    assert found.message == AUTH_MESSAGE


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert read_retry_after(headers) == expected


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < (read_retry_after({"retry-after": date}) or 0) <= 90


@pytest.mark.parametrize(
    ("kind", "status", "code", "retryable"),
    [
        (errors.BadRequest, 400, "invalid_request_error", False),
        (errors.AuthFailed, 502, "upstream_auth_failed", True),
        (errors.ModelNotFound, 502, "upstream_model_not_found", True),
        (errors.RateLimited, 429, "rate_limit_exceeded", True),
        (errors.Unavailable, 502, "upstream_unavailable", True),
        (errors.Overloaded, 503, "upstream_overloaded", True),
        (errors.Timeout, 504, "upstream_timeout", True),
        (errors.BadAnswer, 502, "upstream_bad_answer", True),
        (errors.Truncated, 502, "upstream_bad_answer", True),
        (errors.EgressRefused, 502, "egress_refused", True),
        (errors.Cancelled, 499, "client_closed", False),
    ],
)
def test_the_facts_of_each_error(kind: type[ProviderError], status: int, code: str, retryable: bool) -> None:
    assert (kind.status, kind.code, kind.retryable) == (status, code, retryable)


def test_an_error_carries_what_it_was_given() -> None:
    found = Cancelled("gone", upstream_status=1, retry_after=2.0, param="p", upstream_code="c")
    assert str(found) == "gone"
    assert (found.upstream_status, found.retry_after, found.param, found.upstream_code) == (1, 2.0, "p", "c")
