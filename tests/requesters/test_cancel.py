import threading
import time
from collections.abc import Callable

import pytest

from providers.requesters.base import Requester
from providers.requesters.egress import CancelToken
from providers.requesters.errors import Cancelled
from tests.fakes.openai import FakeOpenAI
from tests.fakes.server import JSON


def body(model: str) -> JSON:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


def cancel_soon(token: CancelToken, condition: Callable[[], object]) -> None:
    def work() -> None:
        while not condition():
            time.sleep(0.01)
        time.sleep(0.1)
        token.cancel()

    threading.Thread(target=work, daemon=True).start()


def test_before_the_call_nothing_is_sent(requester: Requester, openai: FakeOpenAI) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled) as caught:
        requester.chat(body("echo"), token)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (499, "client_closed", False)
    assert openai.seen == []


@pytest.mark.parametrize("call", [Requester.chat, Requester.stream])
def test_before_the_headers_it_ends_at_once(
    requester: Requester, openai: FakeOpenAI, call: Callable[..., object]
) -> None:
    token = CancelToken()
    cancel_soon(token, lambda: openai.seen)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        call(requester, body("hang"), token)
    assert time.monotonic() - started < 3
    assert openai.wait_until("closed_early")


def test_midstream_it_ends_at_once(requester: Requester, openai: FakeOpenAI) -> None:
    token = CancelToken()
    stream = requester.stream(body("hang-midstream"), token)
    events = [next(stream), next(stream)]
    cancel_soon(token, lambda: True)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        next(stream)
    assert len(events) == 2
    assert time.monotonic() - started < 3
    assert openai.wait_until("closed_early")


def test_a_body_without_a_known_end_does_not_look_finished(requester: Requester, openai: FakeOpenAI) -> None:
    events = [b'data: {"choices": []}\n\n'] * 2
    openai.reply("mine", *events, framing="close", headers={"Content-Type": "text/event-stream"}, seconds_between=5)
    token = CancelToken()
    stream = requester.stream(body("mine"), token)
    next(stream)
    cancel_soon(token, lambda: True)
    with pytest.raises(Cancelled):
        next(stream)


def test_between_reads_it_ends_at_the_next(requester: Requester) -> None:
    token = CancelToken()
    stream = requester.stream(body("slow-forever"), token)
    next(stream)
    token.cancel()
    with pytest.raises(Cancelled):
        next(stream)


def test_a_reused_connection_is_bound_too(requester: Requester, openai: FakeOpenAI) -> None:
    requester.chat(body("echo"))
    token = CancelToken()
    cancel_soon(token, lambda: len(openai.seen) == 2)
    with pytest.raises(Cancelled):
        requester.chat(body("hang"), token)
    assert openai.connections == 1


def test_an_old_token_cannot_cut_the_next_call_on_the_connection(requester: Requester, openai: FakeOpenAI) -> None:
    token = CancelToken()
    requester.chat(body("echo"), token)
    stream = requester.stream(body("slow"))
    next(stream)
    token.cancel()
    assert len(list(stream)) == 11
    assert openai.connections == 1


def test_one_token_serves_one_call_after_another(requester: Requester) -> None:
    token = CancelToken()
    requester.chat(body("echo"), token)
    stream = requester.stream(body("slow-forever"), token)
    next(stream)
    token.cancel()
    with pytest.raises(Cancelled):
        list(stream)
