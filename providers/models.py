"""Whom the gateway can call: providers, their keys, and the models they serve."""

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from common.fields import EncryptedTextField, SentJSON
from common.models import ConfigQuerySet, ConfigRow
from common.money import MoneyField
from providers import catalog, policies, sensitive
from providers.policies import ReasoningEffort

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


def _metadata() -> SentJSON:
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
    metadata = _metadata()

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


class Kind(models.TextChoices):
    LLM = "llm", "Language model"
    EMBEDDING = "embedding", "Embedding"
    RERANK = "rerank", "Rerank"
    IMAGE = "image", "Image generation"
    SPEECH = "speech", "Speech"
    TRANSCRIPTION = "transcription", "Transcription"
    MODERATION = "moderation", "Moderation"


class Strategy(models.TextChoices):
    """How the deployments of one name and priority share its calls."""

    WEIGHTED = "weighted", "By weight"
    LEAST_BUSY = "least_busy", "The least busy first"
    LOWEST_LATENCY = "lowest_latency", "The quickest to answer first"
    LOWEST_COST = "lowest_cost", "The cheapest first"
    STICKY = "sticky", "The same for a session (keeps the vendor's prompt cache warm)"


class UnknownParams(models.TextChoices):
    """What happens to parameters that the upstream does not know."""

    DROP = "drop", "Leave out, and name them in a response header"
    REPORT = "report", "Leave out, and write them down with the charge, too"
    REFUSE = "refuse", "Refuse the call"


MODEL_NAMES = 'model names, such as ["gpt-4o-mini"]'
# Columns that hold a JSON list of texts, and of which.
LISTS = {
    "abilities": 'abilities, such as ["vision", "func_call"]',
    **dict.fromkeys(("fallbacks", "context_fallbacks", "filter_fallbacks"), MODEL_NAMES),
}
PRICE_FIELDS = ("price_in", "price_out", "price_cached_read", "price_cached_write")


class AIModelQuerySet(ConfigQuerySet["AIModel"]):
    def routable(self) -> "AIModelQuerySet":
        """Those that calls may be sent to."""
        return self.filter(is_enabled=True, provider__is_enabled=True)


def _names(verbose_name: str, help_text: str) -> "models.JSONField[list[str], list[str]]":
    return models.JSONField(verbose_name, default=list, blank=True, help_text=help_text)


def _ceiling(verbose_name: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        verbose_name, null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: no ceiling."
    )


def _price(verbose_name: str, help_text: str = "USD per million tokens.") -> MoneyField:
    # The ceiling keeps the cost of the largest call that can be counted within 64 bits.
    bounds = [MinValueValidator(0), MaxValueValidator(10_000)]
    return MoneyField(verbose_name, null=True, blank=True, validators=bounds, help_text=help_text)


class AIModel(ConfigRow):
    """A model under the public name that callers use. Rows with the same name are one route."""

    provider = models.ForeignKey(Provider, models.CASCADE, related_name="models")
    name = models.CharField("public name", max_length=255, db_index=True, help_text="What callers ask for.")
    upstream_name = models.CharField(max_length=255, help_text="What the provider calls it.")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.LLM)
    description = models.TextField(blank=True)
    abilities = models.JSONField(default=list, blank=True, help_text='Such as ["vision", "func_call"].')
    extra_args = SentJSON(
        default=dict,
        blank=True,
        help_text="Sent with each call, unless the caller gives the same field. timeout, num_retries and"
        " request_policy steer the call instead.",
    )
    keeps_to_abilities = models.BooleanField(
        "keep to the abilities",
        default=False,
        help_text="Images and tools are left out of a call unless the abilities name vision and func_call.",
    )
    reasoning_effort = models.CharField(
        max_length=8,
        blank=True,
        choices=ReasoningEffort.choices,
        help_text="For calls that don't say. Empty: as the vendor has it.",
    )
    is_multimodal = models.BooleanField("multimodal", default=False, help_text="Takes images.")
    price_in = _price("input price", "USD per million tokens. Empty: unknown, so its calls cost nothing here.")
    price_out = _price("output price")
    price_cached_read = _price("cached read price", "Empty: the input price.")
    price_cached_write = _price("cached write price", "Empty: the input price.")
    context_length = models.PositiveIntegerField(null=True, blank=True, help_text="Tokens of prompt and answer.")
    max_output = models.PositiveIntegerField(null=True, blank=True, help_text="Tokens of one answer, at most.")
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="Share of traffic among models of the same name and priority; 0 is the last resort."
    )
    priority = models.SmallIntegerField(default=0, help_text="Lower is tried first, as in DNS SRV records.")
    strategy = models.CharField(
        max_length=16,
        choices=Strategy.choices,
        default=Strategy.WEIGHTED,
        help_text="Among models of the same name; the one with the lowest priority value decides for all.",
    )
    fallbacks = _names("fallbacks", 'Models to try when this one fails, such as ["gpt-4o-mini"].')
    context_fallbacks = _names("fallbacks for long prompts", "Models to try when the prompt is too long for this one.")
    filter_fallbacks = _names("fallbacks for filtered content", "Models to try when the vendor's filter refuses.")
    max_rpm = _ceiling("requests a minute")
    max_tpm = _ceiling("tokens a minute")
    max_parallel = _ceiling("parallel calls")
    is_hedged = models.BooleanField(
        "hedged",
        default=False,
        help_text="Ask a second deployment when the first is slower than it usually is: both may cost at the vendor.",
    )
    unknown_params = models.CharField(
        "unknown parameters", max_length=8, choices=UnknownParams.choices, default=UnknownParams.DROP
    )
    allows_other_upstream = models.BooleanField(
        "other upstream models",
        default=False,
        help_text="“name/upstream-model” may call models of the provider that have no row here, at this one's price.",
    )
    is_enabled = models.BooleanField("enabled", default=True)
    metadata = _metadata()

    objects = AIModelQuerySet.as_manager()  # type: ignore[misc]  # the stubs make managers instance variables

    class Meta:
        verbose_name = "model"
        ordering = ("name", "priority", "id")
        constraints = (
            models.UniqueConstraint(fields=["provider", "kind", "name"], name="aimodel_name_per_provider"),
            models.CheckConstraint(
                condition=models.Q(
                    *(
                        models.Q(**{f"{price}__gte": 0}) | models.Q(**{f"{price}__isnull": True})
                        for price in PRICE_FIELDS
                    )
                ),
                name="aimodel_prices_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.provider})"

    def clean(self) -> None:
        for name, wanted in LISTS.items():
            value = getattr(self, name)
            if not (isinstance(value, list) and all(isinstance(each, str) and each for each in value)):
                raise ValidationError({name: f"Give a JSON list of {wanted}."})
        if not isinstance(self.extra_args, dict):
            raise ValidationError({"extra_args": "Give a JSON object."})
        if sensitive.has_mask(self.extra_args):
            raise ValidationError({"extra_args": MASKED})
        provider = self._known_provider()
        place = (provider.address, provider.config) if provider else None
        if problems := policies.problems(self.extra_args, self.kind, place):
            raise ValidationError({"extra_args": problems})
        if provider and (refusal := catalog.kind_refusal(provider.requester, self.kind)) and not self._stands_so():
            raise ValidationError({"kind": refusal})

    def _known_provider(self) -> Provider | None:
        """None in a declaration, and while the form that fills the row in has found fault with it."""
        try:
            return self.provider
        except Provider.DoesNotExist:
            return None

    def _stands_so(self) -> bool:
        """Whether it is stored with just this kind and provider: what stands stays editable."""
        return type(self).objects.filter(pk=self.pk, kind=self.kind, provider=self.provider_id).exists()

    @property
    def is_priced(self) -> bool:
        """Whether its calls can be weighed; 0 is a price, empty is not."""
        return self.price_in is not None and self.price_out is not None

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.upstream_name = self.upstream_name or self.name
        super().save(*args, **kwargs)


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
