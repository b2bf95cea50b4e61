"""Rows for tests, with what the test does not care about filled in."""

from decimal import Decimal
from itertools import count
from typing import Any

from accounts.models import Group, GroupGrant, KeyGrant
from accounts.services import keys
from accounts.services.keys import IssuedKey
from providers.models import AIModel, Provider, ProviderKey
from tests.fakes.server import FakeVendor

_numbers = count(1)


def provider(upstream: FakeVendor | None = None, **fields: Any) -> Provider:
    """A provider with one key; of the fake upstream when one is given."""
    secret = fields.pop("secret", upstream.key if upstream else "sk-some-provider-key")
    base_url = f"{upstream.origin}/v1" if upstream else "http://127.0.0.1:9/v1"
    row = Provider.objects.create(**{"name": f"provider {next(_numbers)}", "base_url": base_url, **fields})
    if secret:
        ProviderKey.objects.create(provider=row, secret=secret)
    return row


def model(of: Provider, name: str = "echo", **fields: Any) -> AIModel:
    """A model whose public name is its upstream name, at 1 USD in and 2 USD out per million tokens."""
    defaults = {"upstream_name": name, "price_in": Decimal(1), "price_out": Decimal(2), "max_output": 1000}
    return AIModel.objects.create(provider=of, name=name, **{**defaults, **fields})


def key(**fields: Any) -> IssuedKey:
    """A key that may call every model and spend 100 USD a month."""
    defaults = {"name": f"key {next(_numbers)}", "month_quota": Decimal(100), "all_models": True}
    return keys.issue(**{**defaults, **fields})


def group(*models: AIModel, **fields: Any) -> Group:
    row = Group.objects.create(**{"name": f"group {next(_numbers)}", **fields})
    for each in models:
        GroupGrant.objects.create(group=row, model=each)
    return row


def grant(issued: IssuedKey, granted: AIModel) -> KeyGrant:
    return KeyGrant.objects.create(key=issued.key, model=granted)
