"""Keys, each with its grants and its money in one transaction: nobody can spend from a key that came over by half."""

from collections.abc import Sequence

from django.db import transaction

from accounts.models import ApiKey, KeyGrant
from common.models import ConfigVersion
from gateway.moving import grants, ledger
from gateway.moving.drafts import TABLE, Draft, draft, settled_who
from gateway.moving.move import Move, create_with_times
from gateway.moving.source import KeyRow

KEYS_PER_BATCH = 100


def move_keys(move: Move) -> None:
    move.progress.begin("keys", move.source.count(TABLE))
    sums = ledger.sums_of_threads(move)
    seen: dict[str, int] = {}
    for page in move.source.pages(TABLE, KeyRow, KEYS_PER_BATCH):
        found = settled_who(move, [each for row in page if (each := draft(move, row, seen)) is not None])
        ledger.fill(move, found, sums)
        missing = grants.missing(move, grants.OF_KEYS, {each.row.id: each.key for each in found})
        if move.is_dry:
            ledger.plan(move, found)
        else:
            _write(move, found, missing)
        _note(move, found)
        move.progress.advance(len(page))


def _note(move: Move, found: Sequence[Draft]) -> None:
    for each in found:
        move.keys[each.row.id] = each.key.pk or 0
        (move.report.added if each.is_new else move.report.here)(TABLE)


@transaction.atomic
def _write(move: Move, found: Sequence[Draft], missing: Sequence[KeyGrant]) -> None:
    if missing:
        ConfigVersion.lock()
    known = {each.key.pk: each for each in found if not each.is_new}
    for key in ApiKey.objects.select_for_update().filter(pk__in=known).order_by("pk"):
        known[key.pk].key = key
    ledger.plan(move, found)
    create_with_times([each.key for each in found if each.is_new])
    ledger.write(move, found)
    grants.store(missing)
