"""What was said: sessions and the exchanges in them."""

from django.db import models

from accounts.models import ApiKey, Charge
from common.models import Row
from common.money import MoneyField


class Session(Row):
    """Calls that their caller groups by a `Session-Id` of its own; two keys never share one."""

    api_key = models.ForeignKey(ApiKey, models.CASCADE, verbose_name="API key", related_name="sessions")
    key = models.CharField("session id", max_length=128, help_text="The caller's Session-Id.")
    title = models.CharField(max_length=64, blank=True)
    calls = models.PositiveIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0, help_text="Prompt tokens, cached ones included.")
    output_tokens = models.BigIntegerField(default=0)
    fee = MoneyField(default=0)

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["api_key", "key"], name="session_key_per_api_key"),)

    def __str__(self) -> str:
        return self.title or self.key


class Thread(Row):
    """One exchange: what was asked, what was answered. What it cost is its Charge's to say."""

    charge = models.OneToOneField(Charge, models.CASCADE, related_name="thread")
    api_key = models.ForeignKey(ApiKey, models.CASCADE, verbose_name="API key", related_name="threads")
    session = models.ForeignKey(Session, models.CASCADE, null=True, related_name="threads")
    prompt = models.TextField(blank=True, help_text="The last message's text.")
    messages = models.TextField(blank=True, help_text="All messages, as JSON; long ones are cut.")
    completion = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    tool_calls = models.JSONField(default=list, blank=True)
    finish_reason = models.CharField(max_length=32, blank=True)
    is_truncated = models.BooleanField(default=False, help_text="Something was too long to be kept whole.")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.prompt[:60] or f"Thread {self.pk}"
