"""What was said: sessions and the exchanges in them; and the bots that bring calls in from chat platforms."""

import json
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from accounts.models import ApiKey, Charge
from common.fields import EncryptedTextField, SentJSON
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
    """One exchange. What it cost is its Charge's to say; what was said is its body's, as long as that is kept."""

    charge = models.OneToOneField(Charge, models.CASCADE, related_name="thread")
    api_key = models.ForeignKey(ApiKey, models.CASCADE, verbose_name="API key", related_name="threads")
    session = models.ForeignKey(Session, models.CASCADE, null=True, related_name="threads")
    finish_reason = models.CharField(max_length=32, blank=True)
    is_truncated = models.BooleanField(default=False, help_text="Something was too long to be kept whole.")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Thread {self.pk}"

    @property
    def said(self) -> "ThreadBody":
        """What was said; an empty one when it is not kept, or no more."""
        kept: ThreadBody | None = getattr(self, "body", None)
        return kept or ThreadBody()

    @property
    def prompt(self) -> str:
        return self.said.prompt

    @property
    def messages(self) -> str:
        return self.said.messages

    @property
    def completion(self) -> str:
        return self.said.completion

    @property
    def reasoning(self) -> str:
        return self.said.reasoning

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = self.said.tool_calls
        return calls


class ThreadBody(models.Model):
    """What was said in an exchange: apart from the ledger, as it is large and need not be kept as long.

    On PostgreSQL the table has a partition for each month, so the database has no constraint to its thread, and its key
    there is the charge and the time.
    """

    thread = models.OneToOneField(
        Thread,
        models.CASCADE,
        primary_key=True,
        to_field="charge",
        db_column="charge_id",  # known when a thread is written, unlike its own id
        db_constraint=False,
        related_name="body",
    )
    created_at = models.DateTimeField()
    prompt = models.TextField(blank=True, help_text="The last message's text.")
    messages = models.TextField(blank=True, help_text="All messages, as JSON; long ones are cut.")
    completion = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    tool_calls = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name_plural = "thread bodies"
        default_permissions = ()  # whoever sees the thread sees its body

    def __str__(self) -> str:
        return self.prompt[:60] or f"What was said in {self.thread_id}"


class IdempotentCall(models.Model):
    """An Idempotency-Key of a caller, and what was answered to it: the same again within a day is not called twice."""

    api_key = models.ForeignKey(ApiKey, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="Of the path and the body, in hex.")
    request_id = models.CharField(max_length=64, help_text="Of the charge that pays for it.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the answer; empty while it is being made.")
    content_type = models.CharField(max_length=255, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True, help_text="What was answered, compressed.")
    created_at = models.DateTimeField(db_default=Now(), editable=False, db_index=True)

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["api_key", "key"], name="idempotentcall_once"),)

    def __str__(self) -> str:
        return self.key


class BotPlatform(models.TextChoices):
    FEISHU = "feishu", "Feishu or Lark"
    SLACK = "slack", "Slack"
    WEBHOOK = "webhook", "Signed webhook"


class BotManager(models.Manager["Bot"]):
    """Secrets are read one by one: one that the keyring can't open must not hide its bot, nor the others."""

    def get_queryset(self) -> models.QuerySet["Bot"]:
        return super().get_queryset().defer("secrets")


class Bot(Row):
    """Answers in a chat platform: its events come in at an address of its own, and a key pays for what it says."""

    name = models.CharField(
        max_length=64,
        validators=[RegexValidator(r"\A(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f]+\Z", "A name has no slash.")],
        help_text="Part of the address that the platform sends events to.",
    )
    platform = models.CharField(max_length=16, choices=BotPlatform.choices)
    config = SentJSON(default=dict, blank=True)
    secrets = EncryptedTextField(default="{}", editable=False)
    is_enabled = models.BooleanField("enabled", default=True)

    objects = BotManager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["name", "platform"], name="bot_name_per_platform"),)

    def __str__(self) -> str:
        return f"{self.name} on {self.get_platform_display()}"

    @property
    def settings(self) -> dict[str, Any]:
        """All of its settings, secrets in clear. Raises InvalidToken when the keyring lacks their key."""
        return {**self.config, **json.loads(self.secrets)}


class BotEvent(models.Model):
    """Something that a platform told a bot; the row keeps it from being answered twice."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="events")
    key = models.CharField(max_length=128, help_text="The platform's own id of it.")
    message = models.JSONField(default=dict, help_text="What is to be answered; empty once that is done.")
    error = models.CharField(max_length=500, blank=True, help_text="Why it got no answer.")
    created_at = models.DateTimeField(db_default=Now(), editable=False, db_index=True)

    class Meta:
        ordering = ("-id",)
        default_permissions = ()  # whoever sees the bot sees its last one
        constraints = (models.UniqueConstraint(fields=["bot", "key"], name="botevent_once"),)

    def __str__(self) -> str:
        return self.key
