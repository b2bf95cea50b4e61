"""The models that providers serve, under the names that callers use."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction

from common.fields import SentJSON
from common.models import ConfigQuerySet, ConfigRow
from providers import catalog, policies, sensitive
from providers.models.prices import PRICE_FIELDS, ModelPrice, never_negative, note_change, price, prices_in
from providers.models.providers import MASKED, Provider, metadata
from providers.policies import ReasoningEffort


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


class AIModelQuerySet(ConfigQuerySet["AIModel"]):
    def routable(self) -> "AIModelQuerySet":
        """Those that calls may be sent to."""
        return self.filter(is_enabled=True, provider__is_enabled=True)

    def unpriced(self) -> "AIModelQuerySet":
        """Those whose calls are counted and cost nothing because nobody said what they cost. 0 is a price."""
        listed = ModelPrice.objects.filter(above_tokens=0, price_in__isnull=False, price_out__isnull=False)
        unpriced = self.filter(models.Q(price_in=None) | models.Q(price_out=None))
        routers = [vendor.name for vendor in catalog.VENDORS.values() if vendor.is_router]
        return unpriced.exclude(pk__in=listed.order_by().values("model")).exclude(provider__requester__in=routers)


def _names(verbose_name: str, help_text: str) -> "models.JSONField[list[str], list[str]]":
    return models.JSONField(verbose_name, default=list, blank=True, help_text=help_text)


def _ceiling(verbose_name: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        verbose_name, null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: no ceiling."
    )


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
    price_in = price("input price", "USD per million tokens. 0: free. Empty: unknown; calls are counted, not charged.")
    price_out = price("output price", "USD per million tokens. 0: free. Empty: unknown.")
    price_cached_read = price("cached read price", "Empty: the input price.")
    price_cached_write = price("cached write price", "Empty: the input price.")
    follows_list = models.BooleanField(
        "price from the public list",
        default=False,
        help_text="`manage.py sync_prices` may change it. A price that is changed by hand unticks this.",
    )
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
    metadata = metadata()

    objects = AIModelQuerySet.as_manager()  # type: ignore[misc]  # the stubs make managers instance variables

    class Meta:
        verbose_name = "model"
        ordering = ("name", "priority", "id")
        constraints = (
            models.UniqueConstraint(fields=["provider", "kind", "name"], name="aimodel_name_per_provider"),
            models.CheckConstraint(condition=never_negative(PRICE_FIELDS), name="aimodel_prices_not_negative"),
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
        """Every way to edit a price ends here, so its history is kept here: re-rating needs what held before."""
        self.upstream_name = self.upstream_name or self.name
        before = None if self._state.adding else type(self).objects.filter(pk=self.pk).first()
        with transaction.atomic():
            if before is not None and (old := prices_in(before)) != (new := prices_in(self)):
                self.follows_list = self.follows_list and not before.follows_list
                note_change(self, old, new)
            super().save(*args, **kwargs)
