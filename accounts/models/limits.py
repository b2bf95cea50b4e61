"""Limits: how much of what somebody may use in which time. A key's month quota and balance are its own columns."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.models.keys import ApiKey, Group
from common.fields import EncryptedTextField
from common.models import ConfigRow
from common.money import MoneyField, to_units

NO_START = datetime(1970, 1, 1, tzinfo=UTC)  # of windows that never begin anew
MOST_PERCENT = 1000


class Subject(models.TextChoices):
    """Whose use is counted together."""

    EVERYONE = "everyone", "Everyone"
    KEY = "key", "API key"
    GROUP = "group", "Group"
    EMAIL = "email", "User's e-mail"
    MODEL = "model", "Model"
    PROVIDER = "provider", "Provider"
    TAG = "tag", "Tag of the request"


class Metric(models.TextChoices):
    COST = "cost", "Cost in USD"
    REQUESTS = "requests", "Requests"
    INPUT_TOKENS = "input_tokens", "Input tokens"
    OUTPUT_TOKENS = "output_tokens", "Output tokens"
    TOKENS = "tokens", "Tokens"
    PARALLEL = "parallel", "Parallel calls"


class Window(models.TextChoices):
    SECOND = "second", "A second"
    MINUTE = "minute", "A minute"
    HOUR = "hour", "An hour"
    DAY = "day", "A day"
    WEEK = "week", "A week"
    MONTH = "month", "A month"
    TOTAL = "total", "In total"


class Action(models.TextChoices):
    BLOCK = "block", "Refuse calls beyond it"
    WARN = "warn", "Warn"
    OBSERVE = "observe", "Count only"


# What a limit counts: another of these would go on from counts of something else.
COUNTED_BY = ("subject", "key_id", "group_id", "provider_id", "value", "metric", "window", "is_sliding")
# Which column names one subject; the others are told by `value`.
SUBJECT_COLUMNS = {Subject.KEY: "key", Subject.GROUP: "group", Subject.PROVIDER: "provider"}
NAMED_BY_VALUE = (Subject.EMAIL, Subject.MODEL, Subject.TAG)


def usual_thresholds() -> list[int]:
    return [80, 100]


class Limit(ConfigRow):
    """At most so much of one metric in one window. Any number of them may fit a call; all of them count."""

    name = models.CharField(max_length=255, unique=True, help_text="What refusals and warnings call it.")
    subject = models.CharField(max_length=8, choices=Subject.choices, default=Subject.EVERYONE)
    key = models.ForeignKey(ApiKey, models.CASCADE, null=True, blank=True, related_name="limits")
    group = models.ForeignKey(Group, models.CASCADE, null=True, blank=True, related_name="limits")
    provider = models.ForeignKey("providers.Provider", models.CASCADE, null=True, blank=True, related_name="limits")
    value = models.CharField(
        max_length=255,
        blank=True,
        help_text="An e-mail address, a model's public name or a tag. Subject and all empty: each has its own count.",
    )
    metric = models.CharField(max_length=16, choices=Metric.choices, default=Metric.COST)
    window = models.CharField(max_length=8, choices=Window.choices, default=Window.MONTH)
    is_sliding = models.BooleanField(
        "sliding", default=False, help_text="Counts the latest minute, hour and so on, not the calendar's."
    )
    most_cost = MoneyField(
        "most, in USD", null=True, blank=True, validators=[MinValueValidator(0)], help_text="For a limit of cost."
    )
    most_count = models.PositiveBigIntegerField(
        "most", null=True, blank=True, help_text="Requests, tokens or parallel calls, for the other limits."
    )
    action = models.CharField(max_length=8, choices=Action.choices, default=Action.BLOCK)
    thresholds = models.JSONField(
        default=usual_thresholds, blank=True, help_text="Per cent at which somebody is told, once in each window."
    )
    notify_url = models.URLField("tell this webhook", max_length=500, blank=True)
    notify_secret = EncryptedTextField("the webhook's secret", blank=True, default="")
    notify_email = models.EmailField("tell this address", blank=True)
    is_enabled = models.BooleanField("enabled", default=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(metric="cost", most_cost__isnull=False, most_count=None)
                | (~Q(metric="cost") & Q(most_cost=None, most_count__isnull=False)),
                name="limit_has_its_amount",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def most(self) -> int:
        """In units of 10^-10 USD, or a count."""
        return to_units(self.most_cost) if self.metric == Metric.COST else int(self.most_count or 0)

    def clean(self) -> None:
        if self.metric == Metric.PARALLEL:
            self.window = Window.TOTAL  # there is no time in which calls run at the same time
        errors: dict[str, Any] = {}
        if (self.most_cost is None) == (self.metric == Metric.COST):
            errors["most_cost"] = "Give an amount in USD for a limit of cost, and none for another."
        if (self.most_count is None) != (self.metric == Metric.COST):
            errors["most_count"] = "Give a whole number, unless it is a limit of cost."
        for subject, column in SUBJECT_COLUMNS.items():
            if self.subject != subject and getattr(self, f"{column}_id") is not None:
                errors[column] = "The limit is about something else."
        if self.value and self.subject not in NAMED_BY_VALUE:
            errors["value"] = "This is for an e-mail address, a model or a tag."
        if self.is_sliding and self.window == Window.TOTAL:
            errors["is_sliding"] = "Only what has a window can slide."
        if self.pk and self._counts_otherwise():
            errors["subject"] = "What a limit counts can't be changed: remove it and make another one."
        if not _are_percents(self.thresholds):
            errors["thresholds"] = f"Give a list of whole numbers from 1 to {MOST_PERCENT}, such as [80, 100]."
        if errors:
            raise ValidationError(errors)

    def _counts_otherwise(self) -> bool:
        stored = Limit.objects.filter(pk=self.pk).values(*COUNTED_BY).first()
        return stored is not None and any(stored[name] != getattr(self, name) for name in COUNTED_BY)


def _are_percents(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) <= 10
    return is_list and all(type(each) is int and 1 <= each <= MOST_PERCENT for each in value)


class LimitCounter(models.Model):
    """What has been used of a limit in one window, by one of those that it counts apart."""

    # Stays when the limit is removed: calls that run are settled on it, and no two transactions take its locks in
    # different order. What nobody holds any more is pruned.
    limit = models.ForeignKey(Limit, models.DO_NOTHING, related_name="counters", db_constraint=False)
    member = models.CharField(max_length=255, blank=True, help_text="Whose, where each has a count of its own.")
    starts_at = models.DateTimeField(db_index=True)
    used = models.BigIntegerField(default=0, db_default=0, help_text="10^-10 USD, or a count.")
    held = models.BigIntegerField(default=0, db_default=0, help_text="By calls that run.")

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["limit", "member", "starts_at"], name="limitcounter_once"),)

    def __str__(self) -> str:
        return f"{self.limit_id} {self.member} {self.starts_at}: {self.used}"


class LimitNotice(models.Model):
    """A threshold that was reached: told once in each window."""

    limit = models.ForeignKey(Limit, models.CASCADE, related_name="notices", db_constraint=False)
    member = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField()
    percent = models.PositiveSmallIntegerField()
    used = models.BigIntegerField(help_text="10^-10 USD, or a count, when it was reached.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text="When it is told, or tried again; none: that is over.")
    told_at = models.DateTimeField(null=True, help_text="To all who are to be told.")
    posted_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        ordering = ("-id",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["limit", "member", "starts_at", "percent"], name="limitnotice_once"),
        )
        indexes = (models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="limitnotice_due"),)

    def __str__(self) -> str:
        return f"{self.limit_id} at {self.percent} %"
