"""The console's pages for providers, their keys and models. `gateway.admin` registers them, with the tests that need
the whole pipeline."""

from typing import TYPE_CHECKING, Any

from cryptography.fernet import InvalidToken
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget

from common.console import ConsoleAdmin, ModelForm, TabularInline, display, money
from providers.models import AIModel, Provider, ProviderKey
from providers.services import providers

if TYPE_CHECKING:
    BaseInlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
else:
    BaseInlineFormSet = forms.BaseInlineFormSet

MOVED = "The address leads elsewhere now: its stored keys are switched off until they are entered again."


class ProviderKeyForm(ModelForm):
    """A secret can be written, never read: nothing of it but its last characters leaves the server again."""

    # Not the model's own field: a form reads those, and what the keyring can't open must still be replaceable.
    new_secret = forms.CharField(
        label="secret",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password", "placeholder": "Empty: as it is"}),
    )

    class Meta:
        model = ProviderKey
        fields = ("name", "is_enabled")

    def clean_new_secret(self) -> str:
        secret: str = self.cleaned_data["new_secret"]
        if secret:
            self.instance.secret = secret
        elif self.instance.pk is None:
            raise ValidationError("Give the secret.", code="required")
        return secret

    def clean(self) -> dict[str, Any]:
        """A key may be off because its provider's address changed: only who knows the secret sends it there."""
        cleaned = super().clean() or self.cleaned_data
        was_off = self.instance.pk is not None and not self.initial["is_enabled"]
        if was_off and cleaned.get("is_enabled") and not cleaned.get("new_secret"):
            self.add_error("new_secret", "Enter the secret again to switch this key on.")
        return cleaned


class ProviderKeyFormSet(BaseInlineFormSet):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["id"].queryset = ProviderKey.objects.defer("secret")  # Django's own reads whole rows


class ProviderKeyInline(TabularInline):
    model = ProviderKey
    form = ProviderKeyForm
    formset = ProviderKeyFormSet
    fields = ("name", "masked", "new_secret", "is_enabled")
    readonly_fields = ("masked",)
    extra = 0
    hide_title = True
    verbose_name = "key"
    verbose_name_plural = "Keys: each caller keeps to one of them"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderKey]:
        keys: QuerySet[ProviderKey] = super().get_queryset(request)
        return keys.defer("secret")  # one that can't be decrypted must not take the page along

    @admin.display(description="stored")
    def masked(self, key: ProviderKey) -> str:
        return key.masked if key.pk else "–"


class ProviderAdmin(ConsoleAdmin):
    inlines = (ProviderKeyInline,)
    list_display = ("name", "requester", "base_url", "key_count", "model_count", "is_enabled")
    list_filter = ("is_enabled", ("requester", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("name", "base_url")
    ordering = ("name",)  # grouping for the counts drops the model's own
    fieldsets = (
        (None, {"fields": ("name", "requester", "base_url", "is_enabled")}),
        (
            "Timeouts",
            {
                "classes": ("collapse",),
                "fields": (("connect_timeout", "first_byte_timeout"), ("idle_timeout", "total_timeout")),
            },
        ),
        (
            "Extra settings",
            {
                "classes": ("collapse",),
                "fields": ("config",),
                "description": "Shown to everybody who may see providers: a secret belongs among the keys.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        enabled_keys = Count("keys", filter=Q(keys__is_enabled=True), distinct=True)
        providers: QuerySet[Provider] = super().get_queryset(request)
        return providers.annotate(keys_=enabled_keys, models_=Count("models", distinct=True))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        _shorten(form, "config")
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        obj.has_moved = providers.change(provider=obj)
        if obj.has_moved:
            messages.warning(request, MOVED)

    def save_formset(self, request: HttpRequest, form: ModelForm, formset: Any, change: bool) -> None:
        for row in formset.forms:
            if getattr(form.instance, "has_moved", False) and row.instance.pk and "new_secret" not in row.changed_data:
                row.instance.is_enabled = False  # else saving a new name would switch it on again
        super().save_formset(request, form, formset, change)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django reads whole rows here, so what the keyring can't open is in the way, and said to be."""
        try:
            return super().get_deleted_objects(objs, request)
        except InvalidToken:
            return [], {}, set(), ["A key whose secret is unreadable. Remove that key, or enter its secret again."]

    @display(description="enabled keys", ordering="keys_")
    def key_count(self, provider: Any) -> int:
        return int(provider.keys_)

    @display(description="models", ordering="models_")
    def model_count(self, provider: Any) -> int:
        return int(provider.models_)


def _shorten(form: Any, *names: str) -> None:
    """Texts that are a line or two, most of the time."""
    for name in names:
        if name in form.base_fields:
            form.base_fields[name].widget.attrs["rows"] = 3


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
    list_display = ("name", "provider", "upstream", "kind", "prices", "routing", "is_enabled")
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
        ("Routing", {"fields": (("weight", "priority"),)}),
        ("Limits and abilities", {"fields": (("context_length", "max_output"), "is_multimodal", "abilities")}),
        ("Extra arguments", {"classes": ("collapse",), "fields": ("extra_args",)}),
    )

    @display(description="upstream name", ordering="upstream_name")
    def upstream(self, model: AIModel) -> str:
        return "same" if model.upstream_name == model.name else model.upstream_name

    @display(description="priority / weight", ordering="priority")
    def routing(self, model: AIModel) -> str:
        return f"{model.priority} / {model.weight}"

    @display(description="in / out per million")
    def prices(self, model: AIModel) -> str:
        if not model.is_priced:
            return render_to_string("unfold/helpers/label.html", {"text": "unpriced", "type": "warning"})
        return f"{money(model.price_in)} / {money(model.price_out)}"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        _shorten(form, "description", "abilities", "extra_args")
        if "upstream_name" in form.base_fields:
            form.base_fields["upstream_name"].required = False
            form.base_fields["upstream_name"].help_text = "What the provider calls it. Empty: the same."
        return form
