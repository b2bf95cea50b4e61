"""GET /api/v1/provider/requesters: the kinds of provider there are, and what each wants to know.

Every row of the catalog is listed that serves one of this dialect's three kinds of model; aliases are not, but are
answered by name.
"""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.dialects.langbot.envelope import DialectView, ok
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.langbot.schema import ICON, LIST, ONE
from providers import catalog
from providers.catalog import ConfigField, Vendor
from providers.catalog.icons import icon

JSON = dict[str, Any]

# Our kinds of model, and this dialect's word for each.
TYPES = {"llm": "llm", "embedding": "text-embedding", "rerank": "rerank"}


class RequesterList(DialectView):
    @LIST
    def get(self, request: Request) -> Response:
        wanted = request.query_params.get("type")
        shown = [requester(vendor) for vendor in catalog.VENDORS.values() if types_of(vendor)]
        return ok({"requesters": [each for each in shown if not wanted or wanted in each["spec"]["support_type"]]})


class RequesterDetail(DialectView):
    @ONE
    def get(self, request: Request, name: str) -> Response:
        return ok({"requester": requester(_find(name))})


class RequesterIcon(DialectView):
    """Pages load it as a picture, without a key."""

    authentication_classes = ()

    @ICON
    def get(self, request: Request, name: str) -> HttpResponse:
        return HttpResponse(icon(_find(name).label), content_type="image/svg+xml")


def _find(name: str) -> Vendor:
    vendor = catalog.find(name)
    if vendor is None:
        raise Refusal(404, "requester not found")
    return vendor


def types_of(vendor: Vendor) -> list[str]:
    return [word for kind, word in TYPES.items() if kind in vendor.kinds]


def requester(vendor: Vendor) -> JSON:
    """A vendor's row in this dialect's shape."""
    spec = {
        "config": [_field(field) for field in vendor.all_fields],
        "support_type": types_of(vendor),
        "provider_category": vendor.category,
        "alias": " ".join((*vendor.aliases, vendor.search)).strip(),
    }
    return {
        "name": vendor.name,
        "label": _texts(vendor.label, vendor.label_zh),
        "description": _texts(vendor.refusal or vendor.note, ""),
        "icon": f"{vendor.name}.svg",
        "spec": {**spec, **({"litellm_provider": vendor.protocol} if vendor.protocol else {})},
    }


def _field(field: ConfigField) -> JSON:
    return {
        "name": field.name,
        "label": _texts(field.label, field.label_zh),
        "type": field.type,
        "required": field.is_required,
        "default": field.default,
    }


def _texts(english: str, chinese: str) -> dict[str, str]:
    return {"en_US": english, "zh_Hans": chinese or english}
