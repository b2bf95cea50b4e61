"""Groups, and what their keys may call. A group that is here by its name is that one."""

from collections.abc import Sequence

from django.db import transaction

from accounts.models import Group, GroupGrant
from common.models import ConfigVersion
from gateway.moving.move import Move, create_with_times
from gateway.moving.source import GroupRow

TABLE, GRANTS = "eiai_group", "eiai_group_model"
GROUPS_PER_BATCH = 500
Missing = list[tuple[Group, int]]


def move_groups(move: Move) -> None:
    """All at once: there are as many as an organisation has teams."""
    move.progress.begin("groups", move.source.count(TABLE))
    rows = [row for page in move.source.pages(TABLE, GroupRow, GROUPS_PER_BATCH) for row in page]
    found = _groups(move, rows)
    missing = _missing_grants(move, found)
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


def _missing_grants(move: Move, found: dict[int, Group]) -> Missing:
    known = set(GroupGrant.objects.order_by().values_list("group_id", "model_id"))
    missing: Missing = []
    for grant in move.source.grants(GRANTS, list(found)):
        group, model_id = found[grant.owner_id], move.models.get(grant.model_id)
        if model_id is None:
            detail = f"group {grant.owner_id}, model {grant.model_id}"
            move.report.left_out(GRANTS, grant.owner_id, "its model was not brought over", detail)
        elif (group.pk, model_id) in known:
            move.report.here(GRANTS)
        else:
            move.report.added(GRANTS)
            missing.append((group, model_id))
    return missing


@transaction.atomic
def _write(found: dict[int, Group], missing: Missing) -> None:
    new = [group for group in found.values() if group._state.adding]
    if not (new or missing):
        return
    ConfigVersion.lock()
    create_with_times(new)
    made = [GroupGrant(group=group, model_id=model_id) for group, model_id in missing]
    GroupGrant.objects.bulk_create(made, ignore_conflicts=True)  # somebody may have granted it meanwhile
