"""Every path of the gateway."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from gateway import health
from gateway.console.explain import explain_route
from gateway.dialects.langbot.system import Health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health", health.health),
    path("healthz", Health.as_view()),
    path("v1/", include("gateway.dialects.openai.urls")),
    path("api/v1/", include("gateway.dialects.langbot.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/", include("gateway.dialects.providers_api.urls")),
    path("", include("gateway.dialects.brconnector.urls")),
    path("admin/route/", admin.site.admin_view(explain_route), name="explain-route"),
    path("admin/", admin.site.urls),
]
