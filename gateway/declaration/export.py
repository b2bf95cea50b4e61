"""From the database to a document. Fields that have their default are left out, secrets are references."""

from collections.abc import Iterator
from typing import Any

import yaml
from django.db.models import Model, Prefetch

from accounts.models import ApiKey, Group, Limit, Subject
from accounts.models.limits import SUBJECT_COLUMNS
from gateway.declaration import references
from gateway.declaration.fields import default, fields_of, is_same, write
from providers.models import AIModel, Provider, ProviderKey

JSON = dict[str, Any]

VERSION = 1
# Said even where it is the default.
ALWAYS = frozenset({"name", "requester", "kind", "subject", "metric", "window"})
HEAD = """\
# The set-up of a Weighbridge gateway. `manage.py import_config` makes it so, and a second time changes nothing.
# Secrets are references to environment variables (or file:/path); where one is not set, a stored secret stays.
"""


def export() -> JSON:
    """All providers with their keys and models, all groups with what they may call, and all limits."""
    keys: Any = Prefetch("keys", ProviderKey.objects.defer("secret").order_by("name"))
    models: Any = Prefetch("models", AIModel.objects.order_by("name", "kind", "id"))
    providers = list(Provider.objects.order_by("name").prefetch_related(keys, models))
    limits = list(Limit.objects.order_by("name").select_related(*SUBJECT_COLUMNS.values()).defer("notify_secret"))
    signed = [limit for limit in limits if limit.notify_url]
    holders = [(provider.name, key.name) for provider in providers for key in provider.keys.all()]
    secrets = references.names_for([*holders, *(("limit", limit.name) for limit in signed)])
    return {
        "version": VERSION,
        "providers": [_provider(provider, secrets) for provider in providers],
        "groups": [_group(group) for group in Group.objects.order_by("name")],
        "limits": [_limit(limit, secrets) for limit in limits],
    }


def sizes(document: JSON) -> dict[str, int]:
    """How many rows of each sort it has."""
    return {name: len(document[name]) for name in ("providers", "groups", "limits")}


def dump(document: JSON) -> str:
    return HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _provider(provider: Provider, secrets: Iterator[str]) -> JSON:
    keys = [{**_fields(key), "secret": next(secrets)} for key in provider.keys.all()]
    return {**_fields(provider), "keys": keys, "models": [_fields(model) for model in provider.models.all()]}


def _fields(row: Model) -> JSON:
    fields = fields_of(type(row))
    values = {name: getattr(row, name) for name in fields}
    return {
        name: write(field, values[name])
        for name, field in fields.items()
        if name in ALWAYS or not is_same(field, values[name], default(type(row), field, values))
    }


def _group(group: Group) -> JSON:
    return {**_fields(group), "models": list(_grants(group))}


def _grants(group: Group) -> Iterator[str | JSON]:
    """A name where it stands for all models of that name, else each model by itself."""
    granted = list(group.granted_models.select_related("provider").order_by("name", "provider__name", "kind"))
    for name in dict.fromkeys(model.name for model in granted):
        mine = [model for model in granted if model.name == name]
        if len(mine) == AIModel.objects.filter(name=name).count():
            yield name
        else:
            yield from ({"name": name, "provider": each.provider.name, "kind": each.kind} for each in mine)


def _limit(limit: Limit, secrets: Iterator[str]) -> JSON:
    named = {column: _name_of(limit, column) for column in SUBJECT_COLUMNS.values() if getattr(limit, column)}
    return {**_fields(limit), **named, **({"secret": next(secrets)} if limit.notify_url else {})}


def _name_of(limit: Limit, column: str) -> str:
    """A key's start, where several keys have its name."""
    name: str = getattr(limit, column).name
    is_twice = limit.subject == Subject.KEY and ApiKey.objects.filter(name=name).count() > 1
    return limit.key.prefix if is_twice and limit.key else name
