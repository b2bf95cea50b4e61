"""Redemption codes: money on a piece of paper, for the first who enters it."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.keys import ApiKey, Payment, User
from common.models import Row
from common.money import MoneyField


class CodeState(models.TextChoices):
    OPEN = "open", "Open"
    USED = "used", "Redeemed"
    VOID = "void", "Void"
    EXPIRED = "expired", "Expired"


class RedemptionCodeQuerySet(models.QuerySet["RedemptionCode"]):
    def unused(self) -> "RedemptionCodeQuerySet":
        """Neither redeemed nor made void."""
        return self.filter(redeemed_at=None, is_void=False)

    def in_state(self, state: CodeState) -> "RedemptionCodeQuerySet":
        """As `RedemptionCode.state` tells it."""
        over = Q(expires_at__lte=timezone.now())
        return {
            CodeState.USED: self.filter(redeemed_at__isnull=False),
            CodeState.VOID: self.filter(redeemed_at=None, is_void=True),
            CodeState.EXPIRED: self.unused().filter(over),
            CodeState.OPEN: self.unused().exclude(over),
        }[state]


class RedemptionCode(Row):
    """One code. Only a digest of it is kept, as of a key's secret; it was shown when its batch was made."""

    batch = models.CharField(max_length=64, db_index=True, help_text="What those made together are called.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False, help_text="Its start, to recognise it by.")
    amount = MoneyField(validators=[MinValueValidator(0)], help_text="USD.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    is_void = models.BooleanField("void", default=False, help_text="Nobody can redeem it any more.")
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    redeemed_by = models.ForeignKey(ApiKey, models.PROTECT, null=True, editable=False, related_name="codes")
    redeemed_at = models.DateTimeField(null=True, editable=False)
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, editable=False, related_name="code")

    objects = RedemptionCodeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=Q(amount__gt=0), name="redemptioncode_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(redeemed_at=None, payment=None, redeemed_by=None)
                | Q(redeemed_at__isnull=False, payment__isnull=False, redeemed_by__isnull=False),
                name="redemptioncode_redeemed_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @property
    def state(self) -> CodeState:
        if self.redeemed_at is not None:
            return CodeState.USED
        if self.is_void:
            return CodeState.VOID
        is_over = self.expires_at is not None and self.expires_at <= timezone.now()
        return CodeState.EXPIRED if is_over else CodeState.OPEN


class WrongCode(models.Model):
    """A key's try with what it could not redeem. After too many within an hour it has to wait: nobody guesses codes."""

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key_id} at {self.created_at}"
