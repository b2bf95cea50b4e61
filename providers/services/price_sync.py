"""Prices brought up to the public list: what would change is told first, what held before is kept."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from common.models import ConfigVersion
from providers.models import ALL_PRICE_FIELDS, PRICE_FIELDS, AIModel, ModelPrice
from providers.models.prices import keep_first, prices_in
from providers.services import knowledge

Prices = dict[str, Decimal | None]
Table = dict[int, Prices]  # by the number of prompt tokens above which they hold; 0: the base


@dataclass(frozen=True, slots=True)
class Change:
    """One price of one model, in USD per million tokens (or per request); None: none of its own."""

    model: AIModel
    above_tokens: int
    bucket: str
    old: Decimal | None
    new: Decimal | None


def candidates(names: Sequence[str] = ()) -> QuerySet[AIModel]:
    """The models of these public names; without names all whose prices came from the list."""
    models = AIModel.objects.select_related("provider").prefetch_related("price_list").order_by("name", "id")
    return models.filter(name__in=names) if names else models.filter(follows_list=True)


def changes(models: Iterable[AIModel]) -> list[Change]:
    """What the list has otherwise. What it says nothing of stays, but its tiers are all that there are."""
    return [change for model in models for change in _changes(model)]


def is_listed(model: AIModel) -> bool:
    return bool(_listed(model))


def _listed(model: AIModel) -> Table:
    found = knowledge.listed_tiers(provider=model.provider, upstream_name=model.upstream_name)
    base = knowledge.with_output_price(model.kind, found.get(0, {}))
    return {above: dict(prices if above else base) for above, prices in found.items()}


def _changes(model: AIModel) -> Iterator[Change]:
    listed, standing = _listed(model), _standing(model)
    if not listed:
        return
    for above in sorted({*listed, *standing}):
        new, old = listed.get(above, {}), standing.get(above, {})
        for bucket in ALL_PRICE_FIELDS:
            is_told = bucket in new or above not in listed
            if is_told and new.get(bucket) != old.get(bucket):
                yield Change(model, above, bucket, old.get(bucket), new.get(bucket))


def _standing(model: AIModel) -> Table:
    """What holds now: what a tier does not say is as in the one below, and one that says nothing is none."""
    now = timezone.now()
    rows = sorted(model.price_list.all(), key=lambda row: row.valid_from)
    latest = {row.above_tokens: row for row in rows if row.valid_from <= now}
    table: Table = {0: _told(latest[0]) if 0 in latest else prices_in(model)}
    below = table[0]
    for above in sorted(set(latest) - {0}):
        if told := _told(latest[above]):
            below = table[above] = {**below, **told}
    return table


def _told(row: ModelPrice) -> Prices:
    found = {name: getattr(row, name) for name in ALL_PRICE_FIELDS}
    return {name: price for name, price in found.items() if price is not None}


@transaction.atomic
def apply(found: Iterable[Change]) -> int:
    """Make these changes, from now on. Answers how many models have other prices now.

    What somebody has changed since it was told is theirs: those models stay as they are.
    """
    ConfigVersion.lock()
    now = timezone.now()
    by_model: dict[int, list[Change]] = {}
    for change in found:
        by_model.setdefault(change.model.pk, []).append(change)
    fresh = AIModel.objects.filter(pk__in=by_model).select_related("provider").prefetch_related("price_list")
    models = [model for model in fresh if _as_told(_changes(model)) == _as_told(by_model[model.pk])]
    for model in models:
        _write(model, by_model[model.pk], now)
    return len(models)


def _as_told(found: Iterable[Change]) -> list[tuple[Any, ...]]:
    return [(each.above_tokens, each.bucket, each.old, each.new) for each in found]


def _write(model: AIModel, changed: list[Change], now: Any) -> None:
    keep_first(model, prices_in(model))
    table = _standing(model)
    for change in changed:
        table.setdefault(change.above_tokens, {})[change.bucket] = change.new
    for above in {change.above_tokens for change in changed}:
        ModelPrice.objects.create(model=model, valid_from=now, above_tokens=above, **table[above])
    AIModel.objects.filter(pk=model.pk).update(**{name: table[0].get(name) for name in PRICE_FIELDS})


def complete(models: Iterable[AIModel]) -> None:
    """Give models that were just made with the list's prices what else it has: tiers, and rare prices."""
    for model in models:
        if found := list(_changes(model)):
            _write(model, found, timezone.now())


def mirror(model: AIModel) -> None:
    """Put the base prices that hold now into the model's own columns, after its list was edited; where all of its base
    rows are to come, keep what holds until then."""
    fresh = AIModel.objects.prefetch_related("price_list").get(pk=model.pk)
    if any(not row.above_tokens for row in fresh.price_list.all()):
        keep_first(fresh, prices_in(fresh))
    current = _standing(fresh)[0]
    prices = {name: current.get(name) for name in PRICE_FIELDS}
    if prices != prices_in(fresh):
        AIModel.objects.filter(pk=model.pk).update(**prices)
