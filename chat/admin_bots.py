"""The pages of bots: a form with its platform's settings, who pays, and what its platform told it last."""

from typing import Any, ClassVar
from urllib.parse import quote

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts.services import keys
from chat.models import Bot, BotEvent, BotPlatform
from chat.services.bots import managing
from chat.services.bots.managing import SettingError
from chat.services.bots.platform import Field, Platform
from chat.services.bots.platforms import PLATFORMS
from common.console import ConsoleAdmin, ModelForm, action, display, moment
from providers.sensitive import MASK

PREFIX = "setting_"
AS_IT_IS = "Empty: as it is"
TAKEN = "There is a bot of this name on this platform."
NO_KEY = "a key that is not known"


def input_for(field: Field) -> forms.Field:
    """A secret can be written, never read."""
    attrs = {"placeholder": field.default}
    widget: Any = UnfoldAdminTextInputWidget(attrs=attrs)
    if field.is_secret:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=field.label, required=False, help_text=_help(field), widget=widget)


def _help(field: Field) -> str:
    without = f"Empty: {field.default}." if field.default else ""
    return " ".join(filter(None, (field.help_text, "" if field.is_required else without or "May be empty.")))


class BotForm(ModelForm):
    """The settings are inputs of their own; those that no input is for stay as they are."""

    platform: ClassVar[type[Platform]]
    platform_name: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.platform = self.platform_name
        self.stored = {} if self.instance._state.adding else managing.shown(self.instance)
        for field in self.platform.fields:
            shown = self.fields.get(PREFIX + field.name)
            if shown is not None and field.is_secret:
                shown.widget.attrs["placeholder"] = AS_IT_IS if field.name in self.stored else ""
            else:
                self.initial[PREFIX + field.name] = self.stored.get(field.name, "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        same = Bot.objects.filter(name=cleaned.get("name"), platform=self.platform_name)
        if same.exclude(pk=self.instance.pk).exists():
            self.add_error("name", TAKEN)
        try:
            managing.apply(bot=self.instance, config=self._config(cleaned))
        except SettingError as error:
            self.add_error(PREFIX + error.name if PREFIX + error.name in self.fields else None, str(error.message))
        except ValidationError as error:
            self.add_error(None, error)
        return cleaned

    def _config(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        entered = {field.name: cleaned.get(PREFIX + field.name, "") for field in self.platform.fields}
        kept = {field.name: MASK for field in self.platform.fields if field.is_secret and self._keeps(field, entered)}
        return {**self.stored, **entered, **kept}

    def _keeps(self, field: Field, entered: dict[str, Any]) -> bool:
        return not entered[field.name] and field.name in self.stored


def form_for(platform_name: str) -> type[BotForm]:
    """The form with this platform's settings."""
    platform = PLATFORMS[platform_name]
    inputs = {PREFIX + field.name: input_for(field) for field in platform.fields}
    facts = {"platform": platform, "platform_name": platform_name, "__module__": __name__}
    return type("BotForm", (BotForm,), {**facts, **inputs})


class BotAdmin(ConsoleAdmin):
    actions_list = ("add_feishu", "add_slack", "add_webhook")
    list_display = ("name", "platform", "model_name", "payer", "is_enabled", "last_event")
    list_filter = (("platform", ChoicesDropdownFilter),)
    list_filter_submit = True
    readonly_fields = ("platform_name", "address", "payer", "last_event")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bot]:
        newest = BotEvent.objects.filter(bot=OuterRef("pk")).order_by("-id")
        bots: QuerySet[Bot] = super().get_queryset(request)
        last = {name: Subquery(newest.values(name)[:1]) for name in ("created_at", "error")}
        return bots.annotate(last_at=last["created_at"], last_error=last["error"])

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        inputs = [PREFIX + field.name for field in PLATFORMS[self._platform(request, obj)].fields]
        facts = ("address", "payer", "last_event") if obj else ()
        settings = [(BotPlatform(self._platform(request, obj)).label, {"fields": inputs})]
        return (
            (None, {"fields": ("name", "platform_name", "is_enabled", *facts)}),
            *(settings if self._may_edit(request, obj) else []),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if self._may_edit(request, obj):
            kwargs["form"] = form_for(self._platform(request, obj))
        return super().get_form(request, obj, change=change, **kwargs)

    def _platform(self, request: HttpRequest, obj: Any) -> str:
        """That of the bot, or the one that was chosen for a new one."""
        chosen = obj.platform if obj and obj.pk else request.GET.get("platform", "")
        return chosen if chosen in PLATFORMS else BotPlatform.FEISHU

    def _may_edit(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django would list each of its events."""
        return [str(each) for each in objs], {}, set(), []

    @action("Add for Feishu or Lark", icon="add", permissions=["add"])
    def add_feishu(self, request: HttpRequest) -> HttpResponse:
        return _add(BotPlatform.FEISHU)

    @action("Add for Slack", icon="add", permissions=["add"])
    def add_slack(self, request: HttpRequest) -> HttpResponse:
        return _add(BotPlatform.SLACK)

    @action("Add a signed webhook", icon="add", permissions=["add"])
    def add_webhook(self, request: HttpRequest) -> HttpResponse:
        return _add(BotPlatform.WEBHOOK)

    @display(description="platform")
    def platform_name(self, bot: Bot) -> str:
        return str(bot.get_platform_display() or "–")

    @display(description="address for its events")
    def address(self, bot: Bot) -> str:
        return f"/bot/{bot.platform}/{quote(bot.name)}/webhook/event"

    @display(description="model")
    def model_name(self, bot: Bot) -> str:
        return str(bot.config.get("modelId") or "default")

    @display(description="paid by")
    def payer(self, bot: Bot) -> SafeString | str:
        key = keys.find(managing.secret_of(bot, "apiKey"))
        if key is None:
            return NO_KEY
        url = reverse("admin:accounts_apikey_change", args=[key.pk])
        ending = "" if key.is_usable else " (revoked or expired)"
        return format_html('<a class="console-link" href="{}">{}</a>{}', url, key.name, ending)

    @display(description="last event", ordering="last_at")
    def last_event(self, bot: Any) -> SafeString | str:
        parts = [moment(bot.last_at), bot.last_error or ""]
        return format_html_join(" – ", "{}", ((part,) for part in parts if part))


def _add(platform: str) -> HttpResponse:
    return redirect(f"{reverse('admin:chat_bot_add')}?platform={platform}")
