"""An upstream's bad day, as its callers see it: not at all, as long as somebody else can answer."""

import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from providers.models import ProviderKey, Rest
from providers.requesters.errors import Unavailable
from providers.services import board_sync
from providers.services.board import board
from providers.services.routing import load_catalog
from tests import factories
from tests.routing.conftest import Routes, last_charge, pass_time

ERROR = {"error": {"message": "no", "type": "invalid_request_error"}}


def coded(code: str) -> dict[str, object]:
    return {"error": {"message": "no", "type": "invalid_request_error", "code": code, "param": "messages"}}


# Other deployments, other names


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_another_deployment_answers(routes: Routes, status: int) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].mishap(status)
    assert routes.served_by() == "b"
    charge = last_charge()
    assert (charge.provider_name, charge.attempts, charge.state) == ("b", 2, "settled")
    assert charge.route.startswith("echo@a ")


def test_a_stream_that_breaks_before_its_first_word_is_taken_over(routes: Routes) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    routes.fakes["a"].reply_events("echo", role, is_complete=False)
    answer = routes.chat(stream=True, max_tokens=3)
    assert answer.headers["x-weighbridge-route"].endswith("echo@b")
    text = answer.getvalue().decode()
    assert '"error"' not in text
    assert text.count("tok0") == 1


def test_after_the_first_word_nobody_takes_over(routes: Routes) -> None:
    routes.deployment("a", upstream_name="cut", priority=0)
    routes.deployment("b", priority=1)
    assert '"error"' in routes.chat(stream=True).getvalue().decode()
    assert routes.calls("b") == 0


def test_a_bad_request_is_the_callers_own(routes: Routes) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].reply_json("echo", ERROR, status=400)
    assert routes.chat().status_code == 400
    assert routes.calls("b") == 0
    assert not board().rests


def test_a_fallback_answers_under_its_own_name_and_price(routes: Routes) -> None:
    routes.deployment("a", "big", fallbacks=["small"])
    routes.deployment("b", "small", price_out=Decimal(1000))
    routes.fakes["a"].mishap(500)
    assert routes.served_by("big", max_tokens=10) == "b"
    charge = last_charge()
    assert (charge.model_name, charge.price_out) == ("small", Decimal(1000))
    assert charge.hold > charge.fee > Decimal("0.01")


def test_a_fallback_needs_a_grant_like_any_model(routes: Routes) -> None:
    big = routes.deployment("a", "big", fallbacks=["small"])
    routes.deployment("b", "small")
    key = factories.key(all_models=False)
    factories.grant(key, big)
    routes.fakes["a"].mishap(500)
    assert routes.chat("big", key).status_code == 502
    assert routes.calls("b") == 0


def test_a_fallback_that_the_key_can_t_pay_is_no_obstacle(routes: Routes) -> None:
    routes.deployment("a", "small", fallbacks=["big"], context_fallbacks=["big"])
    routes.deployment("b", "big", price_in=Decimal(5000), price_out=Decimal(5000))
    key = factories.key(month_quota=Decimal("0.01"))
    assert routes.served_by("small", key=key, max_tokens=5) == "a"
    routes.fakes["a"].mishap(500)
    assert routes.chat("small", key, max_tokens=5).status_code == 502
    assert routes.calls("b") == 0


@pytest.mark.parametrize(
    ("field", "code"), [("context_fallbacks", "context_length_exceeded"), ("filter_fallbacks", "content_filter")]
)
def test_some_errors_have_fallbacks_of_their_own(routes: Routes, field: str, code: str) -> None:
    routes.deployment("a", "big", **{field: ["other"], "fallbacks": ["wrong"]})
    routes.deployment("b", "other")
    routes.deployment("c", "wrong")
    routes.fakes["a"].reply_json("echo", coded(code), status=400)
    assert routes.served_by("big") == "b"
    assert routes.calls("c") == 0


def test_without_such_fallbacks_the_caller_is_told(routes: Routes) -> None:
    routes.deployment("a", "big", fallbacks=["other"])
    routes.deployment("b", "other")
    routes.fakes["a"].reply_json("echo", coded("context_length_exceeded"), status=400)
    answer = routes.chat("big")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_the_route_is_told_with_a_failure_too(routes: Routes) -> None:
    routes.deployment("a")
    routes.fakes["a"].mishap(500)
    assert routes.chat().headers["x-weighbridge-route"] == "echo@a upstream_unavailable"


# Again, after a pause


def test_500_then_fine_is_fine(routes: Routes) -> None:
    routes.deployment("a", provider={"retries": 1})
    routes.fakes["a"].mishap(500)
    assert routes.served_by() == "a"
    assert (routes.calls("a"), last_charge().attempts) == (2, 2)


def test_no_more_retries_than_were_asked_for(routes: Routes) -> None:
    routes.deployment("a", provider={"retries": 2})
    routes.fakes["a"].mishap(500, times=9)
    assert routes.chat().status_code == 502
    assert routes.calls("a") == 3
    assert last_charge().state == "released"


def test_a_short_retry_after_is_waited_for(routes: Routes) -> None:
    routes.deployment("a", provider={"retries": 1})
    routes.fakes["a"].mishap(429, Retry_After="1")
    started = time.monotonic()
    assert routes.served_by() == "a"
    assert time.monotonic() - started >= 1


def test_a_long_one_is_told_to_the_caller_and_the_upstream_is_left_alone(routes: Routes) -> None:
    routes.deployment("a", provider={"retries": 2})
    routes.fakes["a"].mishap(429, Retry_After="60")
    for _ in range(3):
        answer = routes.chat()
        assert (answer.status_code, int(answer.headers["retry-after"])) == (429, 60)
    assert routes.calls("a") == 1


def test_a_timeout_is_not_tried_again_in_the_same_place(routes: Routes) -> None:
    routes.deployment("a", upstream_name="hang", provider={"retries": 3, "first_byte_timeout": 0.3})
    assert routes.chat().status_code == 504
    assert routes.calls("a") == 1


def test_retries_end_with_the_deadline(routes: Routes) -> None:
    routes.deployment("a", provider={"retries": 5})
    routes.fakes["a"].mishap(500, times=9)
    started = time.monotonic()
    assert routes.chat(headers={"x-weighbridge-timeout": "0.5"}).status_code == 502
    assert time.monotonic() - started < 1
    assert routes.calls("a") < 5


@pytest.mark.parametrize("name", ["timeout", "first-byte-timeout"])
def test_a_caller_may_have_less_patience(routes: Routes, name: str) -> None:
    routes.deployment("a", upstream_name="hang")
    started = time.monotonic()
    assert routes.chat(headers={f"x-weighbridge-{name}": "0.3"}).status_code == 504
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_patience_is_a_number_of_seconds(routes: Routes, value: str) -> None:
    routes.deployment("a")
    answer = routes.chat(headers={"x-weighbridge-idle-timeout": value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Weighbridge-Idle-Timeout")


# Rests


def test_who_failed_is_left_alone_while_others_answer(routes: Routes) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].mishap(500)
    assert [routes.served_by() for _ in range(3)] == ["b"] * 3
    assert routes.calls("a") == 1


def test_who_is_all_there_is_is_asked_all_the_same(routes: Routes) -> None:
    routes.deployment("a")
    routes.fakes["a"].mishap(500)
    assert routes.chat().status_code == 502
    assert routes.served_by() == "a"
    assert not board().rests


def test_who_began_to_rest_meanwhile_comes_last(routes: Routes) -> None:
    routes.deployment("a", upstream_name="late-error", priority=0)
    resting = routes.deployment("b", priority=1)
    routes.deployment("c", priority=2)
    target = next(each for each in load_catalog().routes[("llm", "echo")] if each.model_id == resting.pk)
    failure = Unavailable("another call met an outage")
    threading.Timer(1, lambda: board().failed(target, target.accesses[0], failure, time.time() + 60)).start()
    assert routes.served_by() == "c"
    assert routes.calls("b") == 0


def test_after_its_rest_one_call_at_a_time_tries(routes: Routes) -> None:
    model = routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].mishap(500, times=2)
    routes.served_by()
    pass_time((model.pk, None))
    assert routes.served_by() == "b"  # this one tried a, in vain
    assert (routes.calls("a"), board().rests[(model.pk, None)].failures) == (2, 2)
    pass_time((model.pk, None), is_tried=True)
    assert routes.served_by() == "b"  # somebody is trying it
    pass_time((model.pk, None))
    assert routes.served_by() == "a"
    assert not board().rests


def test_a_key_that_is_refused_is_set_aside_and_the_next_one_serves(routes: Routes) -> None:
    provider = routes.upstream("a", secret="sk-this-one-is-wrong-000")
    model = factories.model(provider)
    wrong = provider.keys.get()
    right = ProviderKey.objects.create(provider=provider, name="second", secret=routes.fakes["a"].key, weight=0)
    assert routes.served_by() == "a"
    assert routes.calls("a") == 2
    assert routes.served_by() == "a"
    assert routes.calls("a") == 3  # the wrong one is not asked again
    assert list(board().rests) == [(None, wrong.pk)]
    assert board().rests[(None, wrong.pk)].is_firm
    assert (model.pk, right.pk) not in board().rests


def test_when_every_key_is_refused_nobody_is_told_to_wait(routes: Routes) -> None:
    provider = routes.upstream("a", secret="sk-this-one-is-wrong-000")
    factories.model(provider)
    for _ in range(2):
        answer = routes.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_auth_failed")
        assert "retry-after" not in answer.headers
    assert routes.calls("a") == 1


def test_a_key_at_its_limit_rests_for_as_long_as_it_said(routes: Routes) -> None:
    provider = routes.upstream("a")
    model = factories.model(provider)
    first = provider.keys.get()
    second = ProviderKey.objects.create(provider=provider, name="second", secret=routes.fakes["a"].key, weight=0)
    routes.fakes["a"].mishap(429, Retry_After="30")
    assert routes.served_by() == "a"
    rest = board().rests[(model.pk, first.pk)]
    assert 29 < rest.until - time.time() <= 30
    assert (model.pk, second.pk) not in board().rests


def test_all_processes_hear_of_a_rest_and_of_its_end(routes: Routes) -> None:
    model = routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    routes.fakes["a"].mishap(500)
    routes.served_by()
    board_sync.Exchange(board()).run()
    row = Rest.objects.get()
    assert (row.model_id, row.key_id, row.code, row.failures) == (model.pk, None, "upstream_unavailable", 1)
    Rest.objects.all().delete()  # an operator ends it
    board_sync.hear()
    assert not board().rests
    Rest.objects.create(
        model=model,
        until=timezone.now() + timedelta(minutes=1),
        since=timezone.now(),
        reason="seen elsewhere",
        code="upstream_timeout",
    )
    board_sync.hear()
    assert routes.served_by() == "b"


# Parameters that the upstream does not know


def unknown(name: str) -> dict[str, object]:
    return {"error": {"message": "no", "type": "invalid_request_error", "code": "unsupported_parameter", "param": name}}


def test_a_parameter_that_an_upstream_refuses_is_left_out_and_named(routes: Routes) -> None:
    routes.deployment("a", "strict", upstream_name="strict")
    routes.fakes["a"].reply_json("strict", unknown("logit_bias"), status=400)
    answer = routes.chat("strict", logit_bias={"1": 2})
    assert answer.status_code == 400  # the script refuses for ever: it was asked twice, no more
    assert [("logit_bias" in each.body) for each in routes.fakes["a"].seen] == [True, False]
    routes.fakes["a"].replies.clear()
    routes.fakes["a"].reply_json("strict", {"choices": []})
    answer = routes.chat("strict", logit_bias={"1": 2})
    assert answer.headers["x-weighbridge-dropped"] == "logit_bias"
    assert "logit_bias" not in routes.sent("a")


def test_a_policy_can_refuse_them(routes: Routes) -> None:
    routes.deployment("a", "strict", provider={"requester": "anthropic-messages"}, unknown_params="refuse")
    answer = routes.chat("strict", logit_bias={"1": 2})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "logit_bias")
    assert routes.calls("a") == 0


def test_a_deployment_that_knows_them_is_found(routes: Routes) -> None:
    strict = {"requester": "anthropic-messages"}
    routes.deployment("a", "model", provider=strict, unknown_params="refuse", priority=0)
    routes.deployment("b", "model", priority=1)
    assert routes.served_by("model", logit_bias={"1": 2}) == "b"


def test_a_policy_can_have_them_written_down(routes: Routes) -> None:
    model = routes.deployment("a", "strict", upstream_name="strict", unknown_params="report")
    routes.fakes["a"].reply_json("strict", unknown("logit_bias"), status=400)
    routes.chat("strict", logit_bias={"1": 2})
    routes.fakes["a"].reply_json("strict", {"choices": []})
    routes.chat("strict", logit_bias={"1": 2})
    assert last_charge().route == "left out: logit_bias"
    assert last_charge().model_id == model.pk


def test_what_a_call_can_t_do_without_is_never_left_out(routes: Routes) -> None:
    routes.deployment("a", "strict", upstream_name="strict")
    routes.fakes["a"].reply_json("strict", unknown("messages"), status=400)
    assert routes.chat("strict").status_code == 400
    assert routes.calls("a") == 1


def test_a_database_that_stumbles_takes_no_provider_out_of_the_routes(routes: Routes) -> None:
    """Read once more, the picture is whole: nobody may go without calls until the next edit."""
    routes.deployment("a")
    stumbles = [True]

    def execute_or_fail(execute: Any, sql: str, *rest: Any) -> Any:
        if "providerkey" in sql and '"secret"' in sql and stumbles and stumbles.pop():
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(execute_or_fail):
        assert routes.chat().status_code == 503
        assert routes.served_by() == "a"
    assert not stumbles
