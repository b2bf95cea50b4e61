"""What has been used of limits by now, whose it is, and how people say it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, Model, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.text import capfirst

from accounts.models import Action, ApiKey, Group, Limit, LimitCounter, Metric, Subject
from accounts.models import Window as Span
from accounts.models.limits import SUBJECT_COLUMNS
from accounts.services.ledger.limiting import telling
from accounts.services.ledger.limiting.rules import EVERYONE, Claim, as_email, load_book, rule_of
from accounts.services.ledger.limiting.windows import Clock, end_of, horizon_of

NOUNS = {
    Subject.KEY: "API key",
    Subject.GROUP: "group",
    Subject.EMAIL: "e-mail",
    Subject.MODEL: "model",
    Subject.PROVIDER: "provider",
    Subject.TAG: "tag",
}
SLIDING: dict[str, str] = {
    Span.SECOND: "in any second",
    Span.MINUTE: "in any minute",
    Span.HOUR: "in any hour",
    Span.DAY: "in any 24 hours",
    Span.WEEK: "in any 7 days",
    Span.MONTH: "in any 30 days",
}
COLUMNS = ("limit_id", "member")


@dataclass(frozen=True, slots=True)
class Use:
    """What one of those that a limit counts has used in the window that holds now, in units of 10^-10 USD or counts.
    `member`: whose, where each has a count of its own; `name`: of that one, for people."""

    limit: Limit
    member: str = ""
    used: int = 0
    held: int = 0
    name: str = ""

    @property
    def level(self) -> int:
        """What counts as used."""
        return telling.level_of(self.limit.metric, self.used, self.held)

    @property
    def percent(self) -> int:
        return telling.percent_of(self.limit.most, self.level)

    @property
    def is_past_threshold(self) -> bool:
        return bool(self.limit.thresholds) and self.percent >= min(self.limit.thresholds)


# Words


def subject_of(limit: Limit) -> str:
    """Whose use is counted."""
    if limit.subject == Subject.EVERYONE:
        return "All calls together"
    noun, name = NOUNS[Subject(limit.subject)], named_by(limit)
    return capfirst(f"{noun} {name}") if name else f"Each {noun}"


def named_by(limit: Limit) -> str:
    """The one that it is about; empty: each, or everyone."""
    column = SUBJECT_COLUMNS.get(Subject(limit.subject))
    row = getattr(limit, column) if column else limit.value
    return str(getattr(row, "name", row) or "")


def _is_of_one(limit: Limit) -> bool:
    return limit.subject == Subject.EVERYONE or bool(named_by(limit))


def counted_by(limit: Limit) -> str:
    """What is counted in which time: `Cost a month`."""
    if limit.metric == Metric.PARALLEL:
        return limit.get_metric_display()
    what = "Cost" if limit.metric == Metric.COST else limit.get_metric_display()
    spans = SLIDING if limit.is_sliding else telling.IN_WINDOW
    return f"{what} {spans[limit.window]}"


def amount(limit: Limit, number: int) -> str:
    """So much of what the limit counts: `5.00 USD`, `12 requests`."""
    return telling.amount(rule_of(limit), number)


def started_at(limit: Limit, now: datetime) -> datetime:
    """When the calendar's window that holds began."""
    return Clock(now).start_of(limit.window, False)


def resets_at(limit: Limit, now: datetime) -> datetime | None:
    """When it begins anew; None: never, or bit by bit all the time."""
    return None if limit.is_sliding else end_of(limit.window, started_at(limit, now))


# What stands in the counters


def uses(limits: Sequence[Limit], *, most_each: int = 1) -> dict[int, list[Use]]:
    """By limit: of those with one count that one, else the members that have used most."""
    by_id = {limit.pk: limit for limit in limits}
    found = _fullest(LimitCounter.objects.filter(limit_id__in=by_id), by_id, most_each)
    for limit in limits:
        if limit.pk not in found and _is_of_one(limit):
            found[limit.pk] = [Use(limit)]
    return found


def near(*, most: int) -> list[Use]:
    """Those past their limit's first threshold, the fullest first. What only counts warns nobody."""
    rows = LimitCounter.objects.filter(Q(used__gt=0) | Q(held__gt=0), _inside(timezone.now()))
    limits = Limit.objects.filter(is_enabled=True, pk__in=rows.values("limit_id")).exclude(action=Action.OBSERVE)
    by_id = {limit.pk: limit for limit in _whole(limits)}
    found = [use for each in _fullest(rows, by_id, most).values() for use in each if use.is_past_threshold]
    return named(sorted(found, key=lambda use: (-use.percent, use.limit.name))[:most])


def of_key(key: ApiKey) -> list[Use]:
    """Of each limit that all calls of a key count against."""
    return _claimed({
        Subject.EVERYONE: EVERYONE, Subject.KEY: key.pk, Subject.GROUP: key.group_id, Subject.EMAIL: as_email(key.email)
    })  # fmt: skip


def of_group(group: Group) -> list[Use]:
    """Of each limit that calls of a group count against together."""
    return _claimed({Subject.GROUP: group.pk})


def _claimed(who: dict[Subject, object]) -> list[Use]:
    book = load_book()
    claims = [claim for subject, name in who.items() for claim in book.of(subject, name)]
    by_id = {limit.pk: limit for limit in _whole(Limit.objects.filter(pk__in=[each.rule.id for each in claims]))}
    counted = _counted(claims)
    return [Use(by_id[claim.rule.id], claim.member, *counted.get(claim.line, (0, 0))) for claim in claims]


def _counted(claims: Iterable[Claim]) -> dict[tuple[int, str], tuple[int, int]]:
    lines = Q(pk__in=())
    for claim in claims:
        lines |= Q(limit_id=claim.rule.id, member=claim.member)
    rows = LimitCounter.objects.filter(lines, _inside(timezone.now())).values(*COLUMNS)
    return {(row["limit_id"], row["member"]): (row["all_used"], row["all_held"]) for row in rows.annotate(**SUMS)}


SUMS = {"all_used": Sum("used"), "all_held": Sum("held")}


def _fullest(rows: QuerySet[LimitCounter], by_id: dict[int, Limit], most_each: int) -> dict[int, list[Use]]:
    """In one query, however many limits and members there are."""
    place = Window(RowNumber(), partition_by=F("limit_id"), order_by=(F("all_used") + F("all_held")).desc())
    ranked = rows.filter(_inside(timezone.now())).values(*COLUMNS).annotate(**SUMS).annotate(place=place)
    found: dict[int, list[Use]] = defaultdict(list)
    for row in ranked.filter(place__lte=most_each).order_by("limit_id", "place"):
        if row["limit_id"] in by_id:
            found[row["limit_id"]].append(Use(by_id[row["limit_id"]], row["member"], row["all_used"], row["all_held"]))
    return found


def _inside(now: datetime) -> Q:
    """The counters of the windows that hold at that moment."""
    clock = Clock(now)
    wanted = Q(pk__in=())
    for window in Span:
        inside = Q(limit__is_sliding=False, starts_at=clock.start_of(window, False))
        if window != Span.TOTAL:
            inside |= Q(limit__is_sliding=True, starts_at__gt=horizon_of(window, now))
        wanted |= Q(limit__window=window) & inside
    return wanted


def _whole(limits: QuerySet[Limit]) -> QuerySet[Limit]:
    """With what words need, and without the secret, which may be one that nobody can read any more."""
    return limits.select_related("key", "group", "provider").defer("notify_secret")


# Names


def named(found: Iterable[Use]) -> list[Use]:
    """With the names of members that are told by a number."""
    found = list(found)
    names = member_names([(use.limit, use.member) for use in found])
    return [replace(use, name=name) for use, name in zip(found, names, strict=True)]


def member_names(members: Sequence[tuple[Limit, str]]) -> list[str]:
    """What each is called; those that are gone, what they are counted as."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for limit, member in members:
        if member and limit.subject in SUBJECT_COLUMNS:
            wanted[limit.subject].add(member)
    names = {(subject, str(pk)): name for subject, ids in wanted.items() for pk, name in _names(subject, ids)}
    return [names.get((limit.subject, member), member) for limit, member in members]


def _names(subject: str, ids: Iterable[str]) -> Iterable[tuple[int, str]]:
    row: type[Model] = Limit._meta.get_field(SUBJECT_COLUMNS[Subject(subject)]).related_model  # type: ignore[assignment]
    return row._default_manager.filter(pk__in=ids).values_list("pk", "name")
