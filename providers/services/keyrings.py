"""A provider's keys as programs see them: one list of secrets, masked on the way out and kept when a mask comes back.

A secret belongs to the place it was entered for. So a mask never switches a key on that is off, and never carries one
to an address of another origin; only a secret that is sent in clear together with the new address is used there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from django.core.exceptions import ValidationError

from providers import sensitive
from providers.models import Provider, ProviderKey

MASK = sensitive.MASK
NO_VALUE = "Masked secret has no existing value"
USUAL_NAME = "default"
# In a provider's metadata: the keys' ids as they were listed last. A mask means a place in that list.
ORDER = "key_order"
Entry = ProviderKey | str  # a row that stays, or the secret of a new one


def normalised(secrets: Iterable[str]) -> list[str]:
    """Without blanks and repetitions, masks excepted: each stands for its place."""
    stripped = [secret.strip() for secret in secrets]
    return [
        secret for place, secret in enumerate(stripped) if secret and (secret == MASK or secret not in stripped[:place])
    ]


def in_clear(secrets: Iterable[str]) -> list[str]:
    """Those that are no masks."""
    return [secret for secret in normalised(secrets) if secret != MASK]


def has_mask(given: Iterable[str]) -> bool:
    return MASK in normalised(given)


def rows_of(provider: Provider, read_before: Sequence[ProviderKey] | None = None) -> list[ProviderKey]:
    """In the order in which they are listed. Deferred, as a secret that can't be decrypted must not hide the rest.

    `read_before`: all of them by number, where they have been read already.
    """
    rows = read_before
    if rows is None:
        rows = list(provider.keys.defer("secret").order_by("id")) if provider.pk else []
    places = {pk: place for place, pk in enumerate(provider.metadata.get(ORDER, ()))}
    return sorted(rows, key=lambda row: places.get(row.pk, len(places)))


def opens_with(provider: Provider, secrets: Iterable[str]) -> bool:
    """Whether just these are its keys, and all of them are on."""
    rows = rows_of(provider)
    return all(row.is_enabled for row in rows) and {row.readable_secret for row in rows} == set(secrets)


def resolved(given: Sequence[str], rows: Sequence[ProviderKey]) -> list[Entry]:
    """What a list with masks means: a mask the row at its place, a known secret its row, any other a new one.

    Raises ValidationError for a mask without a row.
    """
    by_secret = {row.readable_secret: row for row in rows}
    entries: list[Entry] = []
    for place, secret in enumerate(each.strip() for each in given):
        if secret == MASK and place >= len(rows):
            raise ValidationError(NO_VALUE)
        if secret:
            entries.append(rows[place] if secret == MASK else by_secret.get(secret, secret))
    return list(dict.fromkeys(entries))


def store(
    *,
    provider: Provider,
    entries: Sequence[Entry],
    entered: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> None:
    """Make these the provider's keys: rows that stay keep their names, weights and rests, the others go.

    `entered`: the list as it was sent; rows whose secrets are in it in clear are switched on. `names`: what to call
    the rows of new secrets.
    """
    kept = [entry.pk for entry in entries if isinstance(entry, ProviderKey)]
    for row in rows_of(provider):
        if row.pk not in kept:
            row.delete()
    _switch_on(entries, in_clear(entered))
    rows = [_row(provider, entry, names or {}) for entry in entries]
    _keep_order(provider, [row.pk for row in rows])


def _switch_on(entries: Iterable[Entry], entered: Sequence[str]) -> None:
    for row in entries:
        if isinstance(row, ProviderKey) and row.readable_secret in entered:
            row.is_enabled = True
            row.save(update_fields=["is_enabled", "updated_at"])


def _row(provider: Provider, entry: Entry, names: Mapping[str, str]) -> ProviderKey:
    if isinstance(entry, ProviderKey):
        return entry
    key = ProviderKey(provider=provider, name=_free_name(provider, names.get(entry, "")), secret=entry)
    key.full_clean()
    key.save()
    return key


def _free_name(provider: Provider, wanted: str) -> str:
    """With a number where it is taken."""
    wanted = wanted.strip()[:200] or USUAL_NAME
    taken = set(provider.keys.values_list("name", flat=True))
    return next(name for name in _numbered(wanted) if name not in taken)


def _numbered(name: str) -> Iterator[str]:
    return (name if number == 1 else f"{name} {number}" for number in count(1))


def _keep_order(provider: Provider, order: list[int]) -> None:
    wanted = order if order != sorted(order) else None
    if wanted == provider.metadata.get(ORDER):
        return
    others = {name: value for name, value in provider.metadata.items() if name != ORDER}
    provider.metadata = {**others, ORDER: wanted} if wanted else others
    provider.save(update_fields=["metadata", "updated_at"])
