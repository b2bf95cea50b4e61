"""Every way of editing what calls are resolved from moves the version."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models.signals import pre_save

from accounts.models import Group, GroupGrant
from common.models import ConfigVersion
from providers.models import AIModel, Provider
from tests import factories

EDITS: dict[str, Callable[[AIModel], object]] = {
    "save": lambda model: model.save(),
    "update": lambda model: AIModel.objects.update(weight=2),
    "delete": lambda model: model.delete(),
    "delete many": lambda model: AIModel.objects.all().delete(),
    "bulk_create": lambda model: AIModel.objects.bulk_create(
        [AIModel(provider=model.provider, name="x", upstream_name="x")]
    ),
    "bulk_update": lambda model: AIModel.objects.bulk_update([model], ["weight"]),
    "provider": lambda model: Provider.objects.update(is_enabled=False),
    "provider key": lambda model: model.provider.keys.all().delete(),
    "group": lambda model: Group.objects.create(name="g"),
    "grant": lambda model: factories.group(model),
    "m2m": lambda model: Group.objects.create(name="g").granted_models.add(model),
    "grants removed": lambda model: GroupGrant.objects.all().delete(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_moves_the_version(database: None, edit: Callable[[AIModel], object]) -> None:
    model = factories.model(factories.provider())
    before = ConfigVersion.current()
    edit(model)
    assert ConfigVersion.current() > before


def test_the_version_moves_with_the_edit_and_not_before(database: None) -> None:
    """A reader between the two would remember the old rows under the new number, for good."""
    model = factories.model(factories.provider())
    seen: list[bool] = []

    def look(**_: object) -> None:
        seen.append(connection.in_atomic_block)

    pre_save.connect(look, sender=AIModel)
    try:
        model.save()
    finally:
        pre_save.disconnect(look, sender=AIModel)
    assert seen == [True]


def test_saving_a_key_never_moves_its_counters(database: None) -> None:
    from decimal import Decimal

    from accounts.models import ApiKey

    key = factories.key().key
    ApiKey.objects.filter(pk=key.pk).update(held=Decimal(1), spent=Decimal(2), month_fee=Decimal(3))
    key.name = "renamed"
    key.save()
    key.refresh_from_db()
    assert (key.name, key.held, key.spent, key.month_fee) == ("renamed", 1, 2, 3)
