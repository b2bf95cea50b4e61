"""The charges of a period once more, at the prices that held when they were made, as far as those are known now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import ApiKey, Charge, Outcome, State, UsageSource
from accounts.services.ledger import corrections
from accounts.services.ledger.corrections import Rating
from accounts.services.ledger.types import Prices
from chat.services import billing
from common.money import to_units
from providers.models import AIModel
from providers.services import pricing
from providers.services.pricing import REASONING, REQUEST, PriceList

AT_ONCE = 500
FINAL_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class Difference:
    """What rating anew changes for one key, in units: `before` with all earlier corrections. `unknown`: charges of
    models that have gone, or had no price then; they stay as they are."""

    key_id: int
    key_name: str
    charges: int = 0
    changed: int = 0
    unknown: int = 0
    before: int = 0
    after: int = 0
    fee: int = 0  # of the corrections that were written

    @property
    def difference(self) -> int:
        return self.after - self.before


def charges_of(*, since: datetime, until: datetime, model_name: str = "") -> QuerySet[Charge]:
    """The calls that began in that time, `until` not included. What another system had counted is left out."""
    found = Charge.objects.filter(created_at__gte=since, created_at__lt=until, state=State.SETTLED, corrects=None)
    # A process that was taken for dead may still settle its call.
    guessed = Q(outcome=Outcome.SERVER_STOPPED, settled_at__gt=timezone.now() - FINAL_AFTER)
    found = found.exclude(usage_source=UsageSource.CARRIED).exclude(guessed)
    return found.filter(model_name=model_name) if model_name else found


def rerate(charges: QuerySet[Charge], *, is_dry: bool) -> Iterator[Difference]:
    """One difference for each key. Unless it is dry it is written, some charges of a key at a time, each in a
    transaction of its own; doing it again, or going on after a stop, changes nothing twice."""
    book = _PriceBook()
    keys = ApiKey.objects.filter(pk__in=charges.order_by().values("key")).order_by("pk")
    for key_id, name in list(keys.values_list("pk", "name")):
        total = Difference(key_id, name)
        for some in _pages(charges.filter(key=key_id)):
            _rate(some, total, book, is_dry=is_dry)
        yield total


def _pages(charges: QuerySet[Charge]) -> Iterator[list[Charge]]:
    last = 0
    while page := list(charges.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        yield page
        last = page[-1].pk


def _rate(charges: Sequence[Charge], total: Difference, book: "_PriceBook", *, is_dry: bool) -> None:
    ratings = {charge.pk: rating for charge in charges if (rating := book.rating(charge))}
    standings = corrections.standings([each for each in charges if each.pk in ratings])
    total.charges += len(charges)
    total.unknown += len(charges) - len(ratings)
    for standing in standings.values():
        after = corrections.cost_of(standing.charge, ratings[standing.charge.pk])
        total.before += standing.cost
        total.after += after
        total.changed += after != standing.cost
    if not is_dry:
        total.fee += sum(to_units(row.fee) for row in corrections.correct(total.key_id, ratings))


class _PriceBook:
    """The price lists of models, each read once."""

    def __init__(self) -> None:
        self._lists: dict[tuple[int, str], tuple[PriceList, ...]] = {}

    def rating(self, charge: Charge) -> Rating | None:
        """None: nobody knows the price."""
        lists = self._lists_of(charge)
        if not lists:
            return None
        tokens = corrections.tokens_of(charge)
        tier = pricing.tier_for(pricing.list_at(lists, charge.created_at.timestamp()).tiers, tokens.prompt)
        rates = tier.times(pricing.ratio_of(charge.price_ratio))
        if rates.four[0] is None and rates.four[1] is None:
            return None
        counts = {name: count for name, count, _ in charge.buckets}
        requests = counts.pop(REQUEST, 1)
        counts.pop(REASONING, None)
        return Rating(Prices(*rates.four), billing.apart(rates, counts, tokens.reasoning, requests))

    def _lists_of(self, charge: Charge) -> tuple[PriceList, ...]:
        place = (charge.model_id or 0, charge.upstream_name)
        if place not in self._lists:
            model = _priced_by(charge)
            self._lists[place] = pricing.lists_of(model, model.price_list.all()) if model else ()
        return self._lists[place]


def _priced_by(charge: Charge) -> AIModel | None:
    """The row of the call's model; of the upstream model that it named, where there is one, as in the call itself."""
    model = AIModel.objects.filter(pk=charge.model_id or 0).first()
    if model is None or model.upstream_name == charge.upstream_name:
        return model
    same_place = AIModel.objects.filter(provider=model.provider_id, kind=model.kind).order_by("priority", "id")
    return same_place.filter(upstream_name__iexact=charge.upstream_name).first() or model
