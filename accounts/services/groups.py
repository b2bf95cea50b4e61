"""Groups: made, changed, deleted, and kept in place while something is made for them."""

from django.db import transaction

from accounts.models import Group
from common.duplicates import told_duplicate
from common.models import ConfigVersion


def make(*, name: str, code: str = "") -> Group:
    """Raises ValidationError."""
    return _stored(Group(name=name, code=code))


@transaction.atomic
def change(*, group_id: int, name: str | None = None, code: str | None = None) -> Group:
    """None: as it is. Raises ValidationError, or Group.DoesNotExist."""
    group = locked(group_id)
    for column, value in (("name", name), ("code", code)):
        if value is not None:
            setattr(group, column, value)
    return _stored(group)


@transaction.atomic
def delete(*, group_id: int) -> None:
    """Its grants go with it, and its keys stay without one. Raises Group.DoesNotExist."""
    locked(group_id).delete()


def locked(group_id: int) -> Group:
    """It stays as it is until the caller's transaction ends. Raises Group.DoesNotExist."""
    ConfigVersion.lock()
    return Group.objects.get(pk=group_id)


def _stored(group: Group) -> Group:
    with told_duplicate(__all__=f"{group.name} already exists"):
        group.full_clean()
        group.save()
    return group
