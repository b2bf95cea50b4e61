"""One caller's odd wishes are no deployment's failures: nobody rests, and nobody else is sent elsewhere, for them."""

import threading
import time
from decimal import Decimal

import pytest

from accounts.services.keys import Caller, caller_of
from chat.services import completions
from chat.services.calls import ENDPOINTS, Call
from providers.models import ProviderKey
from providers.requesters.errors import ProviderError
from providers.services.board import board
from tests import factories
from tests.routing.conftest import Routes, last_charge
from tests.routing.test_failures import coded

OPEN = {"allows_other_upstream": True}


def caller(routes: Routes) -> Caller:
    return caller_of(routes.key.key)


def call(routes: Routes, **options: object) -> Call:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    return Call(ENDPOINTS["chat"], body, 60, caller(routes), f"req_{time.monotonic_ns()}", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["timeout", "first-byte-timeout"])
def test_a_callers_own_impatience_lets_nobody_rest(routes: Routes, name: str) -> None:
    routes.deployment("a", upstream_name="hang")
    assert routes.chat(headers={f"x-weighbridge-{name}": "0.1"}).status_code == 504
    assert not board().rests


def test_patience_that_is_longer_than_the_providers_changes_nothing(routes: Routes) -> None:
    model = routes.deployment("a", upstream_name="hang", provider={"first_byte_timeout": 0.2})
    assert routes.chat(headers={"x-weighbridge-timeout": "30"}).status_code == 504
    assert board().rests[(model.pk, None)].code == "upstream_timeout"


def test_a_deadline_that_is_over_before_the_next_try_blames_nobody(routes: Routes) -> None:
    routes.deployment("a", upstream_name="hang", priority=0)
    routes.deployment("b", priority=1)
    assert routes.chat(headers={"x-weighbridge-timeout": "0.1"}).status_code == 504
    assert not board().rests


@pytest.mark.parametrize("upstream_model", ["nonsense", "401", "429", "500"])
def test_another_upstream_model_that_fails_is_not_this_one(routes: Routes, upstream_model: str) -> None:
    routes.deployment("a", priority=0, **OPEN)
    routes.deployment("b", priority=1, **OPEN)
    assert routes.chat(f"echo/{upstream_model}").status_code in (429, 502)
    assert not board().rests
    assert routes.served_by() == "a"


def test_another_upstream_model_that_answers_ends_no_rest_of_this_one(routes: Routes) -> None:
    model = routes.deployment("a", **OPEN)
    routes.fakes["a"].reply_json("echo", coded("rate_limit_exceeded"), status=429)
    assert routes.chat().status_code == 429
    key = ProviderKey.objects.get()
    assert (model.pk, key.pk) in board().rests
    assert routes.chat("echo/slow", max_tokens=1).status_code == 200
    assert (model.pk, key.pk) in board().rests


def test_a_server_without_text_completions_still_chats(routes: Routes) -> None:
    routes.deployment("a", priority=0)
    routes.deployment("b", priority=1)
    for fake in routes.fakes.values():
        fake.mishap(404)
    answer = routes.client.post(
        "/v1/completions",
        {"model": "echo", "prompt": "hi"},
        content_type="application/json",
        headers={"authorization": f"Bearer {routes.key.secret}"},
    )
    assert answer.status_code == 502
    assert not board().rests
    assert routes.served_by() == "a"


def test_who_loses_the_last_room_below_a_ceiling_lets_nobody_rest(routes: Routes) -> None:
    """All are planned while there is room, and only one finds it."""
    routes.deployment("a", upstream_name="slow", max_parallel=1, priority=0)
    routes.deployment("b", priority=1)
    gate = threading.Barrier(6)
    begin = board().begin

    def meet(*arguments: object) -> bool:
        if arguments[0].provider_name == "a":  # type: ignore[attr-defined]
            gate.wait(5)
        return begin(*arguments)  # type: ignore[arg-type]

    board().begin = meet  # type: ignore[method-assign,assignment]
    threads = [threading.Thread(target=completions.run, args=(call(routes),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert routes.calls("a") == 1
    assert routes.calls("b") == 5
    assert not board().rests


def test_a_fallback_without_a_key_is_passed_over(routes: Routes) -> None:
    routes.deployment("a", "big", context_fallbacks=["other"])
    routes.deployment("b", "other")
    ProviderKey.objects.filter(provider__name="b").update(is_enabled=False)
    routes.fakes["a"].reply_json("echo", coded("context_length_exceeded"), status=400)
    assert routes.chat("big").status_code == 400


def test_nothing_new_is_asked_for_a_caller_who_has_left(routes: Routes) -> None:
    """A provider that drains is read to its end, but a failure there is no reason to ask the next one."""
    routes.deployment("a", priority=0, provider={"on_disconnect": "drain"}, upstream_name="late-error")
    routes.deployment("b", priority=1)
    made = call(routes)
    threading.Timer(0.5, made.leave).start()
    with pytest.raises(ProviderError, match="has left"):
        completions.run(made)
    assert routes.calls("b") == 0
    assert last_charge().outcome == "client_closed"


def test_hedges_stay_with_the_name(routes: Routes) -> None:
    """A fallback is for failures: another model is no second opinion on the same one."""
    usual = routes.deployment("a", upstream_name="slow", is_hedged=True, fallbacks=["other"])
    routes.deployment("b", "other")
    board().traffic_of_model(usual.pk).first_bytes_ms.extend([1] * 30)
    assert routes.served_by(max_tokens=3) == "a"
    assert routes.calls("b") == 0


def test_a_hedge_that_fails_is_not_sent_once_more(routes: Routes) -> None:
    usual = routes.deployment("a", upstream_name="late-error", is_hedged=True, priority=0)
    routes.deployment("b", upstream_name="500", priority=1)
    board().traffic_of_model(usual.pk).first_bytes_ms.extend([1] * 30)
    assert routes.chat().status_code == 502
    assert (routes.calls("a"), routes.calls("b")) == (1, 1)


def test_a_model_without_a_row_is_asked_for_no_longer_answer_than_is_held(routes: Routes) -> None:
    routes.deployment("a", upstream_name="slow", max_output=5, **OPEN)
    key = factories.key(month_quota=Decimal(100))
    assert routes.chat("echo/echo", key).status_code == 200
    assert routes.sent("a")["max_tokens"] > 5
    assert last_charge().fee <= last_charge().hold


def test_who_leaves_after_a_refusal_pays_for_nothing(routes: Routes) -> None:
    """What was answered with a 500 is not billed by the vendor, so it is not by us, whatever the caller did then."""
    routes.deployment("a", provider={"retries": 5})
    routes.fakes["a"].mishap(500, times=9)
    made = call(routes)
    threading.Timer(0.6, made.leave).start()
    with pytest.raises(ProviderError):
        completions.run(made)
    assert (last_charge().outcome, last_charge().fee) == ("client_closed", 0)
