"""The ledger: one Charge for each admitted call, from its hold to its fee."""

import uuid
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q, Value

from accounts.models.keys import ApiKey
from common.models import Row
from common.money import MoneyField


class Worker(models.Model):
    """A process that holds money for running calls; when it is gone, its holds are swept."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    identity = models.CharField(max_length=255, help_text="Boot, process namespace, process and its start.")
    seen_at = models.DateTimeField(db_index=True)
    suspected_at = models.DateTimeField(null=True, help_text="When a sweep first found it silent.")

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return self.identity


class State(models.TextChoices):
    HELD = "held", "Running"
    SETTLED = "settled", "Settled"
    RELEASED = "released", "Released"


class Outcome(models.TextChoices):
    """How a call ended."""

    RUNNING = "running", "Running"
    OK = "ok", "OK"
    BAD_REQUEST = "bad_request", "Bad request"
    UPSTREAM_ERROR = "upstream_error", "Upstream error"
    CLIENT_CLOSED = "client_closed", "Client left"
    SERVER_STOPPED = "server_stopped", "Gateway stopped"
    GATEWAY_ERROR = "gateway_error", "Gateway error"


class UsageSource(models.TextChoices):
    NONE = "none", "Nothing used"
    REPORTED = "reported", "Reported by the upstream"
    ESTIMATED = "estimated", "Estimated"
    CARRIED = "carried", "Carried over from another system's books"


def _tokens(help_text: str) -> "models.PositiveIntegerField[int, int]":
    return models.PositiveIntegerField(default=0, help_text=help_text)


def _price(help_text: str = "USD per million tokens, when it was called.") -> MoneyField:
    return MoneyField(null=True, help_text=help_text)


def _list(help_text: str) -> "models.JSONField[list[Any], list[Any]]":
    return models.JSONField(default=list, db_default=Value([], models.JSONField()), help_text=help_text)


class Charge(Row):
    """One weighed call, with all that is needed to compute its fee again by hand."""

    request_id = models.CharField(max_length=64, unique=True, help_text="The x-request-id of the answer.")
    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="charges", db_index=False)  # charge_by_key is one
    group_id = models.BigIntegerField(default=0, db_default=0, help_text="The key's group when it was called; 0: none.")
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="charges", db_constraint=False)
    endpoint = models.CharField(max_length=32, help_text="Such as chat, completion or embedding.")
    is_stream = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.RUNNING)
    error = models.CharField(max_length=500, blank=True, help_text="Why it failed, in the upstream's words.")
    # Without constraints in the database: a model deleted in the middle of a call must not stop its settlement.
    model = models.ForeignKey(
        "providers.AIModel", models.SET_NULL, null=True, related_name="charges", db_constraint=False
    )
    provider = models.ForeignKey(
        "providers.Provider", models.SET_NULL, null=True, related_name="charges", db_constraint=False
    )
    model_name = models.CharField(max_length=255, help_text="The public name at the time.")
    provider_name = models.CharField(max_length=255)
    upstream_name = models.CharField(max_length=255)
    attempts = models.PositiveSmallIntegerField(default=1, help_text="Requests sent to upstreams.")
    route = models.CharField(max_length=500, blank=True, help_text="Where it was sent in turn, and why it went on.")
    input_tokens = _tokens("Prompt tokens that no cache served or stored.")
    cached_read_tokens = _tokens("Prompt tokens read from the vendor's cache.")
    cached_write_tokens = _tokens("Prompt tokens written to the vendor's cache.")
    output_tokens = _tokens("Answer tokens, reasoning included.")
    reasoning_tokens = _tokens("The part of the answer spent on reasoning.")
    usage_source = models.CharField(max_length=10, choices=UsageSource.choices, default=UsageSource.NONE)
    price_in = _price()
    price_out = _price()
    price_cached_read = _price()
    price_cached_write = _price()
    price_ratio = models.DecimalField(
        max_digits=8, decimal_places=4, default=Decimal(1), db_default=Decimal(1), help_text="Is in the prices already."
    )
    buckets = _list(
        "Parts of these tokens with a price of their own, and requests: [name, quantity, price in 10^-10 USD per"
        " million]. A price of null: the usual one of those tokens."
    )
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="corrections",
        db_index=False,
        help_text="The call that was rated anew. The fee is what that changed; below zero: given back.",
    )
    tags = _list("The caller's own.")
    limits = _list("What it counted against, before and after.")
    prompt_bound = models.PositiveIntegerField(help_text="Prompt tokens that the hold covered.")
    output_bound = models.PositiveIntegerField(help_text="Answer tokens that the hold covered.")
    hold = MoneyField(help_text="Set aside while it ran.")
    fee = MoneyField(default=0, help_text="What the key paid: from the quota plus from the balance.")
    quota_fee = MoneyField(default=0, help_text="The part that the month's quota paid.")
    balance_fee = MoneyField(default=0, help_text="The part that the balance paid.")
    shortfall = MoneyField(default=0, help_text="Cost beyond what the key had left; nobody paid it here.")
    month = models.DateField(null=True, help_text="First day of the month that the quota's part counts for.")
    month_quota = MoneyField(null=True, help_text="The key's quota when it was settled; empty: no limit.")
    month_fee_after = MoneyField(null=True, help_text="What the quota had paid that month, this call included.")
    balance_after = MoneyField(null=True)
    first_byte_ms = models.PositiveIntegerField(null=True, help_text="Milliseconds to the answer's first byte.")
    total_ms = models.PositiveIntegerField(null=True, help_text="Milliseconds from the request to the answer's end.")
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["created_at"], name="charge_by_time"),  # the console's filter by days
            # Parts of days in reports, and days that are added up anew. Partial: written once, when the call is over.
            models.Index(fields=["settled_at"], condition=Q(settled_at__isnull=False), name="charge_by_end"),
            models.Index(fields=["key", "-id"], name="charge_by_key"),  # a key's own list
            # Partial: what was rated anew is looked up by the call, and there is little of it.
            models.Index(fields=["corrects"], condition=Q(corrects__isnull=False), name="charge_correction"),
            # Partial: the sweep looks only at the few that run.
            models.Index(fields=["worker"], condition=Q(state="held"), name="charge_held_by_worker"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(hold__gte=0) & (Q(fee__gte=0) | Q(corrects__isnull=False)), name="charge_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(fee=models.F("quota_fee") + models.F("balance_fee")), name="charge_fee_is_its_parts"
            ),
            models.CheckConstraint(
                condition=Q(month_quota=None) | Q(quota_fee=0) | Q(month_fee_after__lte=models.F("month_quota")),
                name="charge_within_quota",
            ),
            models.CheckConstraint(condition=~Q(state="released") | Q(fee=0), name="charge_released_is_free"),
        )

    def __str__(self) -> str:
        return self.request_id

    @property
    def prompt_tokens(self) -> int:
        """All of the prompt, whatever a cache had of it."""
        return self.input_tokens + self.cached_read_tokens + self.cached_write_tokens
