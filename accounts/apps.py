from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may call, and what it costs."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
