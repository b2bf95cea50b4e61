"""Holds whose process died: found here, and settled from what that process had written down."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import DataError, IntegrityError, connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Charge, Outcome, State, UsageSource, Worker
from accounts.services.ledger.batch import Batch
from accounts.services.ledger.types import Settled, Settlement, Tokens
from accounts.services.ledger.worker import InFlight, inflight_directory, is_gone, read_page

logger = logging.getLogger(__name__)

SILENT_FOR = timedelta(seconds=60)  # twelve missed heartbeats
STILL_SILENT_FOR = timedelta(seconds=15)  # three more, with the database there to take them
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    settled: int
    released: int


def sweep() -> Swept:
    """Settle or release every hold whose process is gone. Safe at any time, on any number of machines."""
    results: list[Settled] = []
    for worker in _gone_workers():
        page = inflight_directory() / f"{worker.uuid}.slots"
        known = {each.request_id: each for each in read_page(page)} if page.exists() else None
        results += _sweep(Charge.objects.filter(worker_id=worker.uuid, state=State.HELD), known)
        page.unlink(missing_ok=True)
        worker.delete()
    ownerless = Charge.objects.exclude(worker_id__in=Worker.objects.values("uuid"))
    results += _sweep(ownerless.filter(state=State.HELD, created_at__lt=timezone.now() - SILENT_FOR), None)
    _remove_stray_pages()
    done = [result for result in results if result.charge_id]
    released = sum(result.settlement.is_release for result in done)
    return Swept(settled=len(done) - released, released=released)


def _gone_workers() -> Iterator[Worker]:
    for worker in Worker.objects.order_by("seen_at"):
        gone = is_gone(worker.identity)
        if gone or (gone is None and _is_silent(worker)):
            yield worker


def _is_silent(worker: Worker) -> bool:
    """A process on another machine that writes no heartbeat, and still none after it was first suspected.

    When the database itself was away every process looks silent; those that live write one as soon as it is back.
    """
    now = timezone.now()
    if worker.seen_at > now - SILENT_FOR:
        return False
    if worker.suspected_at is None or worker.suspected_at < worker.seen_at:
        Worker.objects.filter(pk=worker.pk).update(suspected_at=now)
        return False
    return worker.suspected_at < now - STILL_SILENT_FOR


def _sweep(charges: QuerySet[Charge], known: dict[str, InFlight] | None) -> list[Settled]:
    results: list[Settled] = []
    last = 0
    while rows := list(charges.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        last = rows[-1].pk
        results += _run([_settlement(charge, known) for charge in rows])
    return results


def _run(requests: list[Settlement]) -> list[Settled]:
    """All at once, or one by one when one of them can't be written: it must not keep the others."""
    try:
        return [each for each in Batch(connection, None).run(requests) if isinstance(each, Settled)]
    except (DataError, IntegrityError) as error:
        if len(requests) == 1:
            logger.error("%s can't be settled: %s", requests[0].request_id, type(error).__name__)
            return []
    return [settled for request in requests for settled in _run([request])]


def _settlement(charge: Charge, known: dict[str, InFlight] | None) -> Settlement:
    """A call that left is charged for its prompt and what had come of its answer; one that had not is free.

    Without the process's own page (its disk is elsewhere, or gone) the call counts as sent: the vendor will bill it.
    """
    if known is None:
        return _estimate(charge, charge.prompt_bound // 4, 0)
    call = known.get(charge.request_id)
    if call is None or not call.was_sent:
        return Settlement(charge.request_id, charge.key_id, Outcome.SERVER_STOPPED, error="never sent")
    return _estimate(charge, call.prompt_tokens, call.output_tokens)


def _estimate(charge: Charge, prompt_tokens: int, output_tokens: int) -> Settlement:
    return Settlement(
        charge.request_id,
        charge.key_id,
        Outcome.SERVER_STOPPED,
        tokens=Tokens(input=prompt_tokens, output=output_tokens),
        usage_source=UsageSource.ESTIMATED,
        error="The gateway's process ended during the call.",
        attempts=charge.attempts,
    )


def _remove_stray_pages() -> None:
    """Pages whose worker never wrote a heartbeat, left by a start that failed."""
    known = {f"{uuid}.slots" for uuid in Worker.objects.values_list("uuid", flat=True)}
    horizon = (timezone.now() - SILENT_FOR).timestamp()
    for page in Path(inflight_directory()).glob("*.slots"):
        if page.name not in known and page.stat().st_mtime < horizon:
            page.unlink(missing_ok=True)
