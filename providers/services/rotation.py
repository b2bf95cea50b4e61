"""Moving stored secrets to a new key, while they are in use."""

from django.db import transaction

from common.models import ConfigVersion
from providers.models import ProviderKey

AT_ONCE = 200


def rotate() -> int:
    """Write every secret again, which encrypts it under the keyring's first key. Returns how many.

    In small transactions with the rows locked: a secret that somebody edits meanwhile is never put back.
    Raises cryptography's InvalidToken when a secret's own key is no longer in the keyring; nothing is lost then.
    """
    count = 0
    last = 0
    while batch := _rotate_after(last):
        count += len(batch)
        last = batch[-1]
    return count


@transaction.atomic
def _rotate_after(last: int) -> list[int]:
    ConfigVersion.lock()
    keys = list(ProviderKey.objects.select_for_update().filter(pk__gt=last).order_by("pk")[:AT_ONCE])
    for key in keys:
        key.save(update_fields=["secret"])
    return [key.pk for key in keys]
