"""Who may call: users of the console, groups, API keys, what they are granted and what they paid."""

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from common.fields import SentJSON
from common.models import ConfigRow, Row
from common.money import MoneyField, plain


class User(AbstractUser):
    """Somebody who logs in: to the console if they are staff, to the APIs in any case."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    metadata = SentJSON(
        default=dict, blank=True, editable=False, help_text="What programs store with them; calls don't read it."
    )


class Group(ConfigRow):
    """Keys that share a set of models."""

    name = models.CharField(max_length=255, unique=True)
    code = models.CharField(max_length=64, blank=True, help_text="A code of your own; calls don't read it.")
    price_ratio = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        default=Decimal(1),
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text="What its keys pay, as a multiple of the models' prices.",
    )
    granted_models = models.ManyToManyField(
        "providers.AIModel", through="GroupGrant", related_name="groups", blank=True
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    ADMIN = "admin", "Admin"
    USER = "user", "User"


class Scope(models.TextChoices):
    """What a key may do beside calling models. The words are those of the service API's clients."""

    WORKSPACE_VIEW = "workspace.view"
    WORKSPACE_UPDATE = "workspace.update"
    WORKSPACE_DELETE = "workspace.delete"
    MEMBER_VIEW = "member.view"
    MEMBER_INVITE = "member.invite"
    MEMBER_UPDATE_ROLE = "member.update_role"
    MEMBER_REMOVE = "member.remove"
    RESOURCE_VIEW = "resource.view"
    RESOURCE_MANAGE = "resource.manage"
    RUNTIME_OPERATE = "runtime.operate"
    PROVIDER_SECRET_MANAGE = "provider_secret.manage"  # a right, no secret
    API_KEY_MANAGE = "api_key.manage"
    AUDIT_VIEW = "audit.view"
    DATA_EXPORT = "data.export"
    BILLING_LINK_MANAGE = "billing_link.manage"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> "ApiKeyQuerySet":
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), is_active=True)

    def handed_out(self) -> "ApiKeyQuerySet":
        """Those that somebody has: not revoked, and not the console's own."""
        return self.filter(is_active=True, is_internal=False)


class ApiKey(Row):
    """A caller: what it may call, what it may spend and what it has spent. Only a digest of its secret is kept."""

    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    email = models.EmailField("e-mail", blank=True)
    owner = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="keys", help_text="Who it was made for."
    )
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    prefix = models.CharField(max_length=16, editable=False, help_text="The start of the secret, to recognise it by.")
    suffix = models.CharField(max_length=8, editable=False, blank=True, help_text="Its last characters.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.USER)
    scopes = models.JSONField(
        default=list, blank=True, help_text="What it may manage through the APIs; an admin's key may manage all."
    )
    group = models.ForeignKey(Group, models.SET_NULL, null=True, blank=True, related_name="keys")
    granted_models = models.ManyToManyField("providers.AIModel", through="KeyGrant", related_name="keys")
    all_models = models.BooleanField(default=False, help_text="May call every model, without a grant.")
    month_quota = MoneyField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="USD a calendar month. Empty: no limit. 0: only the balance pays.",
    )
    month = models.DateField(editable=False, help_text="First day of the month that the month's fee belongs to.")
    month_fee = MoneyField(default=Decimal(0), editable=False, help_text="What the quota has paid this month.")
    balance = MoneyField(default=Decimal(0), editable=False, help_text="Prepaid; used when the quota is used up.")
    held = MoneyField(default=Decimal(0), editable=False, help_text="Set aside for calls that are running.")
    spent = MoneyField(default=Decimal(0), editable=False, help_text="All that its settled calls have cost.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    is_active = models.BooleanField("active", default=True, help_text="Off: revoked, at once and everywhere.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    is_internal = models.BooleanField(default=False, editable=False, help_text="The console's own, for its tests.")

    LEDGER_FIELDS = frozenset({"id", "month", "month_fee", "balance", "held", "spent", "last_used_at"})

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=Q(balance__gte=0), name="apikey_balance_not_negative"),
            models.UniqueConstraint(fields=["is_internal"], condition=Q(is_internal=True), name="apikey_one_internal"),
            models.CheckConstraint(condition=Q(held__gte=0), name="apikey_held_not_negative"),
            models.CheckConstraint(condition=Q(month_fee__gte=0), name="apikey_month_fee_not_negative"),
            models.CheckConstraint(
                condition=Q(month_quota=None) | Q(month_quota__gte=0), name="apikey_month_quota_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Counters move only in the ledger: saving a form must not put back what it read a minute ago."""
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = [
                field.name for field in self._meta.concrete_fields if field.name not in self.LEDGER_FIELDS
            ]
        super().save(*args, **kwargs)

    @property
    def rights(self) -> frozenset[str]:
        """What it may manage."""
        has_all = self.role == Role.ADMIN or "*" in self.scopes
        return frozenset(Scope.values) if has_all else frozenset(Scope.values) & frozenset(self.scopes)

    @property
    def is_usable(self) -> bool:
        """Whether it may authenticate now; whether it can pay is another matter."""
        return self.is_active and (self.expires_at is None or self.expires_at > timezone.now())

    def fee_in(self, month: date) -> Decimal:
        """What the quota has paid in `month` (its first day); the row may still tell of an earlier one."""
        return self.month_fee if self.month == month else Decimal(0)

    def quota_left(self, month: date) -> Decimal | None:
        """What the quota still pays in `month` (its first day); None: no limit."""
        if self.month_quota is None:
            return None
        return max(Decimal(self.month_quota) - self.fee_in(month), Decimal(0))


class GroupGrant(ConfigRow):
    """A model that a group's keys may call."""

    group = models.ForeignKey(Group, models.CASCADE, related_name="grants")
    model = models.ForeignKey("providers.AIModel", models.CASCADE, related_name="group_grants")

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["group", "model"], name="groupgrant_once"),)

    def __str__(self) -> str:
        return f"{self.group}: {self.model}"


class KeyGrant(ConfigRow):
    """A model that one key may call, beside its group's."""

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="grants")
    model = models.ForeignKey("providers.AIModel", models.CASCADE, related_name="key_grants")

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["key", "model"], name="keygrant_once"),)

    def __str__(self) -> str:
        return f"{self.key}: {self.model}"


class PaymentKind(models.TextChoices):
    RECHARGE = "recharge", "Recharge"
    REDEMPTION = "redemption", "Redemption code"
    REFUND = "refund", "Refund"
    CORRECTION = "correction", "Correction"


class PaymentQuerySet(models.QuerySet["Payment"]):
    """Payments are made and read. Only their times may be set: what another system booked keeps its day."""

    TIMES = frozenset({"created_at", "updated_at"})

    def update(self, **kwargs: Any) -> int:
        if not kwargs.keys() <= self.TIMES:
            raise NeverChanged
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise NeverChanged


class NeverChanged(RuntimeError):
    """Somebody wrote code that edits or removes a payment."""

    def __init__(self) -> None:
        super().__init__("A payment is never edited or removed: make a correction.")


class Payment(Row):
    """Money put on a key's balance, or taken off it. Never edited, never removed: the balance follows from these
    rows."""

    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="payments")
    kind = models.CharField(
        max_length=10, choices=PaymentKind.choices, default=PaymentKind.RECHARGE, db_default=PaymentKind.RECHARGE
    )
    corrects = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="corrections", help_text="The one that was wrong."
    )
    charge = models.ForeignKey(
        "accounts.Charge", models.PROTECT, null=True, blank=True, related_name="refunds", help_text="What is refunded."
    )
    amount = MoneyField(help_text="USD.")
    note = models.CharField(max_length=255, blank=True)
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    made_by_key = models.ForeignKey(
        ApiKey, models.SET_NULL, null=True, blank=True, related_name="+", help_text="The program that made it."
    )
    who = models.CharField(
        "made by", max_length=255, blank=True, db_default="", help_text="As they were called then, should they go."
    )

    objects = PaymentQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.CheckConstraint(condition=~Q(amount=0), name="payment_not_zero"),)

    def __str__(self) -> str:
        return f"{plain(self.amount)} USD on {self.key}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise NeverChanged
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise NeverChanged
