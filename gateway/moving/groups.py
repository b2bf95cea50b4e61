"""Groups, and what their keys may call. A group that is here by its name is that one."""

from collections.abc import Sequence

from django.db import transaction

from accounts.models import Group, GroupGrant
from common.models import ConfigVersion
from gateway.moving import grants
from gateway.moving.move import Move, create_with_times
from gateway.moving.source import GroupRow

TABLE = "eiai_group"
GROUPS_PER_BATCH = 500


def move_groups(move: Move) -> None:
    """All at once: there are as many as an organisation has teams."""
    move.progress.begin("groups", move.source.count(TABLE))
    rows = [row for page in move.source.pages(TABLE, GroupRow, GROUPS_PER_BATCH) for row in page]
    found = _groups(move, rows)
    missing = grants.missing(move, grants.OF_GROUPS, found)
    if not move.is_dry:
        _write(found, missing)
    move.groups = {row_id: group.pk or 0 for row_id, group in found.items()}
    move.progress.advance(len(rows))


def _groups(move: Move, rows: Sequence[GroupRow]) -> dict[int, Group]:
    """By their ids there: those that are here, and those that are to be."""
    by_uuid = {group.uuid: group for group in Group.objects.all()}
    by_name = {group.name: group for group in by_uuid.values()}
    theirs = {move.identity(TABLE, row.id) for row in rows}
    found: dict[int, Group] = {}
    for row in rows:
        group = by_uuid.get(move.identity(TABLE, row.id)) or _of_name(move, row, by_name)
        if group.uuid in theirs and group.uuid != move.identity(TABLE, row.id):
            group = _made(move, row, f"{_name(row)} ({row.id})")
            move.report.odd(TABLE, row.id, "an earlier group has the same name; its number is in its name now")
        by_name.setdefault(group.name, group)
        found[row.id] = group
        (move.report.added if group._state.adding else move.report.here)(TABLE)
    return found


def _of_name(move: Move, row: GroupRow, by_name: dict[str, Group]) -> Group:
    group = by_name.get(_name(row))
    if group is None:
        return _made(move, row, _name(row))
    if group.uuid != move.identity(TABLE, row.id) and not group._state.adding:
        move.report.odd(TABLE, row.id, "a group of its name is here already, and is this one now", group.name)
    return group


def _name(row: GroupRow) -> str:
    return row.name or f"group {row.id}"


def _made(move: Move, row: GroupRow, name: str) -> Group:
    made_at = move.moment(row.created_at) or move.now
    return Group(
        uuid=move.identity(TABLE, row.id),
        name=name,
        code=row.key or "",
        created_at=made_at,
        updated_at=move.moment(row.updated_at) or made_at,
    )


@transaction.atomic
def _write(found: dict[int, Group], missing: Sequence[GroupGrant]) -> None:
    new = [group for group in found.values() if group._state.adding]
    if not (new or missing):
        return
    ConfigVersion.lock()
    create_with_times(new)
    grants.store(missing)
