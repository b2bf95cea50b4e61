"""What every table shares: two identities, times, and a version that moves with each configuration edit."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import F

RowType = TypeVar("RowType", bound=models.Model)


class Row(models.Model):
    """A row with the two ids that the dialects show: a whole number and a UUID."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True


def noted(metadata: Mapping[str, Any], program: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    """What programs store with a row, with these entries of one of them laid over its own; the others' stay."""
    return {**metadata, program: {**metadata.get(program, {}), **entries}}


class ConfigVersion(models.Model):
    """One row that counts the edits of what calls are resolved from; a reader compares it instead of polling."""

    number = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = "configuration version"
        constraints = (models.CheckConstraint(condition=models.Q(pk=1), name="configversion_is_one_row"),)

    def __str__(self) -> str:
        return f"version {self.number}"

    @classmethod
    def current(cls) -> int:
        """The number that holds now."""
        number: int = cls.objects.values_list("number", flat=True).get(pk=1)
        return number

    @classmethod
    def bump(cls) -> None:
        """Say, in the edit's own transaction, that something changed."""
        cls.objects.filter(pk=1).update(number=F("number") + 1)

    @classmethod
    def lock(cls) -> None:
        """Come one after the other with all who edit. First of all locks in a transaction, as every edit takes this
        one: two that have each other's would end in a deadlock."""
        cls.objects.select_for_update().get(pk=1)


class ConfigQuerySet(models.QuerySet[RowType]):
    """A query set whose bulk writes move the version too, in the same transaction: no edit slips past a process."""

    @transaction.atomic
    def update(self, **kwargs: Any) -> int:
        ConfigVersion.bump()
        return super().update(**kwargs)

    @transaction.atomic
    def delete(self) -> tuple[int, dict[str, int]]:
        ConfigVersion.bump()
        return super().delete()

    @transaction.atomic
    def bulk_create(self, objs: Iterable[RowType], *args: Any, **kwargs: Any) -> list[RowType]:
        ConfigVersion.bump()
        return super().bulk_create(objs, *args, **kwargs)

    @transaction.atomic
    def bulk_update(self, objs: Iterable[RowType], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        ConfigVersion.bump()
        return super().bulk_update(objs, fields, *args, **kwargs)


class ConfigRow(Row):
    """A row that calls are resolved from: every write of one moves the version."""

    objects = ConfigQuerySet.as_manager()

    class Meta:
        abstract = True

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        ConfigVersion.bump()
        super().save(*args, **kwargs)

    @transaction.atomic
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        ConfigVersion.bump()
        return super().delete(*args, **kwargs)


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class JobQuerySet(models.QuerySet["Job"]):
    def over(self) -> "JobQuerySet":
        return self.exclude(state__in=(JobState.QUEUED, JobState.RUNNING))

    def unfinished(self) -> "JobQuerySet":
        return self.filter(state__in=(JobState.QUEUED, JobState.RUNNING))


class Job(Row):
    """Work that outlasts a request. The queue carries no more than its number: all that is known of it stands here."""

    kind = models.CharField(max_length=32)
    label = models.CharField("task", max_length=255)
    made_by = models.CharField("started by", max_length=255, blank=True)
    arguments = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    action = models.CharField(max_length=255, blank=True, help_text="What it is doing now.")
    log = models.TextField(blank=True)
    memory = models.JSONField(default=dict, help_text="What an attempt that was cut off leaves to the next one.")
    result = models.JSONField(null=True)
    error = models.CharField(max_length=500, blank=True, help_text="Why it failed, in one sentence.")
    is_cancel_asked = models.BooleanField(default=False)
    message = models.UUIDField(null=True, help_text="What the queue carries of it; empty: to be put there.")
    attempt = models.PositiveIntegerField(default=0, help_text="Counts who took it; only the latest may write.")
    crashes = models.PositiveSmallIntegerField(default=0, help_text="Attempts that fell silent.")
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField("started", null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField("ended", null=True)
    file_name = models.CharField(max_length=255, blank=True)
    file_size = models.PositiveBigIntegerField(default=0, help_text="Bytes.")

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = "background task"
        ordering = ("-id",)
        default_permissions = ()  # who may see and start what follows from the rights on what it works at
        indexes = (
            # Partial: a worker looks once in a while, and only at the few that are not over.
            models.Index(fields=["state"], condition=models.Q(state__in=("queued", "running")), name="job_unfinished"),
        )
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(error=""), name="job_failed_says_why"
            ),
        )

    def __str__(self) -> str:
        return self.label

    @property
    def is_over(self) -> bool:
        return self.state not in (JobState.QUEUED, JobState.RUNNING)

    @property
    def percent(self) -> int | None:
        """None: nobody knows how much it is."""
        if self.state == JobState.SUCCEEDED:
            return 100
        return min(100, self.done * 100 // self.total) if self.total else None


class JobPart(models.Model):
    """A piece of the file that a task made, compressed. In the database, which is all that replicas share."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField(help_text="A whole gzip file.")

    class Meta:
        ordering = ("number",)
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["job", "number"], name="jobpart_once"),)

    def __str__(self) -> str:
        return f"part {self.number} of {self.job_id}"
