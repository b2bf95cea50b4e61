from django.urls import path, re_path

from gateway.dialects.providers_api import costs, health, keys, login, me, people, providers

urlpatterns = [
    path("providers", providers.ProviderList.as_view()),
    path("providers/<path:name>/test", providers.ProviderTest.as_view()),
    path("providers/<path:name>", providers.ProviderDetail.as_view()),
    path("auth/admin/login", login.AdminLogin.as_view()),
    path("auth/login", login.UserLogin.as_view()),
    path("auth/refresh", login.Refresh.as_view()),
    path("auth/logout", login.Logout.as_view()),
    path("health", health.Health.as_view()),
    path("users", people.UserList.as_view()),
    path("users/<str:user_id>", people.UserDetail.as_view()),
    path("users/<str:user_id>/reset-password", people.ResetPassword.as_view()),
    path("keys", keys.KeyList.as_view()),
    path("keys/user/<str:user_id>", keys.UserKeys.as_view()),
    path("keys/id/<str:key_id>", keys.OneKey.as_view()),
    path("keys/<str:user_id>/rotate", keys.RotateKey.as_view()),
    path("keys/<str:user_id>", keys.UserKey.as_view()),
    path("stats/overview", costs.Overview.as_view()),
    path("costs/summary", costs.CostSummary.as_view()),
    path("audit", costs.Audit.as_view()),
    path("audit/statistics", costs.AuditStatistics.as_view()),
    path("me", me.Profile.as_view()),
    path("me/keys", me.OwnKeys.as_view()),
    path("me/usage", me.OwnUsage.as_view()),
    path("me/rotate", me.RotateOwn.as_view()),
    # What no dialect has; the other dialects under /api answer for their own paths.
    re_path(r"^(?!(?:v1|v2|schema|docs|worker|controller)(?:/|$))", health.not_found),
]
