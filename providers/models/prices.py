"""What models cost, from when on, from how long a prompt on, and for what."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from common.models import ConfigRow
from common.money import MoneyField

PRICE_FIELDS = ("price_in", "price_out", "price_cached_read", "price_cached_write")
# What few models charge for apart: the name in a charge's buckets, and the column of its price.
RARE_PRICES = {
    "cached_write_1h": "price_cached_write_1h",
    "reasoning": "price_reasoning",
    "image_in": "price_image_in",
    "image_out": "price_image_out",
    "audio_in": "price_audio_in",
    "audio_out": "price_audio_out",
    "request": "price_request",
}
ALL_PRICE_FIELDS = (*PRICE_FIELDS, *RARE_PRICES.values())


def price(verbose_name: str, help_text: str = "USD per million tokens.", most: int = 10_000) -> MoneyField:
    # The ceiling keeps the cost of the largest call that can be counted within 64 bits.
    bounds = [MinValueValidator(0), MaxValueValidator(most)]
    return MoneyField(verbose_name, null=True, blank=True, validators=bounds, help_text=help_text)


def never_negative(fields: tuple[str, ...]) -> models.Q:
    return models.Q(*(models.Q(**{f"{each}__gte": 0}) | models.Q(**{f"{each}__isnull": True}) for each in fields))


class ModelPrice(ConfigRow):
    """Prices of a model from a moment on: its base prices, or those of calls with more prompt tokens than so many.

    Rows with the same `above_tokens` follow each other in time. The first base row holds before its time, too; with
    none, the model's own four columns are the base price.
    """

    model = models.ForeignKey("providers.AIModel", models.CASCADE, related_name="price_list")
    valid_from = models.DateTimeField(default=timezone.now, help_text="For calls that begin then or later.")
    above_tokens = models.PositiveIntegerField(
        default=0, help_text="For calls with more prompt tokens than this; all of their tokens. 0: the base price."
    )
    price_in = price("input")
    price_out = price("output")
    price_cached_read = price("cached read")
    price_cached_write = price("cached write")
    price_cached_write_1h = price("cached write, kept for an hour")
    price_reasoning = price("reasoning")
    price_image_in = price("image input")
    price_image_out = price("image output")
    price_audio_in = price("audio input")
    price_audio_out = price("audio output")
    price_request = price("per request", "USD for each request, or search of a reranker.", most=10)

    class Meta:
        verbose_name = "price"
        ordering = ("model", "-valid_from", "above_tokens")
        constraints = (
            models.UniqueConstraint(fields=["model", "above_tokens", "valid_from"], name="modelprice_once"),
            models.CheckConstraint(condition=never_negative(ALL_PRICE_FIELDS), name="modelprice_not_negative"),
        )

    def __str__(self) -> str:
        above = f" above {self.above_tokens:,} tokens" if self.above_tokens else ""
        return f"{self.valid_from:%Y-%m-%d}{above}"


def prices_in(row: models.Model) -> dict[str, Decimal | None]:
    """The four of a row, as amounts also where they were given as texts."""
    return {name: MoneyField().to_python(getattr(row, name)) for name in PRICE_FIELDS}


def note_change(model: ConfigRow, before: dict[str, Decimal | None], after: dict[str, Decimal | None]) -> None:
    """Keep what a change of a model's own columns ended and began; what else its base row says goes on."""
    latest = keep_first(model, before)
    kept = {name: getattr(latest, name) for name in ALL_PRICE_FIELDS} if latest else {}
    changed = {name: value for name, value in after.items() if value != before[name] or name not in kept}
    ModelPrice.objects.create(model_id=model.pk, **{**kept, **changed})


def keep_first(model: ConfigRow, own: dict[str, Decimal | None]) -> ModelPrice | None:
    """The base row that holds now. The first change, also one to come, makes one of the model's own prices; having
    none is no price."""
    rows = ModelPrice.objects.filter(model_id=model.pk, above_tokens=0)
    latest = rows.filter(valid_from__lte=timezone.now()).order_by("-valid_from").first()
    if latest is None and any(value is not None for value in own.values()):
        return ModelPrice.objects.create(model_id=model.pk, valid_from=model.created_at, **own)
    return latest
