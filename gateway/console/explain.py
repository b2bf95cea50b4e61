"""The console's page that says where a call would go, and why."""

from collections.abc import Callable
from typing import Any

import orjson
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.errors import Refused
from accounts.models import ApiKey
from accounts.services import keys
from chat.errors import CallError
from chat.services.calls import ENDPOINTS, Call
from chat.services.explain import Explanation, explain
from common.console import funds, money
from common.money import to_usd
from gateway.dialects.base import new_request_id
from providers.services.choice import Standing

JSON = dict[str, Any]

RIGHTS = ("accounts.view_apikey", "providers.view_aimodel")
BODIES: dict[str, Callable[[str], JSON]] = {
    "chat": lambda text: {"messages": [{"role": "user", "content": text}]},
    "completion": lambda text: {"prompt": text},
    "embedding": lambda text: {"input": text},
}


class RouteForm(forms.Form):
    """What the call would be."""

    key = forms.ModelChoiceField(ApiKey.objects.none(), label="API key", widget=UnfoldAdminSelectWidget)
    endpoint = forms.ChoiceField(choices=[(name, name) for name in BODIES], widget=UnfoldAdminSelectWidget)
    model = forms.CharField(max_length=255, widget=UnfoldAdminTextInputWidget)
    prompt = forms.CharField(required=False, initial="Hello!", widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    max_tokens = forms.IntegerField(required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    session = forms.CharField(label="Session-Id", required=False, max_length=128, widget=UnfoldAdminTextInputWidget)

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.fields["key"].queryset = ApiKey.objects.usable().order_by("name")  # type: ignore[attr-defined]

    def call(self) -> Call:
        asked = self.cleaned_data
        endpoint = ENDPOINTS[asked["endpoint"]]
        body = {"model": asked["model"], **BODIES[endpoint.name](asked["prompt"])}
        if endpoint.has_output and asked["max_tokens"]:
            body["max_tokens"] = asked["max_tokens"]
        caller = keys.caller_of(asked["key"])
        return Call(endpoint, body, len(orjson.dumps(body)), caller, new_request_id(), asked["session"])


def explain_route(request: HttpRequest) -> HttpResponse:
    """Asks by GET, so that an explanation can be linked to; it changes nothing."""
    if not request.user.has_perms(RIGHTS):
        raise PermissionDenied
    form = RouteForm(request.GET) if request.GET else RouteForm(initial={"endpoint": "chat"})
    context = {
        **admin.site.each_context(request),
        "title": "Explain a route",
        "form": form,
        **(_answer(form) if form.is_bound and form.is_valid() else {}),
    }
    return TemplateResponse(request, "admin/console/explain.html", context)


def _answer(form: RouteForm) -> JSON:
    try:
        explanation = explain(form.call())
    except (CallError, Refused) as error:
        return {"problem": str(error)}
    quote = explanation.quote
    return {
        "explanation": explanation,
        "candidates": [_row(each, explanation) for each in explanation.candidates],
        "hold": money(quote.hold) if quote else "",
        "free": funds(quote.free) if quote and quote.free is not None else None,
    }


def _row(standing: Standing, explanation: Explanation) -> JSON:
    target, traffic = standing.target, explanation.traffic[standing.target.model_id]
    prices = [None if price is None else to_usd(price) for price in target.prices[:2]]
    return {
        "target": target,
        "why": standing.why_not,
        "prices": " / ".join(money(price, "unknown") for price in prices),
        "running": traffic.running + traffic.running_elsewhere,
        "latency": "–" if traffic.latency_ms is None else f"{traffic.latency_ms:.0f} ms",
    }
