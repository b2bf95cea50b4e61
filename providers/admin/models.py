"""The pages of models."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from common.console import ConsoleAdmin, display, money
from common.money import to_usd
from providers.admin.forms import shorten
from providers.admin.prices import ModelPriceInline
from providers.models import AIModel
from providers.services import price_sync, pricing

SHARED = "Models of the same name share its calls: lower priority values first, then as the strategy says."


class PricedFilter(admin.SimpleListFilter):
    title = "price"
    parameter_name = "priced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Priced"), ("no", "Unpriced: calls are counted, not charged")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> QuerySet[AIModel]:
        unpriced = AIModel.objects.unpriced().order_by().values("pk")
        chosen = {"yes": queryset.exclude(pk__in=unpriced), "no": queryset.filter(pk__in=unpriced)}
        return chosen.get(self.value() or "", queryset)


class AIModelAdmin(ConsoleAdmin):
    list_display = ("name", "provider", "upstream", "kind", "prices", "routing", "state", "is_enabled")
    list_filter = (
        "is_enabled",
        PricedFilter,
        ("kind", ChoicesDropdownFilter),
        ("provider", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_select_related = ("provider",)
    autocomplete_fields = ("provider",)
    search_fields = ("name", "upstream_name", "provider__name")
    fieldsets = (
        (None, {"fields": (("name", "kind"), ("provider", "upstream_name"), "description", "is_enabled")}),
        (
            "Prices",
            {
                "fields": (("price_in", "price_out"), ("price_cached_read", "price_cached_write"), "follows_list"),
                "description": "USD per million tokens; 0 marks a model as free. Without the first two its calls are "
                "counted and not charged, and the dashboard warns. Tiers, dates and rarer prices stand below.",
            },
        ),
        ("Routing", {"fields": (("weight", "priority"), ("strategy", "unknown_params")), "description": SHARED}),
        ("Ceilings", {"classes": ("collapse",), "fields": (("max_rpm", "max_tpm", "max_parallel"),)}),
        (
            "When it fails",
            {
                "classes": ("collapse",),
                "fields": (
                    "fallbacks",
                    ("context_fallbacks", "filter_fallbacks"),
                    "is_hedged",
                    "allows_other_upstream",
                ),
                "description": "Fallbacks are for keys that may call them, too; a call's hold covers the dearest.",
            },
        ),
        (
            "Limits and abilities",
            {
                "fields": (
                    ("context_length", "max_output"),
                    "is_multimodal",
                    "abilities",
                    ("keeps_to_abilities", "reasoning_effort"),
                )
            },
        ),
        ("Extra arguments", {"classes": ("collapse",), "fields": ("extra_args",)}),
    )

    @display(description="upstream name", ordering="upstream_name")
    def upstream(self, model: AIModel) -> str:
        return "same" if model.upstream_name == model.name else model.upstream_name

    @display(description="priority / weight", ordering="priority")
    def routing(self, model: AIModel) -> str:
        return f"{model.priority} / {model.weight}"

    @display(description="state")
    def state(self, model: AIModel) -> str:
        rests = [rest for rest in model.rests.all() if rest.key_id is None and rest.until > timezone.now()]
        label = {"text": "rests", "type": "danger"} if rests else {"text": "ready", "type": "success"}
        return render_to_string("unfold/helpers/label.html", label)

    @display(description="in / out per million")
    def prices(self, model: AIModel) -> str:
        """Those that hold now."""
        tiers = pricing.tiers_at(model=model, moment=timezone.now())
        price_in, price_out = (None if price is None else to_usd(price) for price in tiers[0].four[:2])
        if price_in is None or price_out is None:
            return render_to_string("unfold/helpers/label.html", {"text": "unpriced", "type": "warning"})
        if not (price_in or price_out) and pricing.is_plain(tiers):
            return render_to_string("unfold/helpers/label.html", {"text": "free", "type": "info"})
        return f"{money(price_in)} / {money(price_out)}" + ("" if pricing.is_plain(tiers) else " …")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AIModel]:
        models: QuerySet[AIModel] = super().get_queryset(request)
        return models.prefetch_related("rests", "price_list")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        price_sync.mirror(form.instance)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A model that is just being made has the prices of its own fields."""
        return [ModelPriceInline] if obj else []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        shorten(form, "description", "abilities", "extra_args", "fallbacks", "context_fallbacks", "filter_fallbacks")
        if "upstream_name" in form.base_fields:
            form.base_fields["upstream_name"].required = False
            form.base_fields["upstream_name"].help_text = "What the provider calls it. Empty: the same."
        return form
