"""Which models a key may call: its own grants, and those of its group."""

from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.models import ApiKey, Group, GroupGrant, KeyGrant
from common.models import ConfigVersion

# The rows that say it, and what they call whose they are.
GRANTS: dict[type, tuple[Any, str]] = {ApiKey: (KeyGrant, "key"), Group: (GroupGrant, "group")}


def by_group() -> dict[int, frozenset[int]]:
    """Model ids by group id, for all groups."""
    found: dict[int, set[int]] = {}
    for group_id, model_id in GroupGrant.objects.values_list("group_id", "model_id"):
        found.setdefault(group_id, set()).add(model_id)
    return {group_id: frozenset(model_ids) for group_id, model_ids in found.items()}


def price_ratios() -> dict[int, Decimal]:
    """What groups pay as a multiple of the prices, by group id, where that is another than 1."""
    return dict(Group.objects.exclude(price_ratio=1).values_list("id", "price_ratio"))


@transaction.atomic
def change(*, owner: ApiKey | Group, model_id: int, is_granted: bool | None = None) -> bool:
    """Grant a model to a key or to a group, or take it back; None: whichever it is not now.

    Answers whether it is granted now. Raises ValidationError when the owner or the model has gone meanwhile.
    """
    ConfigVersion.lock()
    rows, name = GRANTS[type(owner)]
    pair = {name: owner, "model_id": model_id}
    was_granted = rows.objects.filter(**pair).exists()
    wanted = not was_granted if is_granted is None else is_granted
    if wanted and not was_granted:
        grant = rows(**pair)
        grant.full_clean()
        grant.save()
    elif was_granted and not wanted:
        rows.objects.filter(**pair).delete()
    return wanted
