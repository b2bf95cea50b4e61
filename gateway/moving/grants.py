"""Which models groups and keys may call: those of their grants there that are not here."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import ApiKey, Group
from accounts.services.grants import GRANTS
from gateway.moving.move import Move

OF_GROUPS, OF_KEYS = "eiai_group_model", "eiai_key_model"
OWNERS: dict[str, type] = {OF_GROUPS: Group, OF_KEYS: ApiKey}


def missing(move: Move, table: str, owners: Mapping[int, Group | ApiKey]) -> list[Any]:
    """Rows to be stored once their owners are, who go by their ids there."""
    rows, name = GRANTS[OWNERS[table]]
    here = rows.objects.order_by().filter(**{f"{name}__in": [each.pk for each in owners.values() if each.pk]})
    known = set(here.values_list(f"{name}_id", "model_id"))
    found = []
    for grant in move.source.grants(table, list(owners)):
        owner, model_id = owners[grant.owner_id], move.models.get(grant.model_id)
        if model_id is None:
            detail = f"{name} {grant.owner_id}, model {grant.model_id}"
            move.report.left_out(table, grant.owner_id, "its model was not brought over", detail)
        elif (owner.pk, model_id) in known:
            move.report.here(table)
        else:
            move.report.added(table)
            found.append(rows(**{name: owner, "model_id": model_id}))
    return found


def store(found: Sequence[Any]) -> None:
    """Somebody may have granted one of them meanwhile."""
    if found:
        type(found[0]).objects.bulk_create(found, ignore_conflicts=True)
