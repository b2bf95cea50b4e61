"""The ledger writer against a real database: batches, faults, and what it never loses."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from accounts.errors import InsufficientQuota, LedgerUnavailable
from accounts.models import ApiKey, Charge, Outcome, State, UsageSource, Worker
from accounts.services.keys import IssuedKey
from accounts.services.ledger import sweep
from accounts.services.ledger import writer as ledger
from accounts.services.ledger.audit import audit
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.types import Admission, Deployment, Prices, Settled, Settlement, Tokens
from accounts.services.ledger.worker import InFlightPage, identity, inflight_directory, is_gone, read_page
from common.models import ConfigVersion
from providers.models import AIModel
from tests import factories

USD = 10**10


@pytest.fixture
def key(database: None) -> IssuedKey:
    return factories.key(month_quota=Decimal("0.01"))


@pytest.fixture
def deployment(database: None) -> Deployment:
    model = factories.model(factories.provider())
    return Deployment(model.pk, model.provider_id, model.name, "p", "u", Prices(0, 1000 * USD))


def admission(key: IssuedKey, deployment: Deployment, config_version: int | None = None, **fields: Any) -> Admission:
    if config_version is None:
        config_version = ConfigVersion.current()
    asked = Admission(
        request_id=uuid4().hex, key_id=key.key.pk, group_id=None, all_models=True,
        config_version=config_version, endpoint="chat", is_stream=False, deployment=deployment,
        prompt_bound=0, output_bound=1, choices=1, hold_price_in=0, hold_price_out=1000 * USD, can_lower_output=True,
    )  # fmt: skip
    return replace(asked, **fields)


def done(asked: Admission, output: int = 1, **fields: Any) -> Settlement:
    used = Settlement(
        asked.request_id, asked.key_id, Outcome.OK, asked.deployment, Tokens(output=output), UsageSource.REPORTED
    )
    return replace(used, **fields)


def test_a_hold_is_committed_before_the_call_and_becomes_a_fee(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    admitted = ledger.writer().admit(asked)
    assert Charge.objects.get(request_id=asked.request_id).state == State.HELD
    key.key.refresh_from_db()
    assert key.key.held == Decimal("0.001") == Decimal(admitted.hold) / USD
    assert audit() == []
    settled = ledger.writer().settle(done(asked))
    key.key.refresh_from_db()
    assert (key.key.held, key.key.spent, key.key.month_fee) == (0, Decimal("0.001"), Decimal("0.001"))
    assert settled.fee == admitted.hold
    assert audit() == []


def test_settling_twice_settles_once(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    first, second = (ledger.writer().settle(done(asked)) for _ in range(2))
    assert (first.fee > 0, second.charge_id) == (True, 0)
    key.key.refresh_from_db()
    assert key.key.spent == Decimal("0.001")


def test_a_release_costs_nothing(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    ledger.writer().settle(Settlement(asked.request_id, asked.key_id, Outcome.UPSTREAM_ERROR, error="no"))
    charge = Charge.objects.get()
    assert (charge.state, charge.fee, charge.error) == (State.RELEASED, 0, "no")
    assert audit() == []


def test_two_hundred_threads_never_overspend(key: IssuedKey, deployment: Deployment) -> None:
    def attempt(_: int) -> bool:
        asked = admission(key, deployment, config_version=version)
        try:
            ledger.writer().admit(asked)
        except InsufficientQuota:
            return False
        ledger.writer().settle(done(asked))
        return True

    version = ConfigVersion.current()
    with ThreadPoolExecutor(50) as pool:
        let_in = sum(pool.map(attempt, range(200)))
    assert let_in == 10
    key.key.refresh_from_db()
    assert (key.key.month_fee, key.key.held) == (Decimal("0.01"), 0)
    assert audit() == []


def test_one_bad_request_does_not_spoil_its_batch(key: IssuedKey, deployment: Deployment) -> None:
    good, bad = admission(key, deployment), admission(key, deployment, endpoint="x" * 10_000, request_id="y" * 10_000)
    bad = replace(bad, deployment=replace(deployment, model_id=10**30))
    results = Tickets(good, bad).results()
    assert results[0].request_id == good.request_id
    assert isinstance(results[1], LedgerUnavailable)
    assert Charge.objects.get().request_id == good.request_id


class Tickets:
    """Requests that reach the writer as one batch."""

    def __init__(self, *requests: Any) -> None:
        self.tickets = [ledger.Ticket(request) for request in requests]
        for ticket in self.tickets:
            ledger.writer()._queue.put(ticket)

    def results(self) -> list[Any]:
        return [ticket.wait(20) for ticket in self.tickets]


class Broken:
    """A record that can't be stored."""

    @classmethod
    def write(cls, connection: Any, settled: Any) -> None:
        raise ValueError("no such text")


def test_what_can_not_be_recorded_is_still_paid(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    settled = ledger.writer().settle(done(asked, record=Broken()))
    assert settled.fee > 0
    assert Charge.objects.get().state == State.SETTLED
    assert audit() == []


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A database that does not answer for as long as the event is set."""
    away = threading.Event()
    run = Batch.run

    def maybe(self: Batch, requests: Any) -> Any:
        if away.is_set():
            raise OperationalError("the database went away")
        return run(self, requests)

    monkeypatch.setattr(Batch, "run", maybe)
    yield away
    away.clear()


def test_without_a_database_calls_are_refused_at_once(
    key: IssuedKey, deployment: Deployment, outage: threading.Event
) -> None:
    ledger.writer()
    asked = admission(key, deployment)
    outage.set()
    with pytest.raises(LedgerUnavailable):
        ledger.writer().admit(asked)


@override_settings(LEDGER_WAIT_SECONDS=0.3)
def test_a_settlement_waits_for_its_database(key: IssuedKey, deployment: Deployment, outage: threading.Event) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    outage.set()
    assert ledger.writer().settle(done(asked)).charge_id == 0
    outage.clear()
    ledger.stop()
    assert Charge.objects.get().state == State.SETTLED
    assert audit() == []


def test_a_commit_whose_answer_was_lost_leaves_no_hold(
    key: IssuedKey, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Batch.run
    lost = [True]

    def commit_then_lose(self: Batch, requests: Any) -> Any:
        results = run(self, requests)
        if lost and lost.pop():
            raise OperationalError("connection lost after COMMIT")
        return results

    monkeypatch.setattr(Batch, "run", commit_then_lose)
    with pytest.raises(LedgerUnavailable):
        ledger.writer().admit(admission(key, deployment))
    ledger.stop()
    assert Charge.objects.get().state == State.RELEASED
    assert audit() == []


def test_a_writer_has_a_heartbeat_before_its_first_hold(key: IssuedKey, deployment: Deployment) -> None:
    ledger.writer().admit(admission(key, deployment))
    worker = Worker.objects.get()
    assert (worker.identity, worker.uuid) == (identity(), ledger.writer().worker_id)
    assert Charge.objects.get().worker_id == worker.uuid


def test_no_hold_is_taken_by_a_process_that_nobody_knows(key: IssuedKey, deployment: Deployment) -> None:
    """On SQLite its heartbeat finds the database locked; it must be there all the same when the first hold is."""
    asked = admission(key, deployment)
    with transaction.atomic():
        list(ApiKey.objects.select_for_update())
        waiting = ThreadPoolExecutor(1).submit(ledger.writer().admit, asked)
        time.sleep(0.3)
    assert waiting.result(10).hold > 0
    assert Worker.objects.filter(uuid=ledger.writer().worker_id).exists()
    assert audit() == []


def test_a_living_process_is_never_swept(key: IssuedKey, deployment: Deployment) -> None:
    ledger.writer().admit(admission(key, deployment))
    assert sweep.sweep() == sweep.Swept(0, 0)
    assert is_gone(identity()) is False


def orphan(key: IssuedKey, deployment: Deployment, calls: int = 1) -> tuple[Worker, list[str]]:
    """Holds of a process that ended without a word."""
    boot, namespace, _, _ = identity().rsplit("/", 3)
    worker = Worker.objects.create(identity=f"{boot}/{namespace}/4194304/1", seen_at=timezone.now())
    requests = [admission(key, deployment) for _ in range(calls)]
    Batch(connection, worker.uuid).run(requests)
    return worker, [request.request_id for request in requests]


def test_a_dead_process_is_swept_from_what_it_wrote_down(key: IssuedKey, deployment: Deployment) -> None:
    worker, (unsent, sent, unknown) = orphan(key, deployment, 3)
    page = InFlightPage(inflight_directory() / f"{worker.uuid}.slots")
    page.take(unsent, 5)
    slot = page.take(sent, 5)
    page.sent(slot)
    page.produced(slot, 1)
    assert sweep.sweep() == sweep.Swept(settled=1, released=2)
    charges = {charge.request_id: charge for charge in Charge.objects.all()}
    assert (charges[unsent].state, charges[unknown].state) == (State.RELEASED, State.RELEASED)
    settled = charges[sent]
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (5, 1, UsageSource.ESTIMATED)
    assert settled.outcome == Outcome.SERVER_STOPPED
    assert not page.path.exists()
    assert not Worker.objects.exists()
    assert audit() == []


def test_without_its_page_a_dead_call_counts_as_sent(key: IssuedKey, deployment: Deployment) -> None:
    orphan(key, deployment)
    assert sweep.sweep() == sweep.Swept(settled=1, released=0)
    assert audit() == []


def test_a_process_on_another_machine_is_swept_when_it_has_been_silent(key: IssuedKey, deployment: Deployment) -> None:
    orphan(key, deployment)
    Worker.objects.update(identity="other-boot/pid:[1]/1/1")
    assert sweep.sweep() == sweep.Swept(0, 0)
    Worker.objects.update(seen_at=timezone.now() - 2 * sweep.SILENT_FOR)
    assert sweep.sweep() == sweep.Swept(0, 0)  # suspected: perhaps it was the database that was silent
    assert sweep.sweep() == sweep.Swept(0, 0)
    Worker.objects.update(suspected_at=timezone.now() - 2 * sweep.STILL_SILENT_FOR)
    assert sweep.sweep().settled == 1


def test_a_suspected_process_that_writes_again_is_left_alone(key: IssuedKey, deployment: Deployment) -> None:
    orphan(key, deployment)
    then = timezone.now() - 3 * sweep.SILENT_FOR
    Worker.objects.update(identity="other-boot/pid:[1]/1/1", seen_at=then + sweep.SILENT_FOR, suspected_at=then)
    assert sweep.sweep() == sweep.Swept(0, 0)
    assert Worker.objects.get().suspected_at > then


def test_a_process_that_was_swept_but_lives_has_the_last_word(key: IssuedKey, deployment: Deployment) -> None:
    _, (request_id,) = orphan(key, deployment)
    asked = admission(key, deployment, request_id=request_id)
    assert sweep.sweep().settled == 1
    assert ledger.writer().settle(done(asked, 3)).fee == 3 * 10**7
    charge = Charge.objects.get()
    assert (charge.outcome, charge.usage_source, charge.output_tokens) == (Outcome.OK, UsageSource.REPORTED, 3)
    assert audit() == []
    assert ledger.writer().settle(done(asked, 5)).charge_id == 0  # and only once
    key.key.refresh_from_db()
    assert (key.key.spent, key.key.held) == (Decimal("0.003"), 0)


def test_one_charge_that_can_not_be_swept_does_not_keep_the_others(
    key: IssuedKey, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (first, _) = orphan(key, deployment, 2)
    run = Batch.run

    def refuse(self: Batch, requests: Any) -> Any:
        if first in {request.request_id for request in requests}:
            raise DataError("out of range")
        return run(self, requests)

    monkeypatch.setattr(Batch, "run", refuse)
    assert sweep.sweep().settled == 1
    assert [breach.rule for breach in audit()] == ["every hold has a worker that answers for it"]


def test_a_page_grows_and_reads_back(tmp_path: Any) -> None:
    page = InFlightPage(tmp_path / "page.slots")
    slots = [page.take(f"req_{number:032x}", number) for number in range(5000)]
    for slot in slots[1:]:
        page.give_back(slot)
    page.sent(slots[0])
    (left,) = read_page(page.path)
    assert (left.request_id, left.was_sent, left.prompt_tokens) == (f"req_{0:032x}", True, 0)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("apikey", {"spent": Decimal(1)}),
        ("apikey", {"held": Decimal(1)}),
        ("apikey", {"month_fee": Decimal("0.0011")}),
        ("apikey", {"balance": Decimal(1)}),
        ("charge", {"output_tokens": 2}),
        ("charge", {"shortfall": Decimal(1)}),
    ],
)
def test_the_audit_finds_what_was_tampered_with(
    key: IssuedKey, deployment: Deployment, table: str, change: dict[str, Any]
) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    ledger.writer().settle(done(asked))
    assert audit() == []
    rows = ApiKey.objects if table == "apikey" else Charge.objects
    rows.update(**change)
    assert len(audit()) == (1 if table == "apikey" else 2)  # a charge is counted in its day too


def test_results_come_back_in_order_for_a_mixed_batch(key: IssuedKey, deployment: Deployment) -> None:
    asked = [admission(key, deployment) for _ in range(3)]
    results = Tickets(asked[0], asked[1], done(asked[0]), asked[2]).results()
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["Admitted", "Admitted", "Settled", "Admitted"]
    assert isinstance(results[2], Settled)


def test_a_model_deleted_in_the_middle_of_a_call_does_not_stop_its_settlement(
    key: IssuedKey, deployment: Deployment
) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    AIModel.objects.all().delete()
    assert ledger.writer().settle(done(asked)).fee > 0
    assert audit() == []


def test_an_error_text_that_no_database_takes_is_left_out(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    ledger.writer().admit(asked)
    ledger.writer().settle(done(asked, error="a\0b" + "\ud800"))
    assert Charge.objects.get().state == State.SETTLED


def test_a_lock_held_by_another_process_is_waited_for(key: IssuedKey, deployment: Deployment) -> None:
    asked = admission(key, deployment)
    ledger.writer()
    with transaction.atomic():
        list(ApiKey.objects.select_for_update())
        waiting = ThreadPoolExecutor(1).submit(ledger.writer().admit, asked)
        time.sleep(0.3)
        assert not waiting.done()
    assert waiting.result(10).hold > 0
