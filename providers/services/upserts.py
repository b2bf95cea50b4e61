"""A provider by its name: made when there is none, given these settings and this key when there is.

For programs that send the whole of what they want each time. The console's form edits a row that was read before
(`providers.change`), which is something else.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from common.models import ConfigVersion, noted
from providers import catalog, sensitive
from providers.models import Provider, ProviderKey
from providers.services import discovery, providers
from providers.services.connections import NEW_SETTINGS
from providers.services.routing import OPENAI_COMPATIBLE

FIRST_KEY = "key 1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a program asks for. Without a requester or an address the name's own hold (`catalog.template`), where it has
    some; `model_names` without a row yet get one. `program` names who keeps `metadata` with the row.
    """

    name: str
    secret: str = field(repr=False)
    program: str
    metadata: Mapping[str, Any]
    requester: str = ""
    base_url: str = ""
    model_names: Sequence[str] = ()


def find(name: str) -> Provider | None:
    """By its name, else by the small letters of it, else by the only one that differs in capitals alone."""
    if "\0" in name:
        return None
    alike = list(Provider.objects.filter(name__iexact=name).order_by("id"))
    exact = next((each for spelling in (name, name.lower()) for each in alike if each.name == spelling), None)
    return exact or (alike[0] if len(alike) == 1 else None)


@transaction.atomic
def put(wanted: Wanted) -> Provider:
    """All of it or nothing; of two at once one comes second. Raises ValidationError."""
    ConfigVersion.lock()
    found = find(wanted.name)
    provider = _change(found, wanted) if found else _add(wanted)
    names = [name for name in dict.fromkeys(wanted.model_names) if name not in _names_of(provider)]
    named = discovery.named(provider=provider, names=names)
    discovery.import_models(provider=provider, chosen=[each for each in named if not each.refusal])
    return provider


def _add(wanted: Wanted) -> Provider:
    requester, base_url = _settings(wanted)
    provider = providers.add(name=wanted.name, requester=requester, base_url=base_url, secrets=[wanted.secret])
    provider.metadata = {wanted.program: _kept(wanted.metadata, wanted.secret)}
    provider.save(update_fields=["metadata"])
    return provider


def _change(provider: Provider, wanted: Wanted) -> Provider:
    before = copy(provider)
    provider.requester, provider.base_url = _settings(wanted, provider)
    provider.metadata = {**provider.metadata, wanted.program: _kept(wanted.metadata, wanted.secret)}
    if reason := catalog.refusal(provider.requester):
        raise ValidationError({"requester": reason})
    provider.full_clean()
    providers.check_egress(provider.address)
    if providers.has_moved(before, provider) and _sends_secrets(provider):
        raise ValidationError(NEW_SETTINGS)
    providers.change(provider=provider)
    _replace_key(provider=provider, secret=wanted.secret)
    return provider


@transaction.atomic
def patch(*, provider: Provider, program: str, metadata: Mapping[str, Any], secret: str | None = None) -> Provider:
    """These entries of a program's metadata, and this secret in its first key if there is one; the rest stays.

    Raises Provider.DoesNotExist when it has gone meanwhile.
    """
    ConfigVersion.lock()
    provider = Provider.objects.get(pk=provider.pk)
    provider.metadata = noted(provider.metadata, program, metadata)
    provider.metadata[program] = _kept(provider.metadata[program], secret)
    provider.save(update_fields=["metadata", "updated_at"])
    if secret is not None:
        _replace_key(provider=provider, secret=secret)
    return provider


def _replace_key(*, provider: Provider, secret: str) -> ProviderKey:
    """A new secret in the row of the provider's first key, which is switched on; other keys stay as they are."""
    # Deferred, as a secret that no key of the keyring opens can still be replaced.
    key = provider.keys.defer("secret").order_by("id").first() or ProviderKey(provider=provider, name=FIRST_KEY)
    key.secret, key.is_enabled = secret, True
    key.full_clean()
    key.save()
    return key


def _kept(metadata: Mapping[str, Any], secret: str | None) -> dict[str, Any]:
    """Programs like to repeat the key in there, where it would be stored and shown in clear."""
    return dict(sensitive.blotted(dict(metadata), secret)) if secret else dict(metadata)


def _sends_secrets(provider: Provider) -> bool:
    """Whether calls carry secrets beside the key, which this program neither sees nor sends."""
    arguments = provider.models.values_list("extra_args", flat=True)
    return any(map(sensitive.has_secret, (provider.config, *arguments)))


def _settings(wanted: Wanted, row: Provider | None = None) -> tuple[str, str]:
    """The requester and the address: as asked for, else as the row has them that this program did not make, else the
    name's own, else as the row has them."""
    template = catalog.template(wanted.name)
    is_others = row is not None and wanted.program not in row.metadata
    known = (row.requester, row.base_url) if row else (OPENAI_COMPATIBLE, "")
    own = (template.requester, template.base_url) if template and not is_others else known
    requester = catalog.canonical(wanted.requester) or own[0]
    base_url = wanted.base_url or (own[1] or known[1] if requester in (own[0], known[0]) else "")
    return requester, base_url


def _names_of(provider: Provider) -> set[str]:
    rows = provider.models.values_list("name", "upstream_name")
    return {name for names in rows for name in names}
