"""A provider's keys as programs see them: one list of secrets, masked on the way out and kept when a mask comes back.

A secret belongs to the place it was entered for. So masks never carry one to an address of another origin; only a
secret that is sent in clear together with the new address is used there.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from django.core.exceptions import ValidationError

from providers.models import Provider, ProviderKey

MASK = "***"
NO_VALUE = "Masked secret has no existing value"
Entry = ProviderKey | str  # a row that stays, or the secret of a new one


def normalised(secrets: Iterable[str]) -> list[str]:
    """Without blanks and repetitions, masks excepted: each stands for its place."""
    stripped = [secret.strip() for secret in secrets]
    return [
        secret for place, secret in enumerate(stripped) if secret and (secret == MASK or secret not in stripped[:place])
    ]


def rows_of(provider: Provider) -> list[ProviderKey]:
    """In the order in which they are listed. Deferred, as a secret that can't be decrypted must not hide the rest."""
    return list(provider.keys.defer("secret").order_by("id")) if provider.pk else []


def secrets_of(provider: Provider) -> list[str]:
    """Those that can be read."""
    return [secret for row in rows_of(provider) if (secret := row.readable_secret) is not None]


def resolved(given: Sequence[str], rows: Sequence[ProviderKey]) -> list[Entry]:
    """What a list with masks means: a mask the row at its place, a known secret its row, any other a new one.

    Raises ValidationError for a mask without a row.
    """
    by_secret = {row.readable_secret: row for row in rows}
    entries: list[Entry] = []
    for place, secret in enumerate(normalised(given)):
        if secret == MASK and place >= len(rows):
            raise ValidationError(NO_VALUE)
        entries.append(rows[place] if secret == MASK else by_secret.get(secret, secret))
    return list(dict.fromkeys(entries))


def has_mask(given: Iterable[str]) -> bool:
    return MASK in normalised(given)


def store(*, provider: Provider, entries: Sequence[Entry], entered: Sequence[str] = ()) -> None:
    """Make these the provider's keys: rows that stay keep their names, weights and rests, the others go.

    `entered`: secrets that were sent in clear, whose rows are switched on again.
    """
    kept = [entry.pk for entry in entries if isinstance(entry, ProviderKey)]
    for row in rows_of(provider):
        if row.pk not in kept:
            row.delete()
    _switch_on(entries, frozenset(entered))
    names = _free_names(provider)
    for secret in (entry for entry in entries if isinstance(entry, str)):
        key = ProviderKey(provider=provider, name=next(names), secret=secret)
        key.full_clean()
        key.save()


def _switch_on(entries: Iterable[Entry], entered: frozenset[str]) -> None:
    for row in entries:
        if isinstance(row, ProviderKey) and row.readable_secret in entered:
            row.is_enabled = True
            row.save(update_fields=["is_enabled", "updated_at"])


def _free_names(provider: Provider) -> Iterator[str]:
    taken = set(provider.keys.values_list("name", flat=True))
    return (name for number in count(1) if (name := f"key {number}") not in taken)
