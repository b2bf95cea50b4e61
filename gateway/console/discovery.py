"""The console's scan of a provider: a page that lists what its upstream has, and takes over what is chosen there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from common.console import ConsoleAdmin, action, money
from providers.models import Kind
from providers.services import discovery
from providers.services.discovery import ScanFailed, Scanned

ABILITIES = {"func_call": "tools"}  # the rest are words already


@dataclass(frozen=True, slots=True)
class Line:
    """A model as the page shows it. `value` names it in the form."""

    value: str
    name: str
    label: str
    facts: str
    price: str
    note: str
    is_added: bool


class ScanAdmin(ConsoleAdmin):
    """Gives a provider's page a scan. The upstream is asked with a stored secret, so never on a GET."""

    actions_detail: tuple[str, ...] = ("test", "scan")

    @action(description="Scan models", icon="radar")
    def scan(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = self.get_object(request, object_id)
        if provider is None:
            raise Http404
        may = self.has_change_permission(request, provider) and request.user.has_perm("providers.add_aimodel")
        if not may:
            raise PermissionDenied
        found, problem = _found(provider) if request.method == "POST" else (None, "")
        if found is not None and "import" in request.POST:
            found = _take_over(request, provider, found)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Models of {provider}",
            "opts": self.opts,
            "original": provider,
            "provider": provider,
            "problem": problem,
            "is_scanned": found is not None,
            "groups": list(_groups(found or [])),
            "count": len(found or []),
            "prefix": request.POST.get("prefix", ""),
        }
        return TemplateResponse(request, "admin/console/scan.html", context)


def _found(provider: Any) -> tuple[list[Scanned] | None, str]:
    """What the upstream has, or why that is not known."""
    try:
        return discovery.scan(provider=provider), ""
    except ScanFailed as error:
        return None, str(error)


def _take_over(request: HttpRequest, provider: Any, found: list[Scanned]) -> list[Scanned]:
    """Nothing but the choice is taken from the form: what a model is and costs comes from the upstream again."""
    chosen = _chosen(request)
    picked = [each for each in found if _value(each) in chosen and not each.already_added and not each.refusal]
    if not picked:
        messages.warning(request, "Nothing was imported: choose at least one model.")
        return found
    try:
        rows = discovery.import_models(provider=provider, chosen=picked, prefix=request.POST.get("prefix", "").strip())
    except ValidationError as error:
        messages.error(request, f"Nothing was imported. {' '.join(error.messages)}")
        return found
    unpriced = sum(not row.is_priced for row in rows)
    text = f"{len(rows)} imported." + (
        f" {unpriced} without a price: their calls cost nothing yet." if unpriced else ""
    )
    messages.add_message(request, messages.WARNING if unpriced else messages.SUCCESS, text)
    added = {(row.kind, row.upstream_name) for row in rows}
    return [discovery.marked(each) if (each.kind, each.id) in added else each for each in found]


def _chosen(request: HttpRequest) -> set[str]:
    """The boxes that are ticked. The script sends them as one field, since Django takes 1,000 at most."""
    packed = request.POST.get("packed")
    if not packed:
        return set(request.POST.getlist("chosen"))
    try:
        values = json.loads(packed)
    except ValueError:
        return set()
    return {value for value in values if isinstance(value, str)} if isinstance(values, list) else set()


def _groups(found: list[Scanned]) -> Iterator[tuple[str, list[Line]]]:
    for kind in Kind:
        lines = [_line(each) for each in found if each.kind == kind]
        if lines:
            yield f"{kind.label} ({len(lines)})", lines


def _line(each: Scanned) -> Line:
    abilities = (ABILITIES.get(name, name) for name in each.abilities)
    facts = [_thousands(each.context_length), *abilities, each.owned_by or ""]
    label = "" if each.display_name in (None, each.id) else str(each.display_name)
    return Line(
        value=_value(each),
        name=each.id,
        label=label,
        facts=" · ".join(filter(None, facts)),
        price=_price(each),
        note=each.refusal or each.price_note,
        is_added=each.already_added,
    )


def _value(each: Scanned) -> str:
    return f"{each.kind}:{each.id}"


def _thousands(length: int | None) -> str:
    return f"{length:,} tokens" if length else ""


def _price(each: Scanned) -> str:
    if each.price_in is None:
        return ""
    return f"{money(each.price_in)} / {money(each.price_out)}"
