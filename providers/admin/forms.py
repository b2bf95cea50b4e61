"""The form of a provider: its vendor's settings as inputs of their own, out of the vendor's row."""

from typing import Any, ClassVar

from django import forms
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from common.console import ModelForm
from providers import catalog
from providers.catalog import ConfigField, Vendor
from providers.catalog.settings import NOTHING, must_be_given
from providers.models import Kind

PREFIX = "setting_"


def shorten(form: Any, *names: str) -> None:
    """Texts that are a line or two, most of the time."""
    for name in names:
        if name in form.base_fields:
            form.base_fields[name].widget.attrs["rows"] = 3


class JSONText(forms.JSONField):
    """JSON in which nothing is nothing: an empty input, not the word null."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value in (None, "") else super().prepare_value(value)


INPUTS: dict[str, tuple[type[forms.Field], type[forms.Widget], dict[str, Any]]] = {
    "string": (forms.CharField, UnfoldAdminTextInputWidget, {}),
    "integer": (forms.IntegerField, UnfoldAdminIntegerFieldWidget, {}),
    "number": (forms.FloatField, UnfoldAdminDecimalFieldWidget, {"step": "any"}),
    "boolean": (forms.BooleanField, UnfoldBooleanSwitchWidget, {}),
    "array": (JSONText, UnfoldAdminTextareaWidget, {"rows": 3, "class": "console-code"}),
    "object": (JSONText, UnfoldAdminTextareaWidget, {"rows": 3, "class": "console-code"}),
}


def input_for(field: ConfigField) -> forms.Field:
    """The input of one setting."""
    field_class, widget_class, attrs = INPUTS[field.type]
    default = "" if field.default in NOTHING or field.type == "boolean" else field.default_text
    return field_class(
        label=field.label,
        required=must_be_given(field) and field.type != "boolean",
        help_text=" ".join(part for part in (field.help_text, f"Empty: {default}." if default else "") if part),
        widget=widget_class(attrs={**attrs, "placeholder": default}),
    )


class VendorSelect(UnfoldAdminSelect2Widget):  # type: ignore[misc]  # unfold has no types
    """A choice among many: each option carries the words that it can be searched by."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        vendor = catalog.find(str(value))
        if vendor:
            words = (vendor.name, vendor.label_zh, vendor.search, *vendor.aliases)
            option["attrs"]["data-search"] = " ".join(words).lower()
        return option


class ProviderForm(ModelForm):
    """What a vendor's row does not name stays in `config`, the JSON for the rest. The page names the model's fields."""

    vendor: ClassVar[Vendor]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.config if isinstance(self.instance.config, dict) else {}
        names = {field.name for field in self.vendor.settings}
        self.initial["config"] = {name: value for name, value in stored.items() if name not in names}
        for field in self.vendor.settings:
            default = field.default if field.type == "boolean" else None
            self.initial[PREFIX + field.name] = stored.get(field.name, default)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        rest = cleaned.get("config", {})
        if rest is None or isinstance(rest, dict):
            cleaned["config"] = {**(rest or {}), **self._given(cleaned)}
        if not self.vendor.has_address:
            self.instance.base_url = ""
        return cleaned

    def _given(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """The settings that say something; one that is the default needs no saying."""
        given = {field.name: cleaned.get(PREFIX + field.name) for field in self.vendor.settings}
        defaults = {field.name: field.default for field in self.vendor.settings if field.type == "boolean"}
        return {
            name: value for name, value in given.items() if value not in NOTHING and value is not defaults.get(name)
        }

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook for what the model says; not in the stubs
        self._place_errors()

    def _place_errors(self) -> None:
        """What the model says of a setting belongs to the setting's own input, unless that has complained already."""
        complaints = self.errors.get("config")
        if complaints is None:
            return
        found = complaints.as_data()
        ours = [error for error in found if error.code == "setting"]
        complaints.data = [error for error in found if error.code != "setting"]
        if not complaints.data:
            del self.errors["config"]
        for error in ours:
            name = PREFIX + (error.params or {})["name"]
            if name not in self.errors:
                self.add_error(name, error)


def form_for(vendor: Vendor) -> type[ProviderForm]:
    """The form with this vendor's settings."""
    inputs = {PREFIX + field.name: input_for(field) for field in vendor.settings}
    return type("ProviderForm", (ProviderForm,), {"vendor": vendor, **inputs, "__module__": __name__})


def about(vendor: Vendor) -> str:
    """What an operator should know of a vendor before filling in its fields."""
    kinds = ", ".join(str(kind.label).lower() for kind in Kind if kind.value in vendor.kinds)
    texts = [vendor.refusal, vendor.note, f"Models: {kinds}."]
    return format_html("<span>{}</span>", " ".join(text for text in texts if text))
