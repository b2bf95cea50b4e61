"""Budgets in a LiteLLM config as limits: the proxy's, and those of tags. Keys' and teams' are in its database."""

from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from accounts.models import Metric, Subject, Window
from common.money import show, to_units

JSON = dict[str, Any]
Tell = Callable[[str, str], None]

WINDOWS = {
    None: Window.TOTAL,
    "1s": Window.SECOND,
    "1m": Window.MINUTE,
    "60s": Window.MINUTE,
    "1h": Window.HOUR,
    "60m": Window.HOUR,
    "1d": Window.DAY,
    "24h": Window.DAY,
    "7d": Window.WEEK,
    "1w": Window.WEEK,
    "30d": Window.MONTH,
    "1mo": Window.MONTH,
}
MODULE_FIELDS = frozenset({"max_budget", "budget_duration", "tag_budget_config"})
GENERAL_FIELDS = frozenset({"global_max_parallel_requests"})


class Unfit(Exception):
    """Why a budget is left out."""


def limits(module: JSON, general: JSON, tell: Tell) -> list[JSON]:
    """`module` is litellm_settings; `tell` gets the place and the reason of what does not fit."""
    return [*_of_everyone(module, tell), *_parallel(general, tell), *_of_tags(module, tell)]


def _of_everyone(module: JSON, tell: Tell) -> Iterator[JSON]:
    if module.get("max_budget") is not None:
        yield from _fit("litellm_settings.max_budget", tell, "LiteLLM: max_budget", module)


def _of_tags(module: JSON, tell: Tell) -> Iterator[JSON]:
    tags = module.get("tag_budget_config")
    for tag, budget in (tags if isinstance(tags, dict) else {}).items():
        place, name = f"litellm_settings.tag_budget_config.{tag}", f"LiteLLM: budget of the tag {tag}"
        for limit in _fit(place, tell, name, budget):
            yield {**limit, "subject": Subject.TAG.value, "value": str(tag)}


def _parallel(general: JSON, tell: Tell) -> Iterator[JSON]:
    most, name = general.get("global_max_parallel_requests"), "global_max_parallel_requests"
    if isinstance(most, int) and not isinstance(most, bool) and most >= 0:
        fields = {"subject": Subject.EVERYONE.value, "metric": Metric.PARALLEL.value, "most_count": most}
        yield {"name": f"LiteLLM: {name}", **fields}
    elif most is not None:
        tell(f"general_settings.{name}", "left out, as it is no whole number")


def _fit(place: str, tell: Tell, name: str, source: Any) -> Iterator[JSON]:
    try:
        yield _budget(name, source)
    except Unfit as unfit:
        tell(place, f"left out, as {unfit}")


def _budget(name: str, source: Any) -> JSON:
    """Raises Unfit."""
    given = source if isinstance(source, dict) else {}
    duration = given.get("budget_duration", given.get("time_period"))
    if duration is not None and duration not in WINDOWS:
        raise Unfit(f"there is no window of {duration} here")
    return {
        "name": name,
        "subject": Subject.EVERYONE.value,
        "metric": Metric.COST.value,
        "window": WINDOWS[duration].value,
        "most_cost": _amount(given.get("max_budget", given.get("budget_limit"))),
    }


def _amount(value: Any) -> str:
    try:
        return show(to_units(Decimal(str(value))))
    except (InvalidOperation, ValueError) as error:
        raise Unfit("it is no amount in USD") from error
