"""Beside the console's own pages under /admin/: each resource has its routes here, and a catch-all behind them."""

from typing import Any

from django.urls import include, path, re_path

from gateway.dialects.brconnector import (
    bot_events,
    bots,
    grants,
    groups,
    key_import,
    key_list,
    keys,
    models,
    payments,
    sessions,
    statistics,
    threads,
    user_models,
)
from gateway.dialects.brconnector.envelope import UnknownForAdmins, UnknownForUsers

# Of two that fit, the first.
ADMIN: dict[str, list[Any]] = {
    "group": [*groups.urlpatterns, *grants.group_urlpatterns],
    "model": models.urlpatterns,
    "api-key": [*keys.urlpatterns, *key_list.urlpatterns, *key_import.urlpatterns, *grants.key_urlpatterns],
    "payment": payments.urlpatterns,
    "bot": bots.feishu_urlpatterns,
    "bot-connector": bots.urlpatterns,
    "statistics": statistics.urlpatterns,
    "session": sessions.admin_urls,
    "thread": threads.admin_urls,
}
USER: dict[str, list[Any]] = {
    "api-key": keys.user_urlpatterns,
    "model": user_models.urlpatterns,
    "session": sessions.user_urls,
    "thread": threads.user_urls,
}


def _routed(prefix: str, routes: list[Any], unknown: Any) -> list[Any]:
    return [path(f"{prefix}/", include(routes)), _all_below(prefix, unknown)]


def _all_below(prefix: str, view: Any) -> Any:
    """The class of all characters, for Django can't take a pattern with (?s: apart, and with it no address at all."""
    return re_path(rf"^{prefix}(?:/[\s\S]*)?\Z", view.as_view())


urlpatterns = [
    path("bot/<str:platform>/<str:name>/webhook/event", bot_events.receive),
    re_path(r"^bot/", bot_events.unknown),
    *(each for name, routes in ADMIN.items() for each in _routed(f"admin/{name}", routes, UnknownForAdmins)),
    *(path(f"user/{name}/", include(routes)) for name, routes in USER.items()),
    _all_below("user", UnknownForUsers),
]
