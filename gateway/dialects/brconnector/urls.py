"""Beside the console's own pages under /admin/: each resource has its routes here, and a catch-all behind them."""

from typing import Any

from django.urls import include, path, re_path

from gateway.dialects.brconnector import groups
from gateway.dialects.brconnector.envelope import UnknownForAdmins, UnknownForUsers

# Of two that fit, the first.
ADMIN: dict[str, list[Any]] = {
    "group": groups.urlpatterns,
}
USER: dict[str, list[Any]] = {}


def _routed(prefix: str, routes: list[Any], unknown: Any) -> list[Any]:
    return [path(f"{prefix}/", include(routes)), _all_below(prefix, unknown)]


def _all_below(prefix: str, view: Any) -> Any:
    """The class of all characters, for Django can't take a pattern with (?s: apart, and with it no address at all."""
    return re_path(rf"^{prefix}(?:/[\s\S]*)?\Z", view.as_view())


urlpatterns = [
    *(each for name, routes in ADMIN.items() for each in _routed(f"admin/{name}", routes, UnknownForAdmins)),
    *(path(f"user/{name}/", include(routes)) for name, routes in USER.items()),
    _all_below("user", UnknownForUsers),
]
