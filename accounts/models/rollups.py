"""Spend by day, kept beside the charges so that no report has to add them all up."""

from django.db import models

from accounts.models.keys import ApiKey
from common.money import MoneyField


def _count() -> "models.BigIntegerField[int, int]":
    return models.BigIntegerField(default=0, db_default=0)


class DayOfSpend(models.Model):
    """What one key's calls to one model on one provider, with the same tags, came to on the day they were over (settled
    or released, in the configured zone)."""

    day = models.DateField()
    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="days")
    group_id = models.BigIntegerField(default=0, db_default=0, help_text="The key's group then; 0: none.")
    model_name = models.CharField(max_length=255)
    provider_name = models.CharField(max_length=255)
    tags = models.CharField(max_length=500, blank=True, db_default="", help_text="In order, with commas between.")
    calls = _count()
    failed = models.BigIntegerField(default=0, db_default=0, help_text="Those that failed here or at the upstream.")
    input_tokens = _count()
    cached_read_tokens = _count()
    cached_write_tokens = _count()
    output_tokens = _count()
    reasoning_tokens = _count()
    fee = MoneyField(default=0, db_default=0)
    quota_fee = MoneyField(default=0, db_default=0)
    balance_fee = MoneyField(default=0, db_default=0)
    shortfall = MoneyField(default=0, db_default=0)

    class Meta:
        verbose_name_plural = "days of spend"
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=["day", "key", "group_id", "model_name", "provider_name", "tags"], name="dayofspend_once"
            ),
        )
        indexes = (models.Index(fields=["key", "day"], name="dayofspend_by_key"),)

    def __str__(self) -> str:
        return f"{self.day}, {self.key_id}, {self.model_name}"
