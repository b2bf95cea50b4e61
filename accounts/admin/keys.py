"""API keys and their groups: issued, granted, revoked through the services."""

from decimal import Decimal
from math import ceil
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin import once
from accounts.admin.limit_tables import LimitsShown
from accounts.admin.payments import PayingAdmin
from accounts.models import ApiKey, Group, GroupGrant, KeyGrant, Role, Scope, User
from accounts.services import keys, limit_use, principals
from accounts.services.ledger.decisions import this_month
from common.console import (
    ModelForm,
    MoneyInput,
    TabularInline,
    action,
    display,
    funds,
    glance,
    money,
    time_column,
)

NO_LIMIT = "no limit"
FIELDS = (
    *("name", "description", "email", "owner", "role", "group", "all_models"),
    *("scopes", "month_quota", "expires_at"),
)


class KeyGrantInline(TabularInline):
    model = KeyGrant
    autocomplete_fields = ("model",)
    extra = 0
    hide_title = True
    verbose_name = "grant"
    verbose_name_plural = "Models granted to this key"


class GroupGrantInline(TabularInline):
    model = GroupGrant
    autocomplete_fields = ("model",)
    extra = 0
    hide_title = True
    verbose_name = "grant"
    verbose_name_plural = "Models granted to this group"


@admin.register(Group)
class GroupAdmin(LimitsShown):
    list_display = ("name", "code", time_column("created_at", "made"))
    search_fields = ("name", "code")
    inlines = (GroupGrantInline,)

    def uses_of(self, row: Group) -> list[limit_use.Use]:
        return limit_use.of_group(row)


class KeyForm(ModelForm):
    """A key's fields; nobody gives a key more than they may do themselves."""

    rights: frozenset[str] = frozenset()  # whose form it is; the page says it
    scopes = forms.MultipleChoiceField(
        required=False,
        choices=[(scope, scope) for scope in Scope.values],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="May manage",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "description" in self.fields:
            self.fields["description"].widget.attrs["rows"] = 2
        if "*" in self.instance.scopes:
            self.initial["scopes"] = Scope.values

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        had = self.instance.rights if self.instance.pk else frozenset()
        wanted = ApiKey(role=cleaned.get("role", Role.USER), scopes=cleaned.get("scopes", [])).rights
        lacking = sorted(wanted - had - self.rights)
        if lacking:
            self.add_error(None, f"You can't give a key what you may not do yourself: {', '.join(lacking)}.")
        return cleaned


class OpeningForm(KeyForm):
    """A new key that may start with a balance."""

    opening_balance = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=19,
        decimal_places=10,
        widget=MoneyInput,
        help_text="USD. Only used by a key with a month quota; 0 as the quota makes it prepaid.",
    )

    class Meta:
        model = ApiKey
        fields = FIELDS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("opening_balance") and cleaned.get("month_quota") is None and "month_quota" in cleaned:
            self.add_error("opening_balance", "A key without a limit never uses a balance. Set its month quota first.")
        return cleaned


class UsableFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "usable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Usable"), ("no", "Revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        usable = ApiKey.objects.usable().values("pk")
        chosen = {"yes": queryset.filter(pk__in=usable), "no": queryset.exclude(pk__in=usable)}
        return chosen.get(self.value() or "", queryset)


@admin.register(ApiKey)
class ApiKeyAdmin(PayingAdmin, LimitsShown, once.OnceAdmin):
    """A secret is shown once, by the page after its form; see `accounts.admin.once` for where it is meanwhile."""

    inlines = (KeyGrantInline,)
    autocomplete_fields = ("group", "owner")
    actions = ("revoke_selected",)
    actions_detail = ("recharge", "revoke")
    change_form_outer_before_template = "admin/console/key_panel.html"
    list_display = (
        "name",
        "start",
        "state",
        "role",
        "group",
        "used",
        "balance_usd",
        "spent_usd",
        time_column("last_used_at", "last used"),
    )
    list_filter = (UsableFilter, ("role", ChoicesDropdownFilter), ("group", AutocompleteSelectFilter))
    list_filter_submit = True
    list_select_related = ("group",)
    search_fields = ("name", "email", "prefix")
    search_help_text = "Name, e-mail or the start of the secret"
    fieldsets = (
        (None, {"fields": ("name", "description", "email", "owner", "role", "group", "all_models")}),
        ("Management", {"fields": ("scopes",), "description": "Calls need none. An admin's key may manage all."}),
        ("Limits", {"fields": ("month_quota", "expires_at"), "description": "An empty month quota means no limit."}),
    )
    add_fieldsets = (
        *fieldsets[:2],
        ("Limits", {**fieldsets[2][1], "fields": ("month_quota", "opening_balance", "expires_at")}),
    )

    # Lists

    @display(description="secret")
    def start(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @display(description="state", label={"active": "success", "revoked": "danger", "expired": "warning"})
    def state(self, key: ApiKey) -> str:
        return state_of(key)

    @display(description="used this month", ordering="month_fee")
    def used(self, key: ApiKey) -> str:
        used = glance(month_fee(key))
        return f"{used}, {NO_LIMIT}" if key.month_quota is None else f"{used} of {money(key.month_quota)}"

    @display(description="balance", ordering="balance")
    def balance_usd(self, key: ApiKey) -> str:
        return funds(key.balance)

    @display(description="spent", ordering="spent")
    def spent_usd(self, key: ApiKey) -> str:
        return glance(key.spent)

    # Rights

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (isinstance(obj, ApiKey) and obj.is_internal)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What has been charged or paid keeps its key: revoke it instead."""
        if not isinstance(obj, ApiKey) or obj.is_internal or obj.charges.exists() or obj.payments.exists():
            return False
        return super().has_delete_permission(request, obj)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        key = self.get_object(request, str(object_id))
        return [each for each in super().get_actions_detail(request, object_id) if self._may(request, each.path, key)]  # type: ignore[misc]  # unfold's

    def _may(self, request: HttpRequest, name: str, key: ApiKey | None) -> bool:
        if key is None or not self.has_change_permission(request, key):
            return False
        if name == "recharge":
            return key.is_usable and key.month_quota is not None and self.has_pay_permission(request)
        return key.is_active

    # Forms

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """An opening balance is a payment, like any other."""
        base = OpeningForm if obj is None and self.has_pay_permission(request) else KeyForm
        form: Any = super().get_form(request, obj, change=change, **{"form": base, **kwargs})
        form.rights = principals.of_user(cast(User, request.user)).rights
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.add_fieldsets if obj is None and self.has_pay_permission(request) else self.fieldsets

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            # Only what the form changed: a revocation of the meantime must stand.
            obj.save(update_fields=[*(name for name in form.changed_data if name in FIELDS), "updated_at"])
            return
        issued = self._issue(request, form.cleaned_data)
        self.claim(request, {"key": issued.key.pk, "secret": issued.secret})
        obj.pk = issued.key.pk
        obj.refresh_from_db()

    def _issue(self, request: HttpRequest, values: dict[str, Any]) -> keys.IssuedKey:
        return keys.issue(
            name=values["name"],
            description=values["description"],
            email=values["email"],
            owner=values["owner"],
            scopes=values["scopes"],
            role=values["role"],
            group=values["group"],
            all_models=values["all_models"],
            month_quota=values["month_quota"],
            balance=values.get("opening_balance") or Decimal(0),
            expires_at=values["expires_at"],
            made_by=cast(User, request.user),
        )

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return self.response_again(request)

    def response_again(self, request: HttpRequest) -> HttpResponse:
        """A second POST of the form leads to what its first one made."""
        return HttpResponseRedirect(reverse("admin:accounts_apikey_made", args=[once.nonce_of(request)]))

    def get_urls(self) -> list[Any]:
        made = self.admin_site.admin_view(self.made)
        return [path("made/<str:nonce>/", made, name="accounts_apikey_made"), *super().get_urls()]

    def made(self, request: HttpRequest, nonce: str) -> HttpResponse:
        """The secret, on the first visit only."""
        kept = once.take(request, nonce)
        key = ApiKey.objects.filter(pk=kept.get("key", 0)).first()
        if key is None or "secret" not in kept:
            messages.warning(request, "A secret is shown once, for a few minutes. Was it lost? Revoke its key.")
            page = ("change", [key.pk]) if key else ("changelist", [])
            return HttpResponseRedirect(reverse(f"admin:accounts_apikey_{page[0]}", args=page[1]))
        response = TemplateResponse(request, "admin/console/key_secret.html", self._made(request, key, kept["secret"]))
        response["Cache-Control"] = "no-store"
        return response

    def _made(self, request: HttpRequest, key: ApiKey, secret: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": f"Key {key.name}",
            "opts": self.opts,
            "original": key,
            "key": key,
            "secret": secret,
            "can_call": key.all_models or key.group_id is not None or key.grants.exists(),
            "url": request.build_absolute_uri("/v1"),
        }

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        panel = panel_of(key) if key else {}
        return super().change_view(request, object_id, form_url, {"panel": panel, **(extra_context or {})})

    def uses_of(self, row: ApiKey) -> list[limit_use.Use]:
        return limit_use.of_key(row)

    # Actions: their links lead to forms, only a POST acts.

    @action(description="Recharge", icon="add_card", variant=ActionVariant.PRIMARY)
    def recharge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:accounts_payment_add')}?key={object_id}")

    @action(description="Revoke", icon="block", variant=ActionVariant.DANGER)
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is None or not self._may(request, "revoke", key):
            raise Http404
        if request.method == "POST":
            keys.revoke(key=key)
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"{key} is revoked. No call with it is admitted any more.")
            return HttpResponseRedirect(reverse("admin:accounts_apikey_change", args=[key.pk]))
        context = {"title": f"Revoke {key.name}", "opts": self.opts, "original": key, "key": key}
        return TemplateResponse(
            request, "admin/console/key_revoke.html", {**self.admin_site.each_context(request), **context}
        )

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [keys.revoke(key=key) for key in queryset.filter(is_active=True, is_internal=False)]
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        messages.success(request, f"{len(revoked)} keys revoked.")


def state_of(key: ApiKey) -> str:
    if not key.is_active:
        return "revoked"
    return "active" if key.is_usable else "expired"


def month_fee(key: ApiKey) -> Decimal:
    """What the quota has paid this month."""
    return key.fee_in(this_month())


def panel_of(key: ApiKey) -> dict[str, Any]:
    """The counters above a key's form."""
    used = month_fee(key)
    percent = min(ceil(used * 100 / key.month_quota), 100) if key.month_quota else 0
    return {
        "key": key,
        "state": state_of(key),
        "quota": money(key.month_quota, NO_LIMIT),
        "has_limit": key.month_quota is not None,
        "used": money(used),
        "percent": percent,
        "counters": [
            ("Balance", money(key.balance), "Prepaid; used when the quota is used up."),
            ("Held", money(key.held), "Set aside for calls that are running."),
            ("Spent", money(key.spent), "All that its settled calls have cost."),
        ],
    }
