"""A model's price list, on its page."""

from typing import Any

from django.http import HttpRequest

from common.console import TabularInline
from providers.models import ALL_PRICE_FIELDS, ModelPrice

HINT = (
    "Prices: in USD per million tokens. Rows above 0 tokens say only what differs for longer prompts; one without any "
    "price ends its tier"
)


class ModelPriceInline(TabularInline):
    """Old rows say what held when, for `manage.py rerate`. Each edit of the price above adds one by itself."""

    model = ModelPrice
    fields = ("valid_from", "above_tokens", *ALL_PRICE_FIELDS)
    extra = 0
    hide_title = True
    verbose_name = "price"
    verbose_name_plural = HINT

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_change(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_change(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_change(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("providers.view_aimodel")

    def _may_change(self, request: HttpRequest) -> bool:
        """Who may change the model may change what it costs."""
        return request.user.has_perm("providers.change_aimodel")
