"""What processes tell each other of deployments and keys: which rest, and how much each was sent."""

from typing import Any

from django.db import models

from providers.models.deployments import AIModel
from providers.models.providers import ProviderKey


def _rested(of: type[models.Model]) -> Any:
    # Without a constraint in the database: a process that writes a rest must not stand in the way of a deletion.
    return models.ForeignKey(
        of, models.CASCADE, null=True, related_name="rests", db_constraint=False, help_text="Empty: all."
    )


class RestQuerySet(models.QuerySet["Rest"]):
    """With no constraint in the database, a rest can be written just after its model or key went."""

    def of_what_stands(self) -> "RestQuerySet":
        model_stands = models.Q(model=None) | models.Q(model__in=AIModel.objects.order_by())
        key_stands = models.Q(key=None) | models.Q(key__in=ProviderKey.objects.order_by())
        return self.filter(model_stands, key_stands)


class Rest(models.Model):
    """A deployment or a key that is left alone for a while, because it failed. Every process reads these rows."""

    model = _rested(AIModel)
    key = _rested(ProviderKey)
    until = models.DateTimeField(help_text="From then on one call at a time tries it again.")
    reason = models.CharField(max_length=500)
    code = models.CharField(max_length=64, help_text="The failure's code, such as rate_limit_exceeded.")
    failures = models.PositiveIntegerField(default=1, help_text="In a row.")
    is_firm = models.BooleanField(default=False, help_text="Not called before then, even if nothing else is left.")
    since = models.DateTimeField()

    objects = RestQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "resting"
        ordering = ("-since",)
        constraints = (
            models.UniqueConstraint(fields=["model", "key"], name="rest_once_per_pair"),
            models.UniqueConstraint(fields=["model"], condition=models.Q(key=None), name="rest_once_per_model"),
            models.UniqueConstraint(fields=["key"], condition=models.Q(model=None), name="rest_once_per_key"),
            models.CheckConstraint(
                condition=models.Q(model__isnull=False) | models.Q(key__isnull=False), name="rest_of_something"
            ),
        )

    def __str__(self) -> str:
        return f"{self.model or 'all models'} with {self.key or 'any key'}"


class Load(models.Model):
    """What one process has sent to one deployment lately, so that the others can count it in."""

    worker = models.UUIDField()
    model = models.ForeignKey(AIModel, models.CASCADE, related_name="+", db_constraint=False)
    running = models.PositiveIntegerField(default=0)
    minute = models.BigIntegerField(help_text="Minutes since 1970 that the next two count.")
    requests = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["worker", "model"], name="load_once"),)

    def __str__(self) -> str:
        return f"{self.running} running"
