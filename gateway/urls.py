"""Every path of the gateway."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from gateway import health
from gateway.console import invoices, spend
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
    path("admin/spend/", admin.site.admin_view(spend.spend), name="spend"),
    path("admin/spend/table.csv", admin.site.admin_view(spend.spend_csv), name="spend-csv"),
    path("admin/spend/charges.csv", admin.site.admin_view(spend.charges_csv), name="spend-charges-csv"),
    path("admin/invoices/", admin.site.admin_view(invoices.invoice_list), name="invoices"),
    path("admin/invoices/<int:key_id>/<str:month>/", admin.site.admin_view(invoices.invoice_page), name="invoice"),
    path(
        "admin/invoices/<int:key_id>/<str:month>/invoice.csv",
        admin.site.admin_view(invoices.invoice_csv),
        name="invoice-csv",
    ),
    path(
        "admin/invoices/<int:key_id>/<str:month>/charges.csv",
        admin.site.admin_view(invoices.invoice_charges),
        name="invoice-charges",
    ),
    path("admin/", admin.site.urls),
]
