"""What was said, to read. Both tables grow with every call, so no list counts them."""

import json

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from chat.models import Session, Thread
from common.console import BigTableAdmin, DaysFilter, display, money

SHOWN = 80


@admin.register(Session)
class SessionAdmin(BigTableAdmin):
    list_display = ("updated_at", "__str__", "api_key", "calls", "tokens", "usd")
    list_filter = (("api_key", AutocompleteSelectFilter),)
    list_filter_submit = True
    list_select_related = ("api_key",)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("key__exact",)
    search_help_text = "A whole Session-Id"
    fields = (
        ("title", "key"),
        ("api_key", "calls"),
        ("input_tokens", "output_tokens", "usd"),
        ("created_at", "updated_at"),
    )
    readonly_fields = ("usd",)
    change_form_outer_after_template = "admin/console/session_threads.html"

    @display(description="tokens in / out")
    def tokens(self, session: Session) -> str:
        return f"{session.input_tokens:,} / {session.output_tokens:,}"

    @display(description="fee")
    def usd(self, session: Session) -> str:
        return money(session.fee)


@admin.register(Thread)
class ThreadAdmin(BigTableAdmin):
    list_display = ("created_at", "asked", "answered", "model_name", "api_key", "session", "usd")
    list_filter = (
        ("charge__created_at", DaysFilter),
        ("api_key", AutocompleteSelectFilter),
        ("session", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_select_related = ("api_key", "session", "charge")
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("charge__request_id__exact",)
    search_help_text = "A whole x-request-id"
    fieldsets = (
        (None, {"fields": (("api_key", "session", "charge_link"), "prompt", "reasoning", "completion")}),
        ("Tools", {"fields": ("tool_calls_text",), "classes": ("collapse",)}),
        ("All messages", {"fields": ("messages_text",), "classes": ("collapse",)}),
        (None, {"fields": (("finish_reason", "is_truncated", "created_at"),)}),
    )
    readonly_fields = ("charge_link", "messages_text", "tool_calls_text")

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

    @display(description="messages")
    def messages_text(self, thread: Thread) -> SafeString:
        return _as_block(thread.messages)

    @display(description="tool calls")
    def tool_calls_text(self, thread: Thread) -> SafeString:
        return _as_block(json.dumps(thread.tool_calls) if thread.tool_calls else "")


def _shortened(text: str) -> str:
    return Truncator(text.strip()).chars(SHOWN) or "–"


def _as_block(text: str) -> SafeString:
    """JSON, laid out; a text that was cut is no JSON any more and stays as it is."""
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        text = text or "–"
    return format_html('<pre class="console-block">{}</pre>', text)
