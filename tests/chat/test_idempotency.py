"""What a key's row means, whatever state its call was left in."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.errors import InvalidKey, KeyExpired
from accounts.models import ApiKey, Charge, Outcome, State, Worker
from accounts.services import keys
from accounts.services.keys import Caller
from accounts.services.ledger.types import Settled, Settlement
from accounts.services.ledger.worker import identity, identity_of
from chat.errors import AnswerNotKept, KeyReused, StillRunning
from chat.models import IdempotentCall
from chat.services import conversations, idempotency, repeatable
from chat.services.idempotency import KEPT_FOR, UNADMITTED_FOR, Asked, Kept
from chat.services.repeatable import PIECE_BYTES, Repeatable
from gateway.jobs import queue
from providers.requesters.base import Answer
from tests import factories

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def caller() -> Caller:
    return keys.caller_of(factories.key().key)


@pytest.fixture
def first(caller: Caller) -> Repeatable:
    """The key `one`, claimed by the call `req_1`."""
    return claimed(asked(caller, "req_1"))


def asked(caller: Caller, request_id: str = "req_2", key: str = "one", content: bytes = b"{}") -> Asked:
    return Asked(caller.id, caller.digest, key, idempotency.fingerprint("/v1/chat/completions", content), request_id)


def claimed(of: Asked) -> Repeatable:
    found = idempotency.claim(of)
    assert isinstance(found, Repeatable)
    return found


def store(call: Repeatable, fee: int = 0) -> None:
    """What the ledger does in its transaction."""
    key_id, _, request_id = call.mine
    settlement = Settlement(request_id, key_id, Outcome.OK, answer=call)
    Repeatable.write(connection, [Settled(settlement, 1, fee)])


def answer(call: Repeatable, text: bytes = b"{}", **headers: str) -> None:
    call.take_answer(Answer({}, text))
    call.complete(headers)
    store(call, fee=12_300_000_000)


def charge(request_id: str = "req_1", **fields: Any) -> Charge:
    key = ApiKey.objects.get()
    names = {"endpoint": "chat", "model_name": "m", "provider_name": "p", "upstream_name": "m"}
    bounds = {"prompt_bound": 1, "output_bound": 1, "hold": 0}
    return Charge.objects.create(request_id=request_id, key=key, **names, **bounds, **fields)


def worker(name: str) -> Worker:
    return Worker.objects.create(uuid=uuid4(), identity=name, seen_at=timezone.now())


def gone() -> Worker:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = identity_of(child.pid)
    child.kill()
    child.communicate()
    return worker(dead)


def make_older(by: timedelta) -> None:
    IdempotentCall.objects.update(created_at=F("created_at") - by)


class TestAnswers:
    def test_an_answer_comes_back_byte_for_byte_with_its_headers(self, caller: Caller, first: Repeatable) -> None:
        answer(first, b'{"a": 1}', **{"x-weighbridge-route": "m@p", "x-ratelimit-remaining-requests": "7"})
        found = idempotency.claim(asked(caller))
        assert isinstance(found, Kept)
        assert (found.content, found.content_type) == (b'{"a": 1}', "application/json")
        expected = {"x-request-id": "req_1", "x-weighbridge-route": "m@p", "x-weighbridge-cost": "1.23"}
        assert found.headers == expected, "and limits are not told as they were"

    @pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
    def test_answers_of_every_length(self, caller: Caller, first: Repeatable, size: int) -> None:
        data = os.urandom(size)
        answer(first, data)
        found = idempotency.claim(asked(caller))
        assert isinstance(found, Kept)
        assert found.content == data

    def test_a_long_stream_takes_little_room(self, caller: Caller, first: Repeatable) -> None:
        event = b'data: {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "%d"}}]}\n\n'
        events = [event % number for number in range(20_000)]
        for each in events:
            first.take(each)
        first.complete({})
        store(first)
        found = idempotency.claim(asked(caller))
        assert isinstance(found, Kept)
        assert max(map(len, found.pieces)) <= PIECE_BYTES
        assert found.content == b"".join(events)
        assert len(found.packed) * 5 < len(found.content)

    def test_what_can_not_be_packed_small_enough_is_not_kept(
        self, caller: Caller, first: Repeatable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(repeatable, "MOST_BYTES", 2 * PIECE_BYTES)
        answer(first, os.urandom(5 * PIECE_BYTES))
        assert first._packed == []
        with pytest.raises(AnswerNotKept):
            idempotency.claim(asked(caller))

    def test_what_is_stored_is_gzip(self, first: Repeatable) -> None:
        answer(first, b"plain")
        assert gzip.decompress(bytes(IdempotentCall.objects.get().body or b"")) == b"plain"


class TestStandings:
    def test_a_key_is_bound_to_one_request(self, caller: Caller, first: Repeatable) -> None:
        with pytest.raises(KeyReused):
            idempotency.claim(asked(caller, content=b"other"))
        answer(first)
        with pytest.raises(KeyReused):
            idempotency.claim(asked(caller, content=b"other"))

    def test_a_call_that_is_not_admitted_yet_runs_for_half_a_minute(self, caller: Caller, first: Repeatable) -> None:
        with pytest.raises(StillRunning):
            idempotency.claim(asked(caller))
        make_older(UNADMITTED_FOR)
        assert claimed(asked(caller, content=b"other")).request_id == "req_2"

    def test_a_call_whose_router_asks_runs(self, caller: Caller, first: Repeatable) -> None:
        make_older(2 * UNADMITTED_FOR)
        question = charge("req_1-r2", worker=worker(identity()))
        with pytest.raises(StillRunning):
            idempotency.claim(asked(caller))
        question.state = State.SETTLED
        question.save()
        with pytest.raises(StillRunning):
            idempotency.claim(asked(caller))
        Charge.objects.update(updated_at=F("updated_at") - UNADMITTED_FOR)
        assert claimed(asked(caller)).request_id == "req_2"

    def test_a_call_of_a_living_process_runs_however_long(self, caller: Caller, first: Repeatable) -> None:
        make_older(KEPT_FOR - UNADMITTED_FOR)
        charge(worker=worker(identity()))
        with pytest.raises(StillRunning):
            idempotency.claim(asked(caller))

    def test_a_call_of_a_dead_process_is_over(self, caller: Caller, first: Repeatable) -> None:
        charge(worker=gone())
        assert claimed(asked(caller)).request_id == "req_2"

    def test_a_process_elsewhere_is_the_sweeps_to_judge(self, caller: Caller, first: Repeatable) -> None:
        charge(worker=worker("another boot/pid:[1]/1/1"))
        with pytest.raises(StillRunning):
            idempotency.claim(asked(caller))

    @pytest.mark.parametrize("outcome", [Outcome.SERVER_STOPPED, Outcome.UPSTREAM_ERROR, Outcome.CLIENT_CLOSED])
    def test_a_call_that_ended_without_an_answer_frees_its_key(
        self, caller: Caller, first: Repeatable, outcome: Outcome
    ) -> None:
        charge(state=State.SETTLED, outcome=outcome)
        assert claimed(asked(caller)).request_id == "req_2"

    def test_an_answer_that_could_not_be_stored_is_not_charged_twice(self, caller: Caller, first: Repeatable) -> None:
        charge(state=State.SETTLED, outcome=Outcome.OK)
        with pytest.raises(AnswerNotKept):
            idempotency.claim(asked(caller))

    def test_after_a_day_it_is_a_new_call(self, caller: Caller, first: Repeatable) -> None:
        answer(first)
        make_older(KEPT_FOR)
        again = claimed(asked(caller))
        answer(again, b"new")
        found = idempotency.claim(asked(caller, "req_3"))
        assert isinstance(found, Kept)
        assert found.content == b"new"

    def test_a_call_that_lost_its_key_stores_and_frees_nothing(self, caller: Caller, first: Repeatable) -> None:
        charge(state=State.SETTLED, outcome=Outcome.SERVER_STOPPED)
        second = claimed(asked(caller))
        answer(first, b"late")
        idempotency.free(first)
        answer(second, b"second")
        found = idempotency.claim(asked(caller, "req_3"))
        assert isinstance(found, Kept)
        assert (found.content, found.headers["x-request-id"]) == (b"second", "req_2")

    def test_a_failure_takes_back_no_answer(self, caller: Caller, first: Repeatable) -> None:
        answer(first)
        idempotency.free(first)
        assert isinstance(idempotency.claim(asked(caller)), Kept)

    def test_a_key_that_is_gone_is_no_key(self, caller: Caller) -> None:
        ApiKey.objects.all().delete()
        with pytest.raises(InvalidKey):
            idempotency.claim(asked(caller))

    def test_an_old_secret_gets_no_answer_again(self, caller: Caller, first: Repeatable) -> None:
        answer(first)
        keys.renew(key=ApiKey.objects.get())
        with pytest.raises(InvalidKey):
            idempotency.claim(asked(caller))

    def test_an_expired_key_gets_no_answer_again(self, caller: Caller, first: Repeatable) -> None:
        answer(first)
        ApiKey.objects.update(expires_at=timezone.now())
        with pytest.raises(KeyExpired):
            idempotency.claim(asked(caller))


class TestRaces:
    def race(self, count: int, claim: Callable[[int], Repeatable | Kept]) -> list[str]:
        """The names of what each of them found."""
        barrier = threading.Barrier(count)

        def run(number: int) -> str:
            barrier.wait()
            try:
                return type(claim(number)).__name__
            except (StillRunning, KeyReused) as refusal:
                return type(refusal).__name__
            finally:
                connection.close()

        with ThreadPoolExecutor(count) as pool:
            return sorted(pool.map(run, range(count)))

    def test_of_many_at_once_one_has_the_key(self, caller: Caller) -> None:
        found = self.race(16, lambda number: idempotency.claim(asked(caller, f"req_{number}")))
        assert found == ["Repeatable", *["StillRunning"] * 15]

    def test_one_takes_over_what_a_dead_process_left(self, caller: Caller, first: Repeatable) -> None:
        charge(worker=gone())
        found = self.race(16, lambda number: idempotency.claim(asked(caller, f"req_x{number}")))
        assert found == ["Repeatable", *["StillRunning"] * 15]


class TestKeeping:
    def test_old_answers_are_forgotten(self, caller: Caller, first: Repeatable) -> None:
        answer(first)
        for number in range(idempotency.REMOVED_AT_ONCE + 5):
            claimed(asked(caller, f"req_old{number}", key=f"old {number}"))
        make_older(KEPT_FOR)
        claimed(asked(caller, key="young"))
        queue.tidy()
        assert IdempotentCall.objects.get().key == "young"

    def test_a_key_that_is_retired_takes_its_answers_along(self, first: Repeatable) -> None:
        answer(first)
        conversations.retire_key(key=ApiKey.objects.get())
        assert not IdempotentCall.objects.exists()

    def test_the_audit_finds_an_answer_of_a_call_that_is_not_over(self, first: Repeatable) -> None:
        answer(first)
        paid = charge(state=State.SETTLED, outcome=Outcome.OK)
        assert idempotency.breaks() == []
        Charge.objects.update(state=State.HELD)
        (row,) = IdempotentCall.objects.all()
        assert idempotency.breaks() == [f"idempotent call {row.pk}: its answer is not its charge's"]
        paid.key = factories.key().key
        paid.save()
        assert len(idempotency.breaks()) == 1
