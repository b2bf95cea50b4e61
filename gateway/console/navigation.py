"""The sidebar: what an operator looks for, in the order of how often."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.services import principals
from gateway.console import explain, invoices, spend
from gateway.jobs.kinds import may_see_any


def items(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's navigation; what somebody may not see is left out."""
    return [
        _group(
            "Calls",
            _link("Dashboard", "monitoring", "admin:index"),
            _page("Spend", "bar_chart", "spend", spend.RIGHTS),
            _table("Charges", "receipt_long", "accounts", "charge"),
            _table("Sessions", "forum", "chat", "session"),
            _table("Threads", "chat", "chat", "thread"),
        ),
        _group(
            "Callers",
            _table("API keys", "key", "accounts", "apikey"),
            _table("Groups", "workspaces", "accounts", "group"),
            _table("Limits", "speed", "accounts", "limit"),
            _page(
                "Notices of limits",
                "notifications",
                "admin:accounts_limitnotice_changelist",
                ("accounts.view_limit",),
            ),
            _table("Payments", "payments", "accounts", "payment"),
            _page("Invoices", "request_quote", "invoices", invoices.RIGHTS),
            _table("Redemption codes", "redeem", "accounts", "redemptioncode"),
            _table("Bots", "smart_toy", "chat", "bot"),
            _link("API docs", "api", "docs"),
        ),
        _group(
            "Upstreams",
            _table("Providers", "dns", "providers", "provider"),
            _table("Models", "deployed_code", "providers", "aimodel"),
            _table("Resting", "bedtime", "providers", "rest"),
            _page("Explain a route", "alt_route", "explain-route", explain.RIGHTS),
            {**_link("Background tasks", "pending_actions", "admin:common_job_changelist"), "permission": _sees_tasks},
            _table("Workers", "memory", "accounts", "worker"),
        ),
        _group(
            "People",
            _table("Users", "group", "accounts", "user"),
            _table("Failed log-ins", "lock_clock", "axes", "accessattempt"),
        ),
    ]


def _group(title: str, *links: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": title != "Calls", "items": list(links)}


def _link(title: str, icon: str, url_name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(url_name)}


def _table(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    return _page(title, icon, f"admin:{app}_{model}_changelist", (f"{app}.view_{model}",))


def _page(title: str, icon: str, url_name: str, rights: tuple[str, ...]) -> dict[str, Any]:
    """With the rights that the page itself asks for: all of them."""
    return {**_link(title, icon, url_name), "permission": lambda request: request.user.has_perms(rights)}


def _sees_tasks(request: HttpRequest) -> bool:
    return may_see_any(principals.of_user(request.user))  # type: ignore[arg-type]  # no stranger comes here
