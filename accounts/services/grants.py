"""Which models the members of a group may call."""

from accounts.models import GroupGrant


def by_group() -> dict[int, frozenset[int]]:
    """Model ids by group id, for all groups."""
    found: dict[int, set[int]] = {}
    for group_id, model_id in GroupGrant.objects.values_list("group_id", "model_id"):
        found.setdefault(group_id, set()).add(model_id)
    return {group_id: frozenset(model_ids) for group_id, model_ids in found.items()}
