"""What was said, to read. Both tables grow with every call, so no list counts them."""

import json

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from chat.admin_bots import BotAdmin
from chat.models import Bot, Session, Thread
from common.console import BigTableAdmin, DaysFilter, display, money, time_column

SHOWN = 80

admin.site.register(Bot, BotAdmin)


@admin.register(Session)
class SessionAdmin(BigTableAdmin):
    list_display = (time_column("updated_at", "last call"), "__str__", "key_name", "calls", "tokens", "usd")
    list_filter = (("api_key", AutocompleteSelectFilter),)
    list_filter_submit = True
    list_select_related = ("api_key",)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("key__exact",)
    search_help_text = "A whole Session-Id"
    fields = (("key", "key_name"), ("calls", "tokens", "usd"), ("created_at", "updated_at"))
    readonly_fields = ("key_name", "tokens", "usd")
    change_form_outer_after_template = "admin/console/session_threads.html"

    @display(description="key")
    def key_name(self, session: Session) -> str:
        return session.api_key.name

    @display(description="tokens in / out")
    def tokens(self, session: Session) -> str:
        return f"{session.input_tokens:,} / {session.output_tokens:,}"

    @display(description="fee")
    def usd(self, session: Session) -> str:
        return money(session.fee)


@admin.register(Thread)
class ThreadAdmin(BigTableAdmin):
    list_display = (time_column("created_at", "time"), "asked", "answered", "model_name", "key", "session", "usd")
    list_filter = (
        ("charge__created_at", DaysFilter),
        ("api_key", AutocompleteSelectFilter),
        ("session", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_select_related = ("api_key", "session", "charge", "body")
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("charge__request_id__exact",)
    search_help_text = "A whole x-request-id"
    fieldsets = (
        (None, {"fields": (("key", "session", "charge_link"), "said", "thought", "answer", "ending")}),
        ("Tool calls", {"fields": ("tools",), "classes": ("collapse",)}),
        ("All messages", {"fields": ("everything",), "classes": ("collapse",)}),
    )
    readonly_fields = ("key", "charge_link", "said", "thought", "answer", "ending", "tools", "everything")

    @display(description="key")
    def key(self, thread: Thread) -> str:
        return thread.api_key.name

    @display(description="asked")
    def asked(self, thread: Thread) -> str:
        return _shortened(thread.prompt)

    @display(description="answered")
    def answered(self, thread: Thread) -> str:
        return _shortened(thread.completion or thread.reasoning)

    @display(description="model")
    def model_name(self, thread: Thread) -> str:
        return thread.charge.model_name

    @display(description="fee")
    def usd(self, thread: Thread) -> str:
        return money(thread.charge.fee)

    @display(description="charge")
    def charge_link(self, thread: Thread) -> SafeString:
        url = reverse("admin:accounts_charge_change", args=[thread.charge_id])
        return format_html('<a class="console-link" href="{}">{}</a>', url, money(thread.charge.fee))

    @display(description="prompt")
    def said(self, thread: Thread) -> SafeString:
        return _block(thread.prompt)

    @display(description="reasoning")
    def thought(self, thread: Thread) -> SafeString:
        return _block(thread.reasoning)

    @display(description="answer")
    def answer(self, thread: Thread) -> SafeString:
        return _block(thread.completion)

    @display(description="end")
    def ending(self, thread: Thread) -> str:
        is_kept = hasattr(thread, "body")
        cut = "; not all of it was kept, as it was too long" if is_kept and thread.is_truncated else ""
        return f"{thread.finish_reason or '–'}{cut}{'' if is_kept else '; what was said is not kept'}"

    @display(description="tool calls")
    def tools(self, thread: Thread) -> SafeString:
        return _json_block(json.dumps(thread.tool_calls) if thread.tool_calls else "")

    @display(description="messages")
    def everything(self, thread: Thread) -> SafeString:
        return _json_block(thread.messages)


def _shortened(text: str) -> str:
    return Truncator(text.strip()).chars(SHOWN) or "–"


def _block(text: str) -> SafeString:
    return format_html('<pre class="console-block">{}</pre>', text) if text else mark_safe("–")


def _json_block(text: str) -> SafeString:
    """Laid out; a text that was cut is no JSON any more and stays as it is."""
    try:
        return _block(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    except ValueError:
        return _block(text)
