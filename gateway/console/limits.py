"""What limits need beyond their tables: addresses that may be called, and a sample notice to try them out."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.admin.limit_form import LimitForm
from accounts.admin.limits import LimitAdmin
from common.console import action
from gateway.notices import check_address, tell_sample


class ToldLimitForm(LimitForm):
    def clean_notify_url(self) -> str:
        url: str = self.cleaned_data["notify_url"]
        if url:
            check_address(url)
        return url


class ToldLimitAdmin(LimitAdmin):
    """A sample leaves the house, so it takes the right to change the limit, and is never sent on a GET."""

    form = ToldLimitForm
    actions_detail = ("sample",)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        limit = self.get_object(request, str(object_id))
        is_told = limit is not None and bool(limit.notify_url or limit.notify_email)
        may = is_told and self.has_change_permission(request, limit)
        return super().get_actions_detail(request, object_id) if may else []  # type: ignore[misc]  # unfold's

    @action(description="Send a sample", icon="send", permissions=["change"])
    def sample(self, request: HttpRequest, object_id: str) -> HttpResponse:
        limit = self.get_object(request, object_id)
        if limit is None:
            raise Http404
        if not self.has_change_permission(request, limit):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"Sample notice of {limit}",
            "opts": self.opts,
            "original": limit,
            "limit": limit,
            "told": tell_sample(limit) if request.method == "POST" else (),
        }
        return TemplateResponse(request, "admin/console/limit_sample.html", context)
