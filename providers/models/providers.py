"""Whom the gateway can call: providers and their keys."""

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from common.fields import EncryptedTextField, SentJSON
from common.models import ConfigRow
from providers import catalog, sensitive

MASKED = f"{sensitive.MASK} stands for a secret that was not shown: enter the secret itself."


def check_base_url(value: str) -> None:
    """Refuse what can't be called; where it may lead is judged when it is called (`requesters.egress`)."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValidationError("Give an http:// or https:// URL with a host name.", code="invalid") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, value)):
        raise ValidationError("Give an http:// or https:// URL with a host name.", code="invalid")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValidationError("A base URL has no user, password, query or fragment.", code="invalid")


class OnDisconnect(models.TextChoices):
    CANCEL = "cancel", "Cancel the upstream's answer"
    DRAIN = "drain", "Read the answer to its end, for the upstream's own figures"


def _seconds(default: int, help_text: str) -> "models.FloatField[float, float]":
    return models.FloatField(default=default, validators=[MinValueValidator(0.1)], help_text=help_text)


def metadata() -> SentJSON:
    help_text = "What programs store with it; calls don't read it."
    return SentJSON(default=dict, blank=True, editable=False, help_text=help_text)


class Provider(ConfigRow):
    """An endpoint that serves models, and how to speak to it."""

    name = models.CharField(max_length=255, unique=True, help_text="What the console and the records call it.")
    requester = models.CharField(
        max_length=64, choices=catalog.choices, default="openai-compatible", help_text="The protocol it speaks."
    )
    base_url = models.CharField(  # no URLField: it refuses the plain names that hosts have in a private network
        "base URL",
        max_length=500,
        blank=True,
        validators=[check_base_url],
        help_text="Such as https://api.openai.com/v1. Empty: the vendor's own.",
    )
    config = SentJSON(
        default=dict, blank=True, help_text='Extra settings; {"headers": {…}} is sent along with each call.'
    )
    connect_timeout = _seconds(10, "Seconds to reach it.")
    first_byte_timeout = _seconds(120, "Seconds from the request to the answer's first byte.")
    idle_timeout = _seconds(120, "Seconds of silence in the middle of an answer.")
    total_timeout = _seconds(900, "Seconds for a whole call.")
    retries = models.PositiveSmallIntegerField(
        default=2,
        validators=[MaxValueValidator(5)],
        help_text="How often a call is tried again here after a failure that may pass, with growing pauses.",
    )
    on_disconnect = models.CharField(
        "when the caller leaves", max_length=8, choices=OnDisconnect.choices, default=OnDisconnect.CANCEL
    )
    is_enabled = models.BooleanField("enabled", default=True, help_text="Off: its models get no calls.")
    metadata = metadata()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Where it lives: its own address, else its vendor's. Empty when that follows from its settings."""
        vendor = catalog.find(self.requester)
        return self.base_url or (vendor.base_url if vendor else "")

    def clean(self) -> None:
        headers = self.config.get("headers", {}) if isinstance(self.config, dict) else None
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise ValidationError({"config": 'Give an object; its "headers" map names to texts.'})
        if sensitive.has_mask(self.config):
            raise ValidationError({"config": MASKED})
        vendor = catalog.find(self.requester)
        if vendor:
            self._check_against(vendor)

    def _check_against(self, vendor: catalog.Vendor) -> None:
        """Each error about a setting carries the setting's name, so that a form finds its field."""
        errors: dict[str, Any] = {}
        if vendor.refusal:
            errors["requester"] = vendor.refusal
        if vendor.needs_address and not self.base_url:
            errors["base_url"] = "Give its address: this kind of provider has none of its own."
        found = list(catalog.problems(vendor, self.config))
        if found:
            errors["config"] = [_setting_error(field, problem) for field, problem in found]
        if errors:
            raise ValidationError(errors)


def _setting_error(field: catalog.ConfigField, problem: str) -> ValidationError:
    parts = {"label": field.label, "name": field.name, "problem": problem}
    return ValidationError("%(label)s (%(name)s) %(problem)s", code="setting", params=parts)


class ProviderKey(ConfigRow):
    """A secret that a provider knows us by. Written, used, never shown again."""

    provider = models.ForeignKey(Provider, models.CASCADE, related_name="keys")
    name = models.CharField(max_length=255, default="default")
    secret = EncryptedTextField(help_text="Stored encrypted; it can be replaced but not read.")
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="Share of the calls among this provider's keys; 0 is the last resort."
    )
    is_enabled = models.BooleanField("enabled", default=True)

    class Meta:
        ordering = ("provider", "name")
        constraints = (models.UniqueConstraint(fields=["provider", "name"], name="providerkey_name_per_provider"),)

    def __str__(self) -> str:
        return self.name

    @property
    def masked(self) -> str:
        """Enough to recognise the secret by, too little to use it."""
        secret = self.readable_secret
        if secret is None:
            return "unreadable: enter it again"
        return f"…{secret[-4:]}" if len(secret) >= 16 else "…"

    @property
    def readable_secret(self) -> str | None:
        """The secret; None when no key of the keyring opens it. Load the row with `defer("secret")` to get here."""
        try:
            return str(self.secret)
        except InvalidToken:
            return None
