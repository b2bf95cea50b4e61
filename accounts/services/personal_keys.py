"""The key that a person has: one at a time. It is made without money and without models; both are given afterwards."""

from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from accounts.errors import KeyExists, NotAllowed
from accounts.models import ApiKey, User
from accounts.services import keys
from accounts.services.keys import IssuedKey
from accounts.services.principals import Principal
from common.models import ConfigVersion


def of(*, user: User) -> QuerySet[ApiKey]:
    """Those that are not revoked, the newest first; more than one only where they were made elsewhere."""
    return user.keys.handed_out().order_by("-id")


@transaction.atomic
def issue(*, user: User, made_by: User | None) -> IssuedKey:
    """Raises KeyExists."""
    User.objects.select_for_update().get(pk=user.pk)  # of two at once, one comes second
    if of(user=user).exists():
        raise KeyExists("They have a key already. Rotate or delete it first.")
    name = user.email or user.get_username()
    return keys.issue(name=name, email=user.email, owner=user, made_by=made_by, month_quota=Decimal(0))


@transaction.atomic
def rotate(*, by: Principal, key: ApiKey) -> IssuedKey:
    """The same key with a new secret.

    Whoever gets the secret may do what the key may, so nobody rotates one that may do more: not even their own, as
    others may set people's passwords. Raises NotAllowed.
    """
    ConfigVersion.lock()
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    check_rank(by=by, key=locked)
    return keys.renew(key=locked)


def check_rank(*, by: Principal, key: ApiKey) -> None:
    """Raises NotAllowed when the key may do anything that this one may not."""
    if not key.rights <= by.rights:
        raise NotAllowed("The key has more rights than you.")
