"""A provider's keys, on its page."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget

from common.console import ModelForm, TabularInline
from providers.admin.rests import told
from providers.models import ProviderKey

if TYPE_CHECKING:
    BaseInlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
else:
    BaseInlineFormSet = forms.BaseInlineFormSet


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
        fields = ("name", "weight", "is_enabled")

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
    fields = ("name", "masked", "new_secret", "weight", "is_enabled", "state")
    readonly_fields = ("masked", "state")
    extra = 0
    hide_title = True
    verbose_name = "key"
    verbose_name_plural = "Keys: they share the calls by weight"
    template_before = "admin/console/key_hint.html"
    key_hint = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderKey]:
        keys: QuerySet[ProviderKey] = super().get_queryset(request)
        return keys.defer("secret").prefetch_related(
            "rests__model"
        )  # one that can't be decrypted must not take the page along

    @admin.display(description="stored")
    def masked(self, key: ProviderKey) -> str:
        return key.masked if key.pk else "–"

    @admin.display(description="state")
    def state(self, key: ProviderKey) -> str:
        """Why it is left alone, if it is; entering its secret again ends that."""
        if key._state.adding:
            return "–"
        return "; ".join(told(rest) for rest in key.rests.all()) or ("in use" if key.is_enabled else "off")
