"""The pages of providers."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from common.console import ConsoleAdmin, ModelForm, display
from providers import catalog
from providers.admin.forms import PREFIX, VendorSelect, about, form_for, shorten
from providers.admin.keys import ProviderKeyInline
from providers.catalog import Vendor
from providers.catalog.icons import icon
from providers.models import Provider
from providers.services import providers

MOVED = "The address leads elsewhere now: its stored keys are switched off until they are entered again."
DEFAULT = "openai-compatible"
TIMEOUTS = ("connect_timeout", "first_byte_timeout"), ("idle_timeout", "total_timeout")
SECRETS_ELSEWHERE = "Shown to everybody who may see providers: a secret belongs among the keys."


class ProviderAdmin(ConsoleAdmin):
    inlines = (ProviderKeyInline,)
    list_display = ("name", "kind", "place", "key_count", "model_count", "is_enabled")
    list_filter = ("is_enabled", ("requester", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("name", "base_url")

    class Media:
        js = ("weighbridge/provider.js",)

    ordering = ("name",)  # grouping for the counts drops the model's own

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        enabled_keys = Count("keys", filter=Q(keys__is_enabled=True), distinct=True)
        providers: QuerySet[Provider] = super().get_queryset(request)
        return providers.annotate(keys_=enabled_keys, models_=Count("models", distinct=True))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The vendor's settings are inputs for who may change them, and JSON for who may only look."""
        vendor = self._vendor(request, obj)
        address = ("base_url",) if vendor.has_address else ()
        inputs = [PREFIX + field.name for field in vendor.settings] if self._may_edit(request, obj) else []
        return (
            (None, {"fields": (("name", "requester"), "is_enabled")}),
            (
                vendor.label,
                {"classes": ("console-vendor",), "fields": (*address, *inputs), "description": about(vendor)},
            ),
            ("Timeouts and failures", {"classes": ("collapse",), "fields": (*TIMEOUTS, ("retries", "on_disconnect"))}),
            ("Further settings", {"classes": ("collapse",), "fields": ("config",), "description": SECRETS_ELSEWHERE}),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        vendor = self._vendor(request, obj)
        if self._may_edit(request, obj):
            kwargs["form"] = form_for(vendor)
        form = super().get_form(request, obj, change=change, **kwargs)
        shorten(form, "config")
        _fit_address(form, vendor)
        return form

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "requester":
            kwargs["widget"] = VendorSelect()
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> Any:
        inlines: Any = super().get_inline_instances(request, obj)
        for inline in inlines:
            inline.key_hint = self._vendor(request, obj).key_hint
        return inlines

    def _vendor(self, request: HttpRequest, obj: Any) -> Vendor:
        """What the form is for: the kind that is being saved, the one that was chosen, or the stored one."""
        chosen = request.POST.get("requester") or request.GET.get("requester") or (obj.requester if obj else DEFAULT)
        return catalog.find(chosen) or catalog.VENDORS[DEFAULT]

    def _may_edit(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

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
        for row in formset.forms:
            if row.instance.pk and "new_secret" in row.changed_data:
                row.instance.rests.all().delete()  # it is another key now

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django reads whole rows here, so what the keyring can't open is in the way, and said to be."""
        try:
            return super().get_deleted_objects(objs, request)
        except InvalidToken:
            return [], {}, set(), ["A key whose secret is unreadable. Remove that key, or enter its secret again."]

    @display(description="kind", ordering="requester")
    def kind(self, provider: Provider) -> str:
        vendor = catalog.find(provider.requester)
        label = vendor.label if vendor else provider.requester
        return format_html('<span class="console-kind">{}{}</span>', mark_safe(icon(label)), label)

    @display(description="address", ordering="base_url")
    def place(self, provider: Provider) -> str:
        return provider.address or "–"

    @display(description="enabled keys", ordering="keys_")
    def key_count(self, provider: Any) -> int:
        return int(provider.keys_)

    @display(description="models", ordering="models_")
    def model_count(self, provider: Any) -> int:
        return int(provider.models_)


def _fit_address(form: Any, vendor: Vendor) -> None:
    """Says whether an address is needed, and which one holds without."""
    field = form.base_fields.get("base_url")
    if field is None:
        return
    field.required = vendor.needs_address
    field.widget.attrs["placeholder"] = vendor.base_url
    without = f"Empty: {vendor.base_url}." if vendor.base_url else "Empty: it follows from the settings."
    field.help_text = "Such as https://gpu.example.com/v1." if vendor.needs_address else without
