"""The console's pages for providers, their keys and models. `gateway.admin` registers them, with the tests that need
the whole pipeline."""

from providers.admin.models import AIModelAdmin
from providers.admin.providers import ProviderAdmin
from providers.admin.rests import RestAdmin

__all__ = ["AIModelAdmin", "ProviderAdmin", "RestAdmin"]
