"""What every table shares: two identities, times, and a version that moves with each configuration edit."""

import uuid
from collections.abc import Iterable
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
