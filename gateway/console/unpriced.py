"""Models whose calls cost nothing because nobody said what they cost: told on the first page, with their calls."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Sum

from accounts.models import DayOfSpend
from providers.models import AIModel

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Unpriced:
    """`names` are some of them; `calls` those of all since a day."""

    names: list[str]
    more: int
    calls: int


def since(day: date) -> Unpriced | None:
    """None when every model that can be called has a price, be it 0."""
    names = list(AIModel.objects.routable().unpriced().order_by("name").values_list("name", flat=True).distinct())
    if not names:
        return None
    calls = DayOfSpend.objects.filter(day__gte=day, model_name__in=names).aggregate(calls=Sum("calls"))["calls"]
    return Unpriced(names[:MOST_NAMED], len(names[MOST_NAMED:]), calls or 0)
