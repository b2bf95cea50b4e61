"""The console's test of a provider or a model: a page that asks, and a POST that makes a real call."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.enums import ActionVariant

from chat.services import probes
from chat.services.probes import ProbeResult
from common.console import ConsoleAdmin, action
from gateway.console.discovery import ScanAdmin
from gateway.console.starting import TaskButtons
from providers.admin import AIModelAdmin, ProviderAdmin
from providers.models import Kind


class ProbeAdmin(ConsoleAdmin):
    """Gives a page a test. It costs money, so it takes the right to change the row, and never runs on a GET."""

    actions = ("test_selected",)
    actions_detail: tuple[str, ...] = ("test",)

    @action(description="Test", icon="play_arrow", variant=ActionVariant.PRIMARY)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"Test {row}",
            "opts": self.opts,
            "original": row,
            "row": row,
            "is_call": self.is_call(row),
            "question": probes.QUESTION if getattr(row, "kind", Kind.LLM) == Kind.LLM else "",
            "max_tokens": probes.MAX_TOKENS,
            "result": self.run_probe(row) if request.method == "POST" else None,
        }
        return TemplateResponse(request, "admin/console/probe.html", context)

    @admin.action(description="Test: make a real call", permissions=["change"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for row in queryset:
            result = self.run_probe(row)
            level = messages.SUCCESS if result.is_ok else messages.ERROR
            self.message_user(request, f"{result.subject}, {result.milliseconds} ms: {result.text}", level)

    def run_probe(self, row: Model) -> ProbeResult:
        raise NotImplementedError

    def is_call(self, row: Any) -> bool:
        """Whether the test is a paid call."""
        return True


class TestedProviderAdmin(TaskButtons, ScanAdmin, ProbeAdmin, ProviderAdmin):
    actions_list = ("check_all", "export_config")

    def is_call(self, row: Any) -> bool:
        return probes.has_model_to_call(provider=row)

    def run_probe(self, row: Any) -> ProbeResult:
        return probes.test_provider(provider=row)


class TestedModelAdmin(ProbeAdmin, AIModelAdmin):
    def run_probe(self, row: Any) -> ProbeResult:
        return probes.test_model(model=row)
