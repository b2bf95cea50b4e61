"""Limits as calls see them: an immutable picture of their rows, and which of them fit a call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from accounts.models import Action, Limit, Subject
from accounts.models.limits import SUBJECT_COLUMNS

EVERYONE = "everyone"
PLACES = frozenset({Subject.MODEL, Subject.PROVIDER})
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit. `most` is in units of 10^-10 USD, or a count; `thresholds` are in per cent of it."""

    id: int
    name: str
    metric: str
    window: str
    is_sliding: bool
    action: str
    most: int
    thresholds: tuple[int, ...] = ()

    @property
    def is_blocking(self) -> bool:
        return self.action == Action.BLOCK


@dataclass(frozen=True, slots=True)
class Claim:
    """A limit that a call counts against. `member`: whose count, where each has one of its own. `of`: the model or the
    provider (subject, and its name or id) that it is about, so that it counts only where that one served."""

    rule: Rule
    member: str = ""
    of: tuple[str, str] | None = None

    @property
    def line(self) -> tuple[int, str]:
        """What counts together over all windows."""
        return self.rule.id, self.member


@dataclass(frozen=True, slots=True)
class Book:
    """All limits that are switched on: those of one by (subject, who), and by subject those that count each apart.
    `has_places`: there are some of models or providers."""

    named: Mapping[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)
    each: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    has_places: bool = False

    def __bool__(self) -> bool:
        return bool(self.named or self.each)

    def of(self, subject: str, who: object, of: tuple[str, str] | None = None) -> list[Claim]:
        """What counts for that one; nothing for nobody (None or "")."""
        name = "" if who is None else str(who)
        if not name:
            return []
        named = [Claim(rule, "", of) for rule in self.named.get((subject, name), ())]
        return named + [Claim(rule, name, of) for rule in self.each.get(subject, ())]


def each_once(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Without those that count on what an earlier one counts on."""
    first: dict[tuple[int, str], Claim] = {}
    for claim in claims:
        first.setdefault(claim.line, claim)
    return tuple(first.values())


def load_book() -> Book:
    """Read all limits that are switched on."""
    named: dict[tuple[str, str], list[Rule]] = {}
    each: dict[str, list[Rule]] = {}
    for limit in Limit.objects.filter(is_enabled=True).defer("notify_secret").order_by("id"):
        who = _whom(limit)
        rules = named.setdefault((limit.subject, who), []) if who else each.setdefault(limit.subject, [])
        rules.append(rule_of(limit))
    subjects = {subject for subject, _ in named} | each.keys()
    return Book(_frozen(named), _frozen(each), not subjects.isdisjoint(PLACES))


def rule_of(limit: Limit) -> Rule:
    """A limit's row as calls see it."""
    return Rule(
        id=limit.pk,
        name=limit.name,
        metric=limit.metric,
        window=limit.window,
        is_sliding=limit.is_sliding,
        action=limit.action,
        most=limit.most,
        thresholds=tuple(sorted(limit.thresholds)),
    )


def _whom(limit: Limit) -> str:
    """The one that it is about; empty: each of them."""
    if limit.subject == Subject.EVERYONE:
        return EVERYONE
    column = SUBJECT_COLUMNS.get(Subject(limit.subject))
    if column:
        row_id = getattr(limit, f"{column}_id")
        return "" if row_id is None else str(row_id)
    return as_email(limit.value) if limit.subject == Subject.EMAIL else limit.value


def as_email(text: str) -> str:
    """Addresses differ in nothing but their letters: no other spelling gets a count of its own."""
    return text.strip().casefold()


def _frozen(lists: Mapping[Name, Iterable[Rule]]) -> dict[Name, tuple[Rule, ...]]:
    return {name: tuple(rules) for name, rules in lists.items()}
