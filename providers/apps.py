from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """Whom the gateway can call."""

    name = "providers"
    default_auto_field = "django.db.models.BigAutoField"
