"""The pages of models."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from common.console import ConsoleAdmin, display, money
from providers.admin.forms import shorten
from providers.models import AIModel

SHARED = "Models of the same name share its calls: lower priority values first, then as the strategy says."


class PricedFilter(admin.SimpleListFilter):
    title = "price"
    parameter_name = "priced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Priced"), ("no", "Unpriced: calls cost nothing here")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> QuerySet[AIModel]:
        unpriced = Q(price_in=None) | Q(price_out=None)
        chosen = {"yes": queryset.exclude(unpriced), "no": queryset.filter(unpriced)}
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
                "fields": (("price_in", "price_out"), ("price_cached_read", "price_cached_write")),
                "description": "USD per million tokens. Without the first two, calls are counted but not charged.",
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
        if not model.is_priced:
            return render_to_string("unfold/helpers/label.html", {"text": "unpriced", "type": "warning"})
        return f"{money(model.price_in)} / {money(model.price_out)}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AIModel]:
        models: QuerySet[AIModel] = super().get_queryset(request)
        return models.prefetch_related("rests")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        shorten(form, "description", "abilities", "extra_args", "fallbacks", "context_fallbacks", "filter_fallbacks")
        if "upstream_name" in form.base_fields:
            form.base_fields["upstream_name"].required = False
            form.base_fields["upstream_name"].help_text = "What the provider calls it. Empty: the same."
        return form
